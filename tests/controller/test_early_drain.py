"""Servers of killed tasks are drained before Marathon is asked."""

from __future__ import annotations

from twisted.internet.defer import Deferred

from tests.fakes.hints import event_hint
from tests.reconciling import ReconcilerTestCase, web


class EarlyDrainTests(ReconcilerTestCase):
    """What Marathon's stream says of killed tasks."""

    def test_drained_at_once(self) -> None:
        """The servers of killed tasks are drained before Marathon is asked, those of other tasks are not."""
        self.begin(web("shop", tasks=3), web("other", 10001))
        self.reconciler.ended(frozenset({"/shop"}), frozenset({"shop.1", "unknown"}))
        self.assertEqual(self.applier.drained, [("shop_10000", "127_0_0_1_41001")])
        self.assertEqual(self.marathon.asked, [])

    def test_undone(self) -> None:
        """Where Marathon's answer does not confirm it, HAProxy is told although nothing else has changed."""
        self.begin(web("shop", tasks=3))
        self.clock.advance(1)
        self.reconciler.ended(frozenset({"/shop"}), frozenset({"shop.1"}))
        before = len(self.applier.wanted)
        self.clock.advance(1)
        self.reconciler.poke(event_hint({"/shop"}))
        self.assertEqual(len(self.applier.wanted), before + 1)
        self.reconciler.poke(event_hint({"/shop"}))
        self.assertEqual(len(self.applier.wanted), before + 1)

    def test_owned(self) -> None:
        """What drains them ends with the reconciler; a defect in it is logged, and nothing else comes of it."""
        self.begin(web("shop", tasks=3))
        given_up: list[bool] = []
        for failing in (True, False):
            self.applier.draining = draining = Deferred(lambda _: given_up.append(True))
            self.reconciler.ended(frozenset({"/shop"}), frozenset({"shop.1"}))
            if failing:
                draining.errback(ZeroDivisionError())
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertEqual(len(self.said("a defect")), 1)
        self.successResultOf(self.reconciler.stopService())
        self.assertEqual(given_up, [True])
        self.assertEqual(len(self.said("a defect")), 1)

    def test_nobody_known(self) -> None:
        """A task that is behind no server drains nothing."""
        self.begin(web("shop"))
        self.reconciler.ended(frozenset({"/gone"}), frozenset({"gone.1"}))
        self.assertEqual(self.applier.drained, [])
