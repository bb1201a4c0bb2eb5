"""`ReconnectingEventSource`: its loop, its delays and its full comparisons."""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.logger import LogEvent, formatEvent, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from marathonlb.base.causes import Cause, CauseKind
from marathonlb.marathon.events.base import ReconnectingEventSource
from marathonlb.marathon.events.hints import Hint


class _Source(ReconnectingEventSource):
    """A source that fails as often as its test says, and then works until it is stopped."""

    name = "test source"

    def __init__(self, clock: Clock, hints: list[Hint], failures: int, endpoints: int = 1) -> None:
        super().__init__(hints.append, clock, 300, 8, lambda: 1.0)
        self._left = failures
        self._endpoints = endpoints
        self.attempted_at: list[float] = []
        self.defect: Exception | None = None
        self.cleaned = 0

    async def _run(self) -> None:
        if self.defect is not None:
            raise self.defect
        while True:
            self.attempted_at.append(self._clock.seconds())
            if self._left == 0:
                self._succeeded()
                await Deferred()
            self._left -= 1
            await self._failed(f"failure {self._left}", self._endpoints)

    async def _clean_up(self) -> None:
        self.cleaned += 1


class ReconnectingEventSourceTests(SynchronousTestCase):
    """`ReconnectingEventSource`."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.hints: list[Hint] = []
        self.log: list[str] = []
        globalLogPublisher.addObserver(self._observe)
        self.addCleanup(globalLogPublisher.removeObserver, self._observe)

    def _observe(self, event: LogEvent) -> None:
        self.log.append(formatEvent(event))

    def start(self, failures: int, endpoints: int = 1) -> _Source:
        """Return a source that was started."""
        source = _Source(self.clock, self.hints, failures, endpoints)
        source.startService()
        self.addCleanup(source.stopService)
        return source

    def test_delays(self) -> None:
        """The delays double up to the maximum, and a success forgets the failures."""
        source = self.start(6)
        self.assertEqual((1, "failure 5"), (source.attempts, source.problem))
        self.clock.pump([1] * 40)
        self.assertEqual([0, 1, 3, 7, 15, 23, 31], source.attempted_at)
        self.assertEqual((0, ""), (source.attempts, source.problem))

    def test_several_endpoints(self) -> None:
        """The delay grows once each endpoint has failed."""
        source = self.start(4, endpoints=2)
        self.clock.pump([1] * 10)
        self.assertEqual([0, 1, 2, 4, 6], source.attempted_at)

    def test_log(self) -> None:
        """Each failure is logged with its reason, the delay, and the fact that HAProxy keeps serving."""
        self.start(1)
        self.assertIn("failure 0; retrying in 1.0 s, HAProxy keeps serving unchanged", self.log)

    def test_first_failure(self) -> None:
        """The first failure asks for a full comparison, later ones do not."""
        self.start(5)
        self.clock.pump([1] * 20)
        self.assertEqual([Hint.of(None, Cause(CauseKind.NO_EVENTS_YET))], self.hints)

    def test_resync(self) -> None:
        """Everything is compared at the interval, from one interval after the start on."""
        self.start(0)
        self.clock.pump([299, 1, 300])
        self.assertEqual([Hint.of(None, Cause(CauseKind.RESYNC))] * 2, self.hints)

    def test_stop(self) -> None:
        """A stop ends the loop, leaves no timer and cleans up once."""
        for failures in (0, 1):
            source = self.start(failures)
            self.successResultOf(source.stopService())
            self.assertEqual(([], 1), (self.clock.getDelayedCalls(), source.cleaned))

    def test_defect(self) -> None:
        """A defect in the loop is logged with the advice to restart, and the comparisons at the interval go on."""
        source = _Source(self.clock, self.hints, 0)
        source.defect = ValueError("x")
        source.startService()
        self.addCleanup(source.stopService)
        self.assertEqual(1, len(self.flushLoggedErrors(ValueError)))
        self.assertIn("test source stopped because of a defect in marathon-lb; restart it", "".join(self.log))
        self.clock.advance(300)
        self.assertEqual(1, len(self.hints))
