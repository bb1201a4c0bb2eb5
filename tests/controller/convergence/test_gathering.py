"""What Marathon is asked, and what follows from its answers."""

from __future__ import annotations

from attrs import evolve

from marathonlb.base.causes import Cause, CauseKind
from marathonlb.marathon.events.hints import Hint
from marathonlb.marathon.gatherer import MANY
from tests.fakes.hints import event_hint
from tests.reconciling import EVERYTHING, ReconcilerTestCase, cluster, evolve_host, web


class GatheringTests(ReconcilerTestCase):
    """The apps that are asked for, drift, and the agents' hosts."""

    def test_only_dirty_apps_are_asked_for(self) -> None:
        """A hint that names an app fetches that app and nothing else."""
        self.begin(*cluster(5))
        self.marathon.set(*cluster(4), web("app4", 10004, tasks=2))
        self.reconciler.poke(event_hint({"/app4"}))
        self.assertEqual(len(self.marathon.asked), 1)
        self.assertIn("/app4", str(self.marathon.asked[0]))
        self.assertEqual(len(self.applier.applied), 2)

    def test_many_dirty_apps_are_one_full_answer(self) -> None:
        """More apps at once than a full answer is worth are asked for by one."""
        apps = cluster(MANY + 10)
        self.begin(*apps)
        self.reconciler.poke(event_hint(app.id for app in apps))
        self.assertEqual(len(self.marathon.asked), 1)

    def test_first_answer_is_about_everything(self) -> None:
        """Before the whole is known a hint about one app asks about all."""
        self.marathon.set(*cluster(3))
        self.reconciler.poke(event_hint({"/app1"}))
        self.assertEqual(len(self.served()), 3)

    def test_drift(self) -> None:
        """What a full comparison finds and no event named is counted; what events named is not."""
        self.begin(*cluster(5))
        self.reconciler.poke(event_hint({"/app1"}))
        self.marathon.hold()
        self.reconciler.poke(event_hint({"/app2"}))
        self.reconciler.poke(EVERYTHING)
        self.marathon.set(*(web(f"app{n}", 10000 + n, tasks=2) for n in range(5)))
        self.marathon.release()
        self.clock.advance(5)
        self.assertEqual(self.reconciler.status.drift, 4)

    def test_no_drift(self) -> None:
        """Where Marathon is polled no event could have named anything, so nothing has been missed."""
        self.make(evolve(self.settings, mode="poll"))
        self.begin(*cluster(5))
        self.marathon.set(*(web(f"app{n}", 10000 + n, tasks=2) for n in range(5)))
        self.reconciler.poke(EVERYTHING)
        self.clock.advance(5)
        self.assertEqual(self.reconciler.status.drift, 0)
        self.assertEqual(len(self.applier.applied), 2)

    def test_moved_host(self) -> None:
        """A new address of an agent reaches the configuration though no app has changed."""
        app = evolve_host(web("shop"), "agent1")
        self.hosts.addresses["agent1"] = "10.0.0.1"
        self.begin(app)
        self.hosts.move("agent1", "10.0.0.2")
        self.reconciler.poke(Hint.of(None, Cause(CauseKind.ADDRESS, "agent1")))
        self.assertIn("10.0.0.2:41000", self.applier.applied[-1].template)

    def test_hosts_in_use(self) -> None:
        """After each full comparison the names of agents that run nothing any more are forgotten."""
        self.begin(evolve_host(web("shop"), "agent1"))
        self.assertEqual(self.hosts.kept[-1], {"agent1"})
        self.marathon.set()
        self.reconciler.poke(event_hint({"/shop"}))
        self.assertEqual(self.hosts.kept[-1], {"agent1"})
        self.reconciler.poke(EVERYTHING)
        self.assertEqual(self.hosts.kept[-1], set())
