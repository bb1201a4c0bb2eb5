"""The first configuration after a start is doubted where it lacks much of what HAProxy runs."""

from __future__ import annotations

import msgspec

from marathonlb.marathon.gatherer import SECOND_OPINION
from tests.fakes.hints import event_hint
from tests.reconciling import EVERYTHING, ReconcilerTestCase, cluster, web


class ColdStartTests(ReconcilerTestCase):
    """The first answers after a restart."""

    def test_after_a_restart(self) -> None:
        """A new controller doubts a first answer that lacks most of what HAProxy runs."""
        self.begin(*cluster(10))
        self.make(self.settings)
        self.marathon.set(web("app1", 10001))
        self.reconciler.poke(EVERYTHING)
        self.assertEqual(len(self.served()), 10)
        self.clock.advance(SECOND_OPINION + 1)
        self.assertEqual(len(self.served()), 1)
        self.assertEqual(self.marathon.avoided[-2:], [None, self.marathon.url])

    def test_events_after_a_restart(self) -> None:
        """Events of single apps are no second opinion."""
        self.begin(*cluster(10))
        self.make(self.settings)
        self.marathon.set(web("app1", 10001))
        self.reconciler.poke(EVERYTHING)
        self.marathon.hold()
        for tasks in range(2, 6):
            self.clock.advance(SECOND_OPINION / 2)
            self.marathon.put(web("app1", 10001, tasks=tasks))
            self.reconciler.poke(event_hint({"/app1"}))
        self.assertEqual((self.marathon.asked[-1], len(self.served())), ("/app1", 10))
        self.marathon.release(1)
        self.assertEqual((self.marathon.asked[-1], len(self.served())), ("*", 10))
        self.marathon.release()
        self.assertEqual(len(self.served()), 1)

    def test_many_events_after_a_restart(self) -> None:
        """However many events come, the second opinion is asked for when it is due."""
        self.begin(*cluster(10))
        self.make(self.settings)
        self.marathon.set(web("app1", 10001))
        self.reconciler.poke(EVERYTHING)
        asked = self.marathon.asked.count("*")
        for tasks in range(2, 5):
            self.clock.advance(SECOND_OPINION / 2)
            self.marathon.put(web("app1", 10001, tasks=tasks))
            self.reconciler.poke(event_hint({"/app1"}))
        self.assertEqual((self.marathon.asked.count("*"), len(self.served())), (asked + 1, 1))

    def test_no_leader_after_a_restart(self) -> None:
        """While no leader is elected no second answer is believed."""
        self.begin(*cluster(10))
        self.make(self.settings)
        self.marathon.set(web("app1", 10001))
        self.marathon.has_leader = False
        self.reconciler.poke(EVERYTHING)
        for _ in range(5):
            self.clock.advance(SECOND_OPINION)
        self.assertEqual(len(self.served()), 10)
        self.marathon.has_leader = True
        self.clock.advance(SECOND_OPINION)
        self.assertEqual(len(self.served()), 1)

    def test_without_tasks_after_a_restart(self) -> None:
        """It doubts one that knows the apps and not their tasks, too, as of a Marathon that has only begun."""
        self.begin(*cluster(10))
        self.make(self.settings)
        self.marathon.set(*(msgspec.structs.replace(app, tasks=()) for app in cluster(10)))
        self.reconciler.poke(EVERYTHING)
        self.assertIn("  server ", self.applier.running.template if self.applier.running else "")
        self.assertEqual(len(self.said("lacks 10 of the 10 services")), 1)
        self.marathon.set(*cluster(10))
        self.clock.advance(SECOND_OPINION + 1)
        self.assertEqual(len(self.applier.applied), 1)
