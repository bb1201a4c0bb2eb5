"""`Poller`, on a clock that stands still."""

from __future__ import annotations

from twisted.internet.defer import Deferred, fail
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from marathonlb.base.causes import Cause, CauseKind
from marathonlb.marathon.events.hints import Hint
from marathonlb.marathon.events.poller import Poller


class PollerTests(SynchronousTestCase):
    """`Poller`."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.hints: list[Hint] = []

    def test_interval(self) -> None:
        """Everything is compared at once and then at each interval."""
        poller = Poller(self.hints.append, self.clock, 60)
        poller.startService()
        self.clock.pump([60, 60])
        self.assertEqual(self.hints, [Hint.of(None, Cause(CauseKind.POLL))] * 3)
        self.successResultOf(poller.stopService())  # type: ignore[arg-type]
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_slow(self) -> None:
        """While a comparison is under way there is no other poll."""
        waiting: list[Deferred[object]] = []

        def idle() -> Deferred[object]:
            waiting.append(Deferred())
            return waiting[-1]

        poller = Poller(self.hints.append, self.clock, 60, idle)
        poller.startService()
        self.clock.pump([60] * 5)
        self.assertEqual(len(self.hints), 1)
        waiting[0].callback(None)
        self.clock.advance(60)
        self.assertEqual(len(self.hints), 2)
        self.successResultOf(poller.stopService())  # type: ignore[arg-type]
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_failure(self) -> None:
        """A failed comparison is logged and does not end the polling."""
        poller = Poller(self.hints.append, self.clock, 60, lambda: fail(ValueError("x")))
        poller.startService()
        self.clock.advance(60)
        self.assertEqual(len(self.hints), 2)
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 2)
        self.successResultOf(poller.stopService())  # type: ignore[arg-type]
