"""Health checks: the evaluation of results, and the periodic probes."""

from __future__ import annotations

from attrs import evolve
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from minimarathon.model import App, Health, HealthCheck, Task
from minimarathon.tasks.health import AlwaysHealthy, HealthChecks, IHealth, IProbes, evaluate
from tests.minimarathon.clusters import app, task

CHECK = HealthCheck(grace=10, interval=5, timeout=2, max_failures=2)


class JudgeTests(SynchronousTestCase):
    """`evaluate`."""

    def test_table(self) -> None:
        """Each row: what was known, how it went, the task's age; what is known then, and whether it is killed."""
        well = Health(alive=True, first_success=1, last_success=1)
        sick = Health(alive=False, failures=1, last_failure=2, cause="x")
        worse = evolve(well, alive=False, failures=1, last_failure=9, cause="x")
        better = evolve(sick, alive=True, failures=0, first_success=9, last_success=9)
        rows = [
            ("first success", None, None, 0, Health(alive=True, first_success=9, last_success=9), False),
            ("failure in the grace period", None, "x", 9, None, False),
            ("failure after it", None, "x", 10, Health(failures=1, last_failure=9, cause="x"), False),
            ("failure in it after a success", well, "x", 0, worse, False),
            ("success again", sick, None, 99, better, False),
            ("one too many", sick, "y", 99, evolve(sick, failures=2, last_failure=9, cause="y"), True),
        ]  # fmt: skip
        for name, had, cause, age, health, killed in rows:
            self.assertEqual((health, killed), evaluate(had, cause, 9, CHECK, age), name)

    def test_never_killed(self) -> None:
        """With maxConsecutiveFailures 0 nothing is ever killed."""
        known: Health | None = None
        for _ in range(5):
            known, killed = evaluate(known, "x", 9, evolve(CHECK, max_failures=0), 99)
            self.assertFalse(killed)


@implementer(IProbes)
class Probes:
    """Probes whose results the test sets."""

    def __init__(self) -> None:
        self.asked: list[Deferred[None]] = []

    def probe(self, check: HealthCheck, task: Task, app: App) -> Deferred[None]:
        self.asked.append(Deferred())
        return self.asked[-1]


class HealthChecksTests(SynchronousTestCase):
    """`HealthChecks`."""

    def setUp(self) -> None:
        self.clock, self.probes = Clock(), Probes()
        self.checks = HealthChecks(self.probes, self.clock, self.clock.seconds)
        self.reports: list[tuple[int, bool, bool]] = []
        self.checks.watch(
            evolve(task("a"), checks=(evolve(CHECK, grace=0),), health=(None,)),
            app(),
            lambda index, health, hopeless: self.reports.append((index, health.alive, hopeless)),
        )

    def test_interface(self) -> None:
        """Both kinds are `IHealth`."""
        self.assertTrue(verifyObject(IHealth, self.checks))
        self.assertTrue(verifyObject(IHealth, AlwaysHealthy(self.clock, self.clock.seconds)))
        self.assertTrue(verifyObject(IProbes, self.probes))

    def test_again_and_again(self) -> None:
        """A check is asked each interval, from one interval on."""
        self.assertEqual([], self.probes.asked)
        for count in (1, 2):
            self.clock.advance(5)
            self.assertEqual(count, len(self.probes.asked))
            self.probes.asked[-1].callback(None)
        self.assertEqual([(0, True, False)] * 2, self.reports)

    def test_timeout(self) -> None:
        """No answer in time is a failure, and the next question is not asked before."""
        self.clock.advance(5)
        self.clock.advance(1.9)
        self.assertEqual([], self.reports)
        self.clock.advance(0.2)
        self.assertEqual([(0, False, False)], self.reports)
        self.clock.advance(3)
        self.probes.asked[-1].errback(ValueError("refused"))
        self.assertEqual([(0, False, False), (0, False, True)], self.reports)

    def test_forgotten(self) -> None:
        """A task that is forgotten is asked no more, and an answer that is under way is not reported."""
        self.clock.advance(5)
        self.checks.forget("a")
        self.checks.forget("a")
        self.clock.advance(100)
        self.assertEqual((1, []), (len(self.probes.asked), self.reports))
        self.assertEqual([], self.clock.getDelayedCalls())

    def test_stop(self) -> None:
        """A stop forgets every task."""
        self.checks.stop()
        self.assertEqual([], self.clock.getDelayedCalls())
