"""Named timers, pauses and the delays between retries, as the whole package uses them."""

from __future__ import annotations

from collections.abc import Callable
from random import random

from msgspec import Struct
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.internet.task import deferLater


class NamedTimers:
    """
    Delayed calls on one clock, each under a name of its own.

    Setting a name again replaces the call that was pending under it.
    """

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._calls: dict[str, IDelayedCall] = {}

    def set(self, name: str, seconds: float, call: Callable[[], object]) -> None:
        """
        Call something later, instead of what is pending under this name.

        :param seconds: delay on the clock; a negative one counts as 0.
        """

        def fire() -> None:
            del self._calls[name]
            call()

        self.cancel(name)
        self._calls[name] = self._clock.callLater(max(0.0, seconds), fire)

    def cancel(self, name: str) -> None:
        """Cancel the call that is pending under this name, if there is one."""
        pending = self._calls.pop(name, None)
        if pending is not None:
            pending.cancel()

    def cancel_all(self) -> None:
        """Cancel every pending call."""
        for name in list(self._calls):
            self.cancel(name)

    def __contains__(self, name: str) -> bool:
        return name in self._calls


def pause(clock: IReactorTime, seconds: float) -> Deferred[None]:
    """Return a Deferred that fires after this many seconds; cancelling it ends the wait with `CancelledError`."""
    return deferLater(clock, seconds, lambda: None)


class Backoff(Struct, frozen=True, kw_only=True):
    """
    Exponential delays between retries: the initial one, doubled with each further failure up to the longest.

    :param initial: seconds after the first failure.
    :param longest: maximum number of seconds.
    :param jitter: returns a number from 0 to 1. It shortens a delay by up to a half, so that several controllers do not
        retry at the same moment; 1 leaves the delay as it is.
    """

    initial: float = 1.0
    longest: float
    jitter: Callable[[], float] = random

    def delay(self, failures: int) -> float:
        """
        Return the seconds to wait before the next attempt.

        :param failures: failures in a row, the last one included; 0 counts as 1.
        """
        from twisted.application.internet import backoffPolicy

        full = backoffPolicy(self.initial, self.longest, factor=2.0, jitter=_no_addition)
        return full(max(failures - 1, 0)) * (0.5 + self.jitter() / 2)


def _no_addition() -> float:
    """Return the jitter that Twisted's policy is to add to a delay: none, since `Backoff` shortens the delay."""
    return 0.0
