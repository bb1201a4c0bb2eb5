"""
Limits how often posts to the callback make the controller query Marathon: anyone can post there.

No hint is lost: hints that come too often are merged into one and wait for the rest of the second.
"""

from __future__ import annotations

from typing import Any

from attrs import evolve
from twisted.application.service import Service
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from marathonlb.marathon.events.base import Poke
from marathonlb.marathon.events.hints import Hint, together
from marathonlb.marathon.gatherer import MANY

INTERVAL = 1.0
"""Seconds between two hints that may lead to a full comparison."""

APPS = MANY // 2
"""Maximum number of apps passed on in one interval; the apps of two intervals are still queried one by one."""

WAITING = 20 * MANY
"""Maximum number of apps that wait by name; with more, a full comparison is made."""


class HintLimiter(Service):
    """
    Passes few hints on at once, and merges many.

    :param poke: is called with each hint that is passed on.
    """

    def __init__(self, poke: Poke, clock: IReactorTime) -> None:
        self._poke = poke
        self._clock = clock
        self._apps: set[str] = set()
        self._waiting: Hint | None = None
        self._round: IDelayedCall | None = None

    def hear(self, hint: Hint) -> None:
        """Pass a hint on, now or at the end of this interval."""
        if self._waiting is None and self._fits(hint):
            self._begin()
            self._pass(hint)
            return
        waiting = hint if self._waiting is None else together([self._waiting, hint])
        if waiting.apps is not None and len(waiting.apps) > WAITING:
            waiting = evolve(waiting, apps=None)
        self._waiting = waiting

    def stopService(self) -> Any:
        """Drop the waiting hints and stop."""
        self._waiting = None
        if self._round is not None:
            self._round.cancel()
            self._round = None
        return super().stopService()  # type: ignore[no-untyped-call]

    def _fits(self, hint: Hint) -> bool:
        """Return whether this interval has room for the hint: for one full comparison or a few apps."""
        if hint.apps is None or len(hint.apps) > APPS:
            return self._round is None
        return len(self._apps | hint.apps) <= APPS

    def _begin(self) -> None:
        if self._round is None:
            self._round = self._clock.callLater(INTERVAL, self._next)

    def _pass(self, hint: Hint) -> None:
        if hint.apps is not None and len(hint.apps) <= APPS:
            self._apps |= hint.apps
        self._poke(hint)

    def _next(self) -> None:
        """Begin a new interval with the waiting hint."""
        self._round = None
        self._apps.clear()
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            self._begin()
            self._pass(waiting)
