"""The applier: its contract, and what the next controller makes of the files."""

from __future__ import annotations

from twisted.trial.unittest import TestCase

from marathonlb.errors import InvalidConfiguration
from marathonlb.haproxy.outcome import action_word, explanation
from tests.fakes.haproxy import FakeApplier, FakeReloader
from tests.haproxy.contracts import ApplierContract, ReloaderContract
from tests.haproxy.plain_installation import PlainInstallation, PlainInstallationCase
from tests.haproxy.samples import BAD, A, B


class FakeApplierTests(ApplierContract, TestCase):
    """The fake that the reconciler's tests use."""

    def setUp(self) -> None:
        self.applier, self.port = FakeApplier(), 80


class ApplierTests(ApplierContract, TestCase):
    """The real one, over a fake HAProxy."""

    def setUp(self) -> None:
        self.installation = PlainInstallation(self.mktemp())
        self.applier, self.port = self.installation.controller(), 80


class FakeReloaderTests(ReloaderContract, TestCase):
    """The fake HAProxy."""

    def setUp(self) -> None:
        self.reloader, self.port = FakeReloader(), 80


class AdoptionTests(PlainInstallationCase):
    """What the next controller makes of what it finds."""

    def test_same(self) -> None:
        """What is confirmed and wanted needs nothing, and is known from then on."""
        self.apply(A)
        adopted = self.installation.controller()
        self.assertEqual(action_word(self.apply(A, adopted)), "nothing")
        self.assertIs(adopted.running, A)
        self.assertEqual(len(self.reloader.reloaded), 1)

    def test_differences(self) -> None:
        """What differs is named."""
        self.apply(A)
        self.assertEqual(
            explanation(self.apply(B, self.installation.controller())),
            "HAProxy was taken over: backend a differs, backend b is new, map domain2backend.map differs",
        )

    def test_edited_by_hand(self) -> None:
        """A file that somebody edited is replaced."""
        self.apply(A)
        with open(self.installation.path, "a", encoding="utf-8") as file:
            file.write("backend handmade\n")
        adopted = self.installation.controller()
        self.assertEqual(
            explanation(self.apply(A, adopted)),
            "HAProxy was taken over: backend handmade is gone",
        )
        self.assertTrue(self.installation.holds(A))

    def test_not_ours(self) -> None:
        """A haproxy.cfg that lay there before us is replaced; where HAProxy refuses ours in the check, it stays."""
        with open(self.installation.path, "w", encoding="utf-8") as file:
            file.write("global\n  maxconn 100\n")
        self.refused(BAD, InvalidConfiguration)
        self.assertEqual(self.installation.text(), "global\n  maxconn 100\n")
        self.assertEqual(
            explanation(self.apply(A)),
            "HAProxy was taken over: frontend main is new, backend a is new, map domain2backend.map is new",
        )
