"""The reconciler: what it does with hints, answers, failures and refusals; nothing here is real but its logic."""

from __future__ import annotations

from typing import Any

import msgspec
from attrs import evolve
from twisted.internet.defer import Deferred

from marathonlb.causes import Cause, CauseKind
from marathonlb.controller.scheduler import PATIENCE
from marathonlb.controller.unready import READINESS
from marathonlb.errors import ReloadFailed, SourceError
from marathonlb.haproxy.outcome import action_word
from marathonlb.marathon.events.hints import Hint
from marathonlb.marathon.gatherer import MANY
from marathonlb.marathon.model import App
from marathonlb.settings import Settings
from tests.fakes.hints import event_hint
from tests.reconciling import EVERYTHING, ReconcilerTestCase, cluster, evolve_host, web


class HintTests(ReconcilerTestCase):
    """One convergence at a time, and no hint is lost."""

    def test_nothing_before_a_hint(self) -> None:
        """Without a hint nobody is asked."""
        self.clock.advance(1000)
        self.assertEqual(self.marathon.asked, [])

    def test_why(self) -> None:
        """The log counts what a change came of, event by event, though several arrive together and the reload waits."""
        self.begin(web("shop"))
        self.marathon.set(web("shop", tasks=2))
        self.marathon.hold()
        self.reconciler.poke(EVERYTHING)
        for types in (("health_status_changed_event", "deployment_info"), ("health_status_changed_event",)):
            self.reconciler.poke(event_hint(None, *types))
        self.marathon.set(web("shop", tasks=3))
        self.marathon.release(1)
        self.marathon.set(web("shop", tasks=4))
        self.marathon.release()
        self.clock.advance(1)
        *_, line = self.said("because of")
        self.assertIn("because of 2 x health_status_changed_event, a reload put off, deployment_info", line)

    def test_adopted(self) -> None:
        """That the HAProxy which was adopted runs what is wanted is said once, after the start."""
        self.begin(web("shop"))
        self.assertEqual(self.said("already"), [])
        self.reconciler.stopService()
        self.make(self.settings)
        for _ in range(3):
            self.reconciler.poke(EVERYTHING)
            self.clock.advance(10)
        self.assertEqual(
            self.said("already"),
            ["HAProxy runs the planned configuration already: 1 services, 1 servers"],
        )

    def test_first_hint_acts_at_once(self) -> None:
        """A hint is answered in the same turn of the reactor."""
        self.marathon.set(web("shop"))
        self.reconciler.poke(EVERYTHING)
        self.assertEqual(self.served(), {"shop_10000"})
        self.assertEqual(self.reconciler.status.converged, self.reconciler.status.generation)

    def test_hint_before_start(self) -> None:
        """What is poked before the service starts is done at its start."""
        self.reconciler.stopService()
        self.marathon.set(web("shop"))
        self.reconciler.poke(EVERYTHING)
        self.assertEqual(self.marathon.asked, [])
        self.reconciler.startService()
        self.assertEqual(self.served(), {"shop_10000"})

    def test_burst_ends_in_one_convergence(self) -> None:
        """A hundred hints during one convergence are answered by a single further one."""
        self.begin(web("shop"))
        self.marathon.hold()
        self.reconciler.poke(event_hint({"/shop"}))
        for _ in range(100):
            self.reconciler.poke(event_hint({"/shop"}))
        self.marathon.set(web("shop", tasks=3))
        self.marathon.release()
        self.clock.advance(1)
        self.assertEqual(len(self.marathon.asked), 2)
        self.assertEqual(self.reconciler.planned.servers if self.reconciler.planned else 0, 3)

    def test_hint_during_apply_is_not_lost(self) -> None:
        """A hint that comes while HAProxy reloads begins another convergence."""
        self.begin(web("shop"))
        self.applier.hold()
        self.marathon.set(web("shop", tasks=2))
        self.reconciler.poke(event_hint({"/shop"}))
        self.marathon.set(web("shop", tasks=5))
        self.reconciler.poke(event_hint({"/shop"}))
        self.applier.release()
        self.clock.advance(1)
        self.assertEqual(self.reconciler.planned.servers if self.reconciler.planned else 0, 5)

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

    def test_no_change_applies_nothing(self) -> None:
        """An event that changes nothing reaches neither the renderer nor HAProxy."""
        self.begin(web("shop"))
        before = len(self.applier.wanted)
        self.reconciler.poke(event_hint({"/shop"}))
        self.assertEqual(len(self.applier.wanted), before)

    def test_readiness(self) -> None:
        """An app with a task that is not ready is asked about again until it is, since no event tells."""
        waiting = evolve_task(web("shop", tasks=1), ready=False)
        self.begin(web("other", 10001), waiting)
        self.assertEqual(self.reconciler.planned.servers if self.reconciler.planned else 0, 1)
        self.clock.advance(READINESS)
        self.assertEqual(self.marathon.asked, ["/shop"])
        self.marathon.put(evolve_task(waiting, ready=True))
        self.clock.advance(READINESS)
        self.assertEqual(self.reconciler.planned.servers if self.reconciler.planned else 0, 2)
        asked = len(self.marathon.asked)
        self.clock.advance(READINESS)
        self.clock.advance(READINESS)
        self.assertEqual(len(self.marathon.asked), asked)

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

    def test_reload_on_request_during_another(self) -> None:
        """SIGUSR1 while HAProxy reloads is not lost."""
        self.marathon.set(web("shop"))
        self.applier.hold()
        self.reconciler.poke(EVERYTHING)
        self.reconciler.reload(Cause(CauseKind.SIGNAL, "SIGUSR1"))
        self.applier.release()
        self.clock.advance(5)
        self.assertEqual(len(self.applier.applied), 2)

    def test_reload_before_the_first_answer(self) -> None:
        """SIGUSR1 before Marathon has ever answered says that it waits, and is done then."""
        self.marathon.fail("no leader")
        self.reconciler.poke(EVERYTHING)
        self.reconciler.reload(Cause(CauseKind.SIGNAL, "SIGUSR1"))
        self.assertEqual(len(self.said("SIGUSR1: HAProxy is reloaded after Marathon's first answer")), 1)
        self.marathon.set(web("shop"))
        self.marathon.fail(None)
        self.clock.advance(10)
        self.assertEqual(self.served(), {"shop_10000"})

    def test_reload_on_request(self) -> None:
        """SIGUSR1 reloads once though nothing differs, and says so."""
        self.begin(web("shop"))
        self.reconciler.reload(Cause(CauseKind.SIGNAL, "SIGUSR1"))
        self.clock.advance(1)
        self.assertEqual(len(self.applier.applied), 2)
        self.reconciler.poke(EVERYTHING)
        self.clock.advance(1)
        self.assertEqual(len(self.applier.applied), 2)


def evolve_task(app: App, **fields: Any) -> App:
    """The app with other values in its tasks."""
    tasks = tuple(msgspec.structs.replace(task, **fields) for task in app.tasks)
    return msgspec.structs.replace(app, tasks=tasks)


class FailureTests(ReconcilerTestCase):
    """Whatever fails, what is served goes on, and it is tried again."""

    def test_marathon_down(self) -> None:
        """A Marathon that is down takes nothing away, is said once as an error, and is asked again with back-off."""
        self.begin(*cluster(3))
        self.marathon.fail("connection refused")
        self.reconciler.poke(EVERYTHING)
        for _ in range(10):
            self.clock.advance(10)
        self.assertEqual(len(self.served()), 3)
        self.assertEqual(len(self.applier.applied), 1)
        self.assertTrue(2 < len(self.marathon.asked) < 10, self.marathon.asked)
        errors = [
            e for e in self.logged if e["log_level"].name == "error" and "not applied" in e["log_format"]
        ]
        self.assertEqual(len(errors), 1)
        self.assertIn("connection refused", self.reconciler.status.failure)

    def test_recovers(self) -> None:
        """When Marathon is back, the hint that failed is done without another."""
        self.begin(web("shop"))
        self.marathon.fail("connection refused")
        self.reconciler.poke(event_hint({"/shop"}))
        self.marathon.set(web("shop", tasks=4))
        self.marathon.fail(None)
        self.clock.advance(2)
        self.assertEqual(self.reconciler.planned.servers if self.reconciler.planned else 0, 4)
        self.assertEqual(self.reconciler.status.failures, 0)

    def test_new_hint_shortens_the_back_off(self) -> None:
        """After many failures a new hint is tried within a second."""
        self.begin(web("shop"))
        self.marathon.fail("down")
        self.reconciler.poke(EVERYTHING)
        for _ in range(12):
            self.clock.advance(60)
        asked = len(self.marathon.asked)
        self.reconciler.poke(EVERYTHING)
        self.clock.advance(PATIENCE)
        self.assertGreater(len(self.marathon.asked), asked)

    def test_defect_is_logged_and_tried_again(self) -> None:
        """An error that nobody foresaw is logged with its traceback and does not end the controller."""
        self.begin(web("shop"))
        self.applier.fail_next(ZeroDivisionError("oops"))
        self.marathon.set(web("shop", tasks=2))
        self.reconciler.poke(EVERYTHING)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.clock.advance(10)
        self.assertEqual(len(self.applier.applied), 2)

    def test_reload_fails(self) -> None:
        """A failed reload is tried again with the same text, although no hint comes."""
        self.begin(web("shop"))
        self.applier.fail_next(ReloadFailed(reason="timed out"))
        self.marathon.set(web("shop", tasks=2))
        self.reconciler.poke(EVERYTHING)
        self.assertIn("timed out", self.reconciler.status.failure)
        self.clock.advance(10)
        self.assertEqual(len(self.applier.applied), 2)
        self.assertEqual(self.reconciler.status.failure, "")

    def test_one_app_unreadable(self) -> None:
        """An app that cannot be read keeps what it had; the others move on."""
        self.begin(web("good", 10000), web("odd", 10001, tasks=2))
        self.marathon.set(web("good", 10000, tasks=3))
        self.marathon.garble("/odd")
        self.reconciler.poke(EVERYTHING)
        self.assertEqual(self.served(), {"good_10000", "odd_10001"})
        self.assertEqual(self.reconciler.planned.servers if self.reconciler.planned else 0, 5)

    def test_stop_during_a_convergence(self) -> None:
        """Stopping gives up what is under way, and waits for its end."""
        self.marathon.hold()
        self.reconciler.poke(EVERYTHING)
        self.successResultOf(self.reconciler.stopService())
        self.marathon.release()
        self.clock.advance(100)
        self.assertEqual(self.applier.applied, [])
        self.assertEqual(self.clock.getDelayedCalls(), [])


class FloorTests(ReconcilerTestCase):
    """Reloads keep their distance."""

    settings = Settings(ssl_certs=(), min_reload_interval=5, max_shrink=100)

    def test_floor(self) -> None:
        """Within --min-reload-interval changes are gathered, and none is lost."""
        self.marathon.set(web("shop"))
        self.reconciler.poke(EVERYTHING)
        self.assertEqual(len(self.applier.applied), 1)
        for tasks in range(2, 5):
            self.marathon.set(web("shop", tasks=tasks))
            self.reconciler.poke(EVERYTHING)
        self.assertEqual(len(self.applier.applied), 1)
        self.clock.advance(5)
        self.assertEqual(len(self.applier.applied), 2)
        self.assertEqual(self.reconciler.planned.servers if self.reconciler.planned else 0, 4)

    def test_marathon_is_asked_meanwhile(self) -> None:
        """The floor delays the reload alone: what is known is up to date when its time comes."""
        self.marathon.set(web("shop"))
        self.reconciler.poke(EVERYTHING)
        asked = len(self.marathon.asked)
        self.marathon.set(web("shop", tasks=2))
        self.reconciler.poke(event_hint({"/shop"}))
        self.assertEqual(len(self.marathon.asked), asked + 1)
        self.assertLess(self.reconciler.status.converged, self.reconciler.status.generation)
        self.clock.advance(5)
        self.assertEqual(len(self.marathon.asked), asked + 1)
        self.assertEqual(self.reconciler.status.converged, self.reconciler.status.generation)

    def test_gathers(self) -> None:
        """A reload that nobody waits for gathers others, no longer than the floor, though more and more come."""
        self.begin(web("shop"))
        self.applier.gathers = True
        reloads = len(self.applier.applied)
        for second in range(5):
            self.marathon.set(web("shop", tasks=2 + second))
            self.reconciler.poke(EVERYTHING)
            self.assertEqual(len(self.applier.applied), reloads, second)
            self.clock.advance(1)
        self.assertEqual(len(self.applier.applied), reloads + 1)
        self.assertEqual(self.reconciler.planned.servers if self.reconciler.planned else 0, 6)
        self.marathon.set(web("shop"))
        self.reconciler.poke(EVERYTHING)
        self.clock.advance(4.9)
        self.assertEqual(len(self.applier.applied), reloads + 1)
        self.clock.advance(0.1)
        self.assertEqual(len(self.applier.applied), reloads + 2)

    def test_does_not_gather_for_long(self) -> None:
        """What the floor has held up already does not wait for others again; what others wait for does not at all."""
        self.begin(web("shop"))
        self.marathon.set(web("shop", tasks=2))
        self.reconciler.poke(EVERYTHING)
        reloads = len(self.applier.applied)
        self.applier.gathers = True
        self.marathon.set(web("shop", tasks=3))
        self.reconciler.poke(EVERYTHING)
        self.clock.advance(5)
        self.assertEqual(len(self.applier.applied), reloads + 1)


class KillTests(ReconcilerTestCase):
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


class OnceTests(ReconcilerTestCase):
    """A single run, as the script makes it."""

    def test_once(self) -> None:
        """It applies what Marathon says, and leaves no timer behind."""
        self.marathon.set(*cluster(2))
        outcome = self.successResultOf(as_deferred(self.reconciler.once()))
        self.assertEqual(action_word(outcome) if outcome else "", "reload")
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_failure_is_raised(self) -> None:
        """What fails is raised, for the exit status."""
        self.marathon.fail("connection refused")
        self.failureResultOf(as_deferred(self.reconciler.once()), SourceError)

    def test_look_changes_nothing(self) -> None:
        """Looking says what is wanted and applies nothing."""
        self.marathon.set(*cluster(2))
        wanted = self.successResultOf(as_deferred(self.reconciler.look()))
        self.assertEqual(len(wanted.services), 2)
        self.assertEqual(self.applier.wanted, [])


def as_deferred(coroutine: Any) -> Any:
    """The coroutine as what trial's assertions take."""

    return Deferred.fromCoroutine(coroutine)
