"""The common base of the event sources: a loop with back-off, and a full comparison at an interval."""

from __future__ import annotations

from collections.abc import Callable

from twisted.application.service import Service
from twisted.internet.defer import CancelledError, Deferred, DeferredList
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from marathonlb.base.causes import Cause, CauseKind
from marathonlb.marathon.events.hints import Hint
from marathonlb.timers import Backoff, pause

Poke = Callable[[Hint], object]
"""Takes a hint: requests a convergence."""


class ReconnectingEventSource(Service):
    """
    A service with a loop that receives events, and a full comparison at an interval.

    :ivar last_event_at: time of the last event, in the clock's seconds; None before the first.
    :ivar connected_to: the URL of the Marathon that sends the events; None while there is none.
    :ivar attempts: failures in a row.
    :ivar problem: the last failure, for the operator; empty while the source works.
    """

    _log = Logger()

    def __init__(
        self,
        poke: Poke,
        clock: IReactorTime,
        resync_interval: float,
        max_backoff: float,
        jitter: Callable[[], float],
    ) -> None:
        self.last_event_at: float | None = None
        self.connected_to: str | None = None
        self.attempts = 0
        self.problem = ""
        self._poke = poke
        self._clock = clock
        self._resync_interval = resync_interval
        self._backoff = Backoff(longest=max_backoff, jitter=jitter)
        self._looked = False
        self._resync = LoopingCall(self._look_at_everything, Cause(CauseKind.RESYNC))
        self._resync.clock = clock
        self._running: list[Deferred[None]] = []

    def startService(self) -> None:
        """Start the loop and the interval of the full comparisons."""
        super().startService()  # type: ignore[no-untyped-call]
        resync = self._resync.start(self._resync_interval, now=False).addCallback(lambda _: None)
        self._running = [Deferred.fromCoroutine(self._run()), resync]
        for running in self._running:
            running.addErrback(self._ended)

    def stopService(self) -> Deferred[object]:
        """Stop; return a Deferred that fires when nothing is under way any more."""
        super().stopService()  # type: ignore[no-untyped-call]
        running, self._running = self._running, []
        if self._resync.running:
            self._resync.stop()
        for loop in running:
            loop.cancel()
        return DeferredList(running).addCallback(lambda _: Deferred.fromCoroutine(self._clean_up()))

    async def _run(self) -> None:
        """Run the loop, which a subclass provides."""
        raise NotImplementedError

    async def _clean_up(self) -> None:
        """Undo what the loop has set up; a subclass may have something to undo."""

    def _ended(self, reason: Failure) -> None:
        if not reason.check(CancelledError):
            self._log.failure(
                "{source} stopped because of a defect in marathon-lb; restart it, since events are missed",
                reason,
                source=self.name,
            )

    def _look_at_everything(self, cause: Cause) -> None:
        self._looked = True
        self._poke(Hint.of(None, cause))

    async def _failed(self, problem: str, endpoints: int = 1) -> None:
        """
        Log a failure and wait; the first one also asks for a full comparison, for a Marathon that never sends events.

        :param endpoints: number of Marathons that take turns; the delay grows once each of them has failed.
        """
        self.connected_to = None
        self.attempts += 1
        self.problem = problem
        seconds = self._backoff.delay(1 + (self.attempts - 1) // endpoints)
        self._log.warn(
            "{problem}; retrying in {seconds:.1f} s, HAProxy keeps serving unchanged",
            problem=problem,
            seconds=seconds,
        )
        if not self._looked:
            self._look_at_everything(Cause(CauseKind.NO_EVENTS_YET))
        await pause(self._clock, seconds)

    def _succeeded(self) -> None:
        self.attempts = 0
        self.problem = ""
