"""The fake Marathon fulfils the contract of `IMarathon`, as the real client does."""

from __future__ import annotations

from twisted.trial.unittest import TestCase

from marathonlb.errors import SourceError
from marathonlb.marathon.model import App
from tests.fakes.marathon import FakeMarathon
from tests.marathon.contract import CART, SHOP, MarathonContract


class Contract(MarathonContract, TestCase):
    """The contract, fulfilled by the fake."""

    def setUp(self) -> None:
        self.marathon: FakeMarathon = FakeMarathon()  # type: ignore[assignment]

    def has(self, *apps: App) -> None:
        self.marathon.set(*apps)

    def garbles(self, app_id: str) -> None:
        self.marathon.garble(app_id)

    def fails(self) -> None:
        self.marathon.fail()

    def has_no_leader(self) -> None:
        self.marathon.has_leader = False


class Control(TestCase):
    """The controls of the fake."""

    def test_hold(self) -> None:
        """An answer that was held back has the apps of the time of its release."""
        marathon = FakeMarathon(SHOP)
        marathon.hold()
        first, second = marathon.apps(), marathon.app("/shop")
        self.assertNoResult(first)
        self.assertEqual((marathon.held, marathon.asked), (2, ["*", "/shop"]))
        marathon.set(CART)
        marathon.release(1)
        self.assertEqual(self.successResultOf(first).apps, (CART,))
        self.assertNoResult(second)
        marathon.fail("gone")
        marathon.release()
        self.failureResultOf(second, SourceError)

    def test_cancel(self) -> None:
        """A cancelled request does not disturb the release."""
        marathon = FakeMarathon(SHOP)
        marathon.hold()
        asked = marathon.apps()
        asked.addErrback(lambda _: None)
        asked.cancel()
        marathon.release()
        self.assertEqual(marathon.held, 0)
