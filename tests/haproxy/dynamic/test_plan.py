"""What runs and what is wanted → a plan, as a table."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from marathonlb.config.text.diff import differences
from marathonlb.config.text.model import Config
from marathonlb.haproxy.dynamic.capabilities import RuntimeCapabilities
from marathonlb.haproxy.dynamic.plan import MAX_STEPS, plan_next, plan_update
from marathonlb.haproxy.dynamic.update import Comparison, UpdatePlan, WorkerIdentity
from marathonlb.haproxy.dynamic.worker_state import WorkerState
from marathonlb.haproxy.reload_reason import ReasonKind, sentence
from tests.haproxy.installation import S, shops
from tests.haproxy.samples import backend, config, frontend

OLD, NEW = RuntimeCapabilities.of("2.8.1"), RuntimeCapabilities.of("3.4.0")


def worker_of(running: Config, capabilities: RuntimeCapabilities = OLD) -> WorkerState:
    """A worker that has just read a configuration."""
    return WorkerState(running, WorkerIdentity(7, capabilities))


def compared(running: Config, wanted: Config, *, adopted: bool = False) -> Comparison:
    return Comparison(running, wanted, differences(running, wanted), adopted=adopted)


def commands(plan: UpdatePlan) -> list[str]:
    return [command for step in (*plan.steps.gains, *plan.steps.losses) for command in step.commands]


class PlanTests(SynchronousTestCase):
    """`plan_update` is pure: a table of two configurations and a plan."""

    def plan(self, running: Config, wanted: Config, capabilities: RuntimeCapabilities = OLD) -> UpdatePlan:
        return plan_update(wanted, compared(running, wanted), worker_of(running, capabilities))

    def test_nothing(self) -> None:
        """Where nothing differs there is nothing to do, and no reason for a reload."""
        plan = self.plan(shops(S[1]), shops(S[1]))
        self.assertFalse(plan)
        self.assertEqual((plan.reasons, plan.backends), ((), {}))

    def test_servers(self) -> None:
        """Servers that differ are steps, gains first."""
        plan = self.plan(shops(S[1]), shops(S[2]))
        self.assertEqual(
            commands(plan),
            [
                "add server shop/s2 10.0.0.2:80 id 2",
                "enable server shop/s2",
                "set server shop/s1 state maint",
                "del server shop/s1",
            ],
        )
        self.assertEqual((list(plan.backends), plan.reasons), (["shop"], ()))

    def test_same_again(self) -> None:
        """Planned twice, the plan is the same: nothing is noted while planning."""
        worker, wanted = worker_of(shops(S[1])), shops(S[1], S[2], maps={"a": "cart"})
        comparison = compared(shops(S[1]), wanted)
        self.assertEqual(plan_update(wanted, comparison, worker), plan_update(wanted, comparison, worker))
        self.assertFalse(worker.has_to_be_read)

    def test_reload(self) -> None:
        """Sections that only a reload changes are its reasons; servers are changed before it."""
        running = shops(S[1])
        wanted = Config((*shops(S[1], S[2]).sections, frontend("more")), running.maps)
        plan = self.plan(running, wanted)
        self.assertEqual(sentence(plan.reasons), "frontend more is new")
        self.assertEqual(plan.steps.changes().counts, {"added": 1})

    def test_obstacle(self) -> None:
        """A server that the runtime API does not take is a reason; the rest is planned."""
        plan = self.plan(shops(S[1]), shops(S[1], f"{S[2]} track x/y", cart=[S[8], S[9]]))
        self.assertEqual([reason.kind for reason in plan.reasons], [ReasonKind.SERVER_NOT_UPDATABLE])
        self.assertEqual(list(plan.backends), ["cart"])

    def test_too_many(self) -> None:
        """Of more steps than a reload is worth none is made."""
        many = [f"server s{n} 10.{n >> 16}.{n >> 8 & 255}.{n & 255}:80" for n in range(1, MAX_STEPS + 2)]
        plan = self.plan(shops(), shops(*many))
        self.assertEqual([reason.kind for reason in plan.reasons], [ReasonKind.TOO_MANY_CHANGES])
        self.assertFalse(plan)

    def test_whole_backends(self) -> None:
        """A new backend takes a reload where HAProxy cannot create one."""
        running, wanted = config(backend("a")), config(backend("a"), backend("b"))
        plan = self.plan(running, wanted)
        self.assertEqual((sentence(plan.reasons), plan.may_wait), ("backend b is new", False))

    def test_may_wait(self) -> None:
        """A reload that only adds a frontend may wait where backends are created at runtime."""
        running = config(backend("a"))
        wanted = Config((*running.sections, frontend("more")), running.maps)
        self.assertEqual(
            [self.plan(running, wanted, capable).may_wait for capable in (OLD, NEW)], [False, True]
        )

    def test_drained_early(self) -> None:
        """A server that was drained after the state was asked for stays drained; else it is put back."""
        running = shops(S[1], S[2])
        worker = worker_of(running)
        worker.drain(running, [("shop", "s1")], 100.0)
        comparison = compared(running, running)
        self.assertEqual(commands(plan_update(running, comparison, worker, 99.0)), [])
        self.assertEqual(
            commands(plan_update(running, comparison, worker, 101.0)), ["set server shop/s1 state ready"]
        )


class NextTests(SynchronousTestCase):
    """What is done next."""

    def test_reads_back_first(self) -> None:
        """As long as a backend is unsure, nothing is planned but to read it back."""
        running, wanted = shops(S[1]), shops(S[2])
        worker = worker_of(running)
        comparison = compared(running, wanted)
        worker.begun(plan_update(wanted, comparison, worker))
        plan = plan_next(wanted, comparison, worker, None)
        self.assertEqual((plan.unsure, plan.looks, commands(plan)), (("shop",), True, []))

    def test_adopted(self) -> None:
        """A HAProxy that was taken over is updated at runtime only where that does everything."""
        running = shops(S[1])
        wanted = Config((*shops(S[2]).sections, frontend("more")), running.maps)
        worker = worker_of(running)
        plan = plan_next(wanted, compared(running, wanted, adopted=True), worker, None)
        self.assertEqual(sentence(plan.reasons), "HAProxy was taken over: frontend more is new")
        self.assertFalse(plan)
        self.assertTrue(plan_next(shops(S[2]), compared(running, shops(S[2]), adopted=True), worker, None))
