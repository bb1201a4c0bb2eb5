"""What the sources of hints share: a loop with back-off, and a full comparison now and then."""

from __future__ import annotations

from collections.abc import Callable

from twisted.application.service import Service
from twisted.internet.defer import CancelledError, Deferred, DeferredList
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from marathonlb.causes import Cause, CauseKind
from marathonlb.marathon.events.hints import Hint
from marathonlb.timers import Backoff, pause

Poke = Callable[[Hint], object]


class Source(Service):
    """
    What the sources share: a loop that runs while the service does, and a full comparison now and then.

    :ivar last_event_at: when the last event came, in the clock's seconds; None before the first.
    :ivar connected_to: the Marathon that we hear from; None while there is none.
    :ivar attempts: failures in a row.
    :ivar problem: the last failure, in an operator's words; empty when all is well.
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
        """Begin to listen."""
        super().startService()  # type: ignore[no-untyped-call]
        resync = self._resync.start(self._resync_interval, now=False).addCallback(lambda _: None)
        self._running = [Deferred.fromCoroutine(self._run()), resync]
        for running in self._running:
            running.addErrback(self._ended)

    def stopService(self) -> Deferred[object]:
        """Fires when nothing of it is under way any more."""
        super().stopService()  # type: ignore[no-untyped-call]
        running, self._running = self._running, []
        if self._resync.running:
            self._resync.stop()
        for each in running:
            each.cancel()
        return DeferredList(running).addCallback(lambda _: Deferred.fromCoroutine(self._farewell()))

    async def _run(self) -> None:
        """The loop; a subclass fills it."""
        raise NotImplementedError

    async def _farewell(self) -> None:
        """What is to be done after the loop."""

    def _ended(self, reason: Failure) -> None:
        if not reason.check(CancelledError):
            self._log.failure(
                "{source} ended by a mistake in this program; restart it", reason, source=self.name
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
            "{problem}; the next attempt is in {seconds:.1f} seconds, what is served stays as it is",
            problem=problem,
            seconds=seconds,
        )
        if not self._looked:
            self._look_at_everything(Cause(CauseKind.NO_EVENTS_YET))
        await pause(self._clock, seconds)

    def _well(self) -> None:
        self.attempts = 0
        self.problem = ""
