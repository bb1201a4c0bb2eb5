"""
Poll Marathon at an interval (``--mode=poll``).

Like each source of hints this is a service that calls ``poke`` with a `Hint` and knows nothing else of the controller.
The status page reads the attributes that `marathonlb.marathon.events.base.ReconnectingEventSource` names.
"""

from __future__ import annotations

from collections.abc import Callable

from twisted.application.service import Service
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from marathonlb.base.causes import Cause, CauseKind
from marathonlb.marathon.events.base import Poke
from marathonlb.marathon.events.hints import Hint


class Poller(Service):
    """
    Asks for a full comparison at an interval (``--mode=poll``).

    :param interval: seconds between two comparisons.
    :param idle: returns a Deferred that fires when the comparison is done, so that two never overlap; its failure is
        logged and changes nothing.
    """

    name = "poll"
    _log = Logger()

    def __init__(
        self,
        poke: Poke,
        clock: IReactorTime,
        interval: float = 60,
        idle: Callable[[], Deferred[object]] | None = None,
    ) -> None:
        self.last_event_at: float | None = None
        self.connected_to: str | None = None
        self.attempts = 0
        self.problem = ""
        self._poke = poke
        self._clock = clock
        self._interval = interval
        self._idle = idle
        self._waiting: Deferred[object] | None = None
        self._loop = LoopingCall(self._tick)
        self._loop.clock = clock
        self._ended: Deferred[object] | None = None

    def startService(self) -> None:
        """Ask for a comparison now and at each interval."""
        super().startService()  # type: ignore[no-untyped-call]
        self._ended = self._loop.start(self._interval).addCallback(lambda _: None)

    def stopService(self) -> Deferred[object] | None:
        """Stop; return a Deferred that fires when nothing is waited for any more."""
        super().stopService()  # type: ignore[no-untyped-call]
        ended, self._ended = self._ended, None
        if self._loop.running:
            self._loop.stop()
        if self._waiting is not None:
            self._waiting.cancel()
        return ended

    def _tick(self) -> Deferred[object] | None:
        self.last_event_at = self._clock.seconds()
        self._poke(Hint.of(None, Cause(CauseKind.POLL)))
        if self._idle is None:
            return None
        self._waiting = self._idle()
        return self._waiting.addErrback(self._log_failure).addBoth(self._done)

    def _log_failure(self, reason: Failure) -> None:
        if not reason.check(CancelledError):
            self._log.failure(
                "A poll failed because of a defect in marathon-lb; the next one follows as usual",
                reason,
            )

    def _done(self, result: object) -> None:
        self._waiting = None
