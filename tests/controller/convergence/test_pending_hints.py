"""The hints that wait for a convergence."""

from __future__ import annotations

from collections import Counter

from twisted.trial.unittest import SynchronousTestCase

from marathonlb.base.causes import Cause, CauseKind
from marathonlb.controller.convergence.pending_hints import PendingHints
from marathonlb.marathon.events.hints import Hint
from tests.fakes.hints import event_hint

EVENT = Cause(CauseKind.EVENT, "status_update_event")
POLL = Cause(CauseKind.POLL)


class PendingHintsTests(SynchronousTestCase):
    """Hints as one."""

    def setUp(self) -> None:
        self.hints = PendingHints()

    def test_hints_become_one(self) -> None:
        """The apps are joined and the causes counted; after taking them nothing is left."""
        self.hints.add(event_hint(["/a"]))
        self.hints.add(event_hint(["/b"]))
        taken = self.hints.take()
        self.assertEqual((taken.apps, taken.causes), (frozenset({"/a", "/b"}), Counter({EVENT: 2})))
        taken = self.hints.take()
        self.assertEqual((taken.apps, taken.causes), (frozenset(), Counter()))

    def test_everything_includes_every_app(self) -> None:
        """A hint about everything makes names of no use, before it and after it."""
        self.hints.add(event_hint(["/a"]))
        self.hints.add(Hint.of(None, POLL))
        self.hints.add(event_hint(["/b"]))
        self.assertIsNone(self.hints.take().apps)
        self.hints.add_everything()
        self.assertIsNone(self.hints.take().apps)

    def test_what_is_put_back_is_taken_again(self) -> None:
        """Hints that could not be answered are joined with those that came meanwhile."""
        self.hints.add(event_hint(["/a"]))
        taken = self.hints.take()
        self.hints.add(event_hint(["/b"]))
        self.hints.put_back(taken)
        again = self.hints.take()
        self.assertEqual((again.apps, again.causes), (frozenset({"/a", "/b"}), Counter({EVENT: 2})))
        self.hints.put_back(again)
        self.hints.add_everything()
        self.hints.add_causes(Counter({POLL: 1}))
        whole = self.hints.take()
        self.assertEqual((whole.apps, whole.causes), (None, Counter({EVENT: 2, POLL: 1})))

    def test_named_apps_wait_for_a_question(self) -> None:
        """The named apps are kept until Marathon is asked, though a convergence has taken the hints."""
        self.hints.add(event_hint(["/a"]))
        self.hints.add(Hint.of(None, POLL))
        self.hints.take()
        self.assertEqual(self.hints.take_named(), {"/a"})
        self.assertEqual(self.hints.take_named(), frozenset())
