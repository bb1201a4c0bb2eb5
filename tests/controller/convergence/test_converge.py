"""One convergence: what it does with answers that change nothing, or that take too much away."""

from __future__ import annotations

from attrs import evolve

from marathonlb.marathon.gatherer import SECOND_OPINION
from tests.fakes.hints import event_hint
from tests.reconciling import EVERYTHING, ReconcilerTestCase, cluster, web


class UnchangedTests(ReconcilerTestCase):
    """An answer that changes nothing."""

    def test_no_change_applies_nothing(self) -> None:
        """An event that changes nothing reaches neither the renderer nor HAProxy."""
        self.begin(web("shop"))
        before = len(self.applier.wanted)
        self.reconciler.poke(event_hint({"/shop"}))
        self.assertEqual(len(self.applier.wanted), before)

    def test_one_app_unreadable(self) -> None:
        """An app that cannot be read keeps what it had; the others move on."""
        self.begin(web("good", 10000), web("odd", 10001, tasks=2))
        self.marathon.set(web("good", 10000, tasks=3))
        self.marathon.garble("/odd")
        self.reconciler.poke(EVERYTHING)
        self.assertEqual(self.served(), {"good_10000", "odd_10001"})
        self.assertEqual(self.reconciler.planned.servers if self.reconciler.planned else 0, 5)


class DoubtTests(ReconcilerTestCase):
    """An answer that takes away too much is not believed at once."""

    def test_empty_answer(self) -> None:
        """No apps where there were many: nothing is taken away before a second answer agrees."""
        self.begin(*cluster(10))
        self.marathon.set()
        self.reconciler.poke(EVERYTHING)
        self.clock.advance(SECOND_OPINION - 1)
        self.assertEqual(len(self.served()), 10)
        self.clock.advance(2)
        self.assertEqual(self.served(), set())
        self.assertTrue(self.fields("vanished"))

    def test_hiccup(self) -> None:
        """The second answer is whole again: nothing was ever taken away."""
        self.begin(*cluster(10))
        self.marathon.set()
        self.reconciler.poke(EVERYTHING)
        self.marathon.set(*cluster(10))
        self.clock.advance(SECOND_OPINION + 1)
        self.assertEqual(len(self.applier.applied), 1)

    def test_hints_do_not_hurry_the_second_opinion(self) -> None:
        """Hints in between ask again but are no second opinion."""
        self.begin(*cluster(10))
        self.marathon.set()
        for _ in range(5):
            self.reconciler.poke(EVERYTHING)
            self.clock.advance(1)
        self.assertEqual(len(self.served()), 10)

    def test_no_leader(self) -> None:
        """Both agree but no leader is elected: nothing is taken away."""
        self.begin(*cluster(10))
        self.marathon.set()
        self.marathon.has_leader = False
        self.reconciler.poke(EVERYTHING)
        for _ in range(5):
            self.clock.advance(SECOND_OPINION)
        self.assertEqual(len(self.served()), 10)

    def test_other_marathon_is_asked(self) -> None:
        """The second opinion is asked of another Marathon than the first."""
        self.begin(*cluster(10))
        self.marathon.set()
        self.reconciler.poke(EVERYTHING)
        self.clock.advance(SECOND_OPINION + 1)
        self.assertEqual(self.marathon.avoided[-2:], [None, self.marathon.url])

    def test_within_the_bound(self) -> None:
        """Fewer than --max-shrink percent may go at once."""
        self.begin(*cluster(10))
        self.marathon.set(*cluster(6))
        self.reconciler.poke(EVERYTHING)
        self.assertEqual(len(self.served()), 6)

    def test_turned_off(self) -> None:
        """--max-shrink=100 believes everything."""
        self.make(evolve(self.settings, max_shrink=100))
        self.begin(*cluster(10))
        self.marathon.set()
        self.reconciler.poke(EVERYTHING)
        self.assertEqual(self.served(), set())

    def test_one_app_that_is_gone(self) -> None:
        """Marathon's explicit word that one app is gone is believed."""
        self.begin(web("shop"))
        self.marathon.set()
        self.reconciler.poke(event_hint({"/shop"}, "app_terminated_event"))
        self.assertEqual(self.served(), set())
