"""When the controller converges: one convergence at a time, and no hint is lost."""

from __future__ import annotations

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from marathonlb.controller.event_log import EventLog
from marathonlb.controller.scheduler import PATIENCE, Scheduler
from marathonlb.controller.status import CurrentStatus
from marathonlb.errors import HAProxyUnavailable
from marathonlb.timers import Backoff, NamedTimers
from tests.fakes.hints import event_hint
from tests.reconciling import EVERYTHING, ReconcilerTestCase, cluster, web


class HintTests(ReconcilerTestCase):
    """One convergence at a time, and no hint is lost."""

    def test_nothing_before_a_hint(self) -> None:
        """Without a hint nobody is asked."""
        self.clock.advance(1000)
        self.assertEqual(self.marathon.asked, [])

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


class RetryTests(ReconcilerTestCase):
    """A failed convergence is tried again."""

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

    def test_stop_during_a_convergence(self) -> None:
        """Stopping gives up what is under way, and waits for its end."""
        self.marathon.hold()
        self.reconciler.poke(EVERYTHING)
        self.successResultOf(self.reconciler.stopService())
        self.marathon.release()
        self.clock.advance(100)
        self.assertEqual(self.applier.applied, [])
        self.assertEqual(self.clock.getDelayedCalls(), [])


class SchedulerTests(SynchronousTestCase):
    """The state machine by itself."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.status = CurrentStatus()
        self.work: list[Deferred[bool]] = []
        self.retries: list[float] = []
        self.ending: Deferred[None] | None = None
        timers = NamedTimers(self.clock)
        self.addCleanup(lambda: self.assertEqual(self.clock.getDelayedCalls(), []))
        self.addCleanup(timers.cancel_all)
        self.scheduler = Scheduler(
            self.converge,
            lambda: self.retries.append(self.clock.seconds()),
            self.status,
            EventLog(),
            self.clock,
            timers,
            Backoff(initial=8, longest=100, jitter=lambda: 1.0),
        )

    async def converge(self) -> bool:
        """Converge until the test says so."""
        self.work.append(Deferred())
        try:
            return await self.work[-1]
        except CancelledError:
            if self.ending is not None:
                await self.ending
            raise

    def test_a_failure_rests(self) -> None:
        """After a failure a hint waits for a moment; without one the retry comes after the back-off."""
        self.scheduler.start()
        self.scheduler.hint()
        self.work[0].errback(HAProxyUnavailable(reason="gone"))
        self.scheduler.hint()
        self.scheduler.hint()
        self.assertEqual(len(self.work), 1)
        self.clock.advance(PATIENCE)
        self.assertEqual(len(self.work), 2)
        self.work[1].errback(HAProxyUnavailable(reason="gone"))
        self.clock.advance(PATIENCE)
        self.assertEqual((len(self.work), self.retries), (2, []))
        self.clock.advance(16 - PATIENCE)
        self.assertEqual(self.retries, [17.0])
        self.scheduler.hint()
        self.assertEqual(len(self.work), 3)
        self.work[2].callback(True)
        self.assertEqual((self.status.now.failures, self.status.now.converged), (0, 4))

    def test_unsettled_is_not_converged(self) -> None:
        """A convergence whose plan HAProxy does not run yet is no failure, and has not converged."""
        self.scheduler.start()
        self.scheduler.hint()
        self.work[0].callback(False)
        self.assertEqual((self.status.now.failures, self.status.now.converged), (0, 0))

    def test_idle(self) -> None:
        """Idle fires at once without a convergence, and at the end of the last one else."""
        self.successResultOf(self.scheduler.idle())
        self.scheduler.start()
        self.scheduler.hint()
        idle = self.scheduler.idle()
        self.scheduler.hint()
        self.work[0].callback(True)
        self.assertNoResult(idle)
        self.work[1].callback(True)
        self.successResultOf(idle)

    def test_nothing_begins_after_the_stop(self) -> None:
        """Stopping cancels the convergence under way, and hints after it only count."""
        self.scheduler.start()
        self.scheduler.hint()
        self.successResultOf(self.scheduler.stop())
        self.scheduler.hint()
        self.successResultOf(self.scheduler.stop())
        self.assertEqual((len(self.work), self.status.now.generation, self.status.now.failures), (1, 2, 0))

    def test_a_new_start_waits_for_the_old_end(self) -> None:
        """A cancelled convergence that takes time to end is followed by the next one, and never joined by it."""
        self.ending = ending = Deferred[None]()
        self.scheduler.start()
        self.scheduler.hint()
        stopped = self.scheduler.stop()
        self.assertNoResult(stopped)
        self.scheduler.start()
        self.assertEqual(len(self.work), 1)
        ending.callback(None)
        self.successResultOf(stopped)
        self.assertEqual(len(self.work), 2)
        self.work[1].callback(True)
        self.successResultOf(self.scheduler.idle())
