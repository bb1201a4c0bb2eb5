"""Run an operation once for all that ask for it at the same time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

T = TypeVar("T")


class SingleFlight(Generic[T]):
    """
    One run of an operation, shared by all that wait for it.

    When the last waiting Deferred is cancelled, the run is cancelled, too.

    :param start: starts a run.
    """

    def __init__(self, start: Callable[[], Deferred[T]]) -> None:
        self._start = start
        self._waiting: list[Deferred[T]] = []
        self._running: Deferred[None] | None = None

    def join(self) -> Deferred[T]:
        """Return a Deferred of the result of the current run; start one if none is under way."""
        waiting: Deferred[T] = Deferred(self._leave)
        self._waiting.append(waiting)
        if len(self._waiting) == 1:
            self._running = self._start().addBoth(self._land, self._waiting)
        return waiting

    def _leave(self, waiting: Deferred[T]) -> None:
        self._waiting.remove(waiting)
        if not self._waiting and self._running is not None:
            self._waiting = []  # later callers start a new run
            self._running.cancel()

    def _land(self, result: T | Failure, waiting: list[Deferred[T]]) -> None:
        if waiting is self._waiting:
            self._waiting = []
        for deferred in waiting:
            deferred.callback(result)
