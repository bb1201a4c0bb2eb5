"""What is done behind the steps: the file follows what runs, and the graveyard is emptied."""

from __future__ import annotations

from collections.abc import Callable

from twisted.application.service import Service
from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from marathonlb.errors import MarathonLBError
from marathonlb.haproxy.files.disk import explain_error

FOLLOW = 0.5
"""Seconds from a step to the file that has it: many steps are one writing."""

AGAIN = 5.0
"""Seconds until a writing that failed is tried again."""

DIG = 2.0
"""Seconds between two looks at the graveyard."""


class Chores(Service):
    """
    Lets the file follow.

    While it is not started as a service nothing is put off, so a run that ends leaves a file that is what runs.

    :param write: writes what runs.
    :param dig: deletes what can be deleted of the graveyard.
    """

    name = "chores"
    _log = Logger()

    def __init__(
        self, write: Callable[[], Deferred[None]], dig: Callable[[], Deferred[None]], clock: IReactorTime
    ) -> None:
        self._write = write
        self._dig = dig
        self._clock = clock
        self._dirty = False
        self._alarm: IDelayedCall | None = None
        self._work: Deferred[None] | None = None
        self._digging = LoopingCall(self._dig_safely)
        self._digging.clock = clock

    def startService(self) -> None:
        """Look at the graveyard from now on."""
        super().startService()  # type: ignore[no-untyped-call]
        self._digging.start(DIG, now=False).addErrback(
            lambda failure: self._log.failure("The graveyard is not emptied any more; restart", failure)
        )

    def stopService(self) -> Deferred[None]:
        """Write what is not written yet."""
        super().stopService()  # type: ignore[no-untyped-call]
        if self._digging.running:
            self._digging.stop()
        return self.flush()

    def behind(self) -> Deferred[None]:
        """
        HAProxy runs something that the file does not say yet.

        :return: fires when nothing needs to be waited for; without the service being started, when it is written.
        """
        self._dirty = True
        if not self.running:
            return self.flush()
        if self._work is None and self._alarm is None:
            self._alarm = self._clock.callLater(FOLLOW, self._begin)
        return succeed(None)

    def later(self) -> None:
        """Write again after a while: something could not be done now."""
        self._dirty = True
        if self.running and self._alarm is None:
            self._alarm = self._clock.callLater(AGAIN, self._begin)

    def drop(self) -> None:
        """What would be written is written otherwise."""
        self._dirty = False
        self._silence()

    def flush(self) -> Deferred[None]:
        """Write what is not written yet; fires when it is. Fails as the writing does where no service tries again."""
        self._silence()
        return Deferred.fromCoroutine(self._flush())

    async def _flush(self) -> None:
        if self._work is not None:
            await self._until_written(self._work)
        if self._dirty:
            self._dirty = False
            await self._write()

    def _until_written(self, work: Deferred[None]) -> Deferred[None]:
        done: Deferred[None] = Deferred()

        def tell(result: None) -> None:
            done.callback(None)
            return result

        work.addBoth(tell)
        return done

    def _silence(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None

    def _begin(self) -> None:
        self._alarm = None
        if self._dirty:
            self._dirty = False
            self._work = self._write()
            self._work.addErrback(self._failed)
            self._work.addBoth(self._ended)

    def _failed(self, failure: Failure) -> None:
        if failure.check(CancelledError):
            return
        if not failure.check(MarathonLBError, OSError):
            self._log.failure("The configuration could not be written behind: a defect", failure)
        else:
            self._log.error(
                "HAProxy runs what is wanted, but the file is behind: {reason}. It is tried again in {seconds} s",
                reason=explain_error(failure.value),
                seconds=AGAIN,
            )
        self.later()

    def _ended(self, _: object) -> None:
        self._work = None
        if self._dirty and self._alarm is None and self.running:
            self._alarm = self._clock.callLater(FOLLOW, self._begin)

    def _dig_safely(self) -> Deferred[None]:
        return self._dig().addErrback(
            lambda failure: self._log.failure("The graveyard could not be emptied: a defect", failure)
        )
