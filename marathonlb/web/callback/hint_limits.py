"""
Bounds what posts to the callback make the controller ask Marathon for: anyone can post there.

A hint is never lost: what comes too often waits for the rest of the second, put together into one.
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
"""Maximum number of apps that are passed on at once in such a time; what two of them bring is asked for one by one."""

WAITING = 20 * MANY
"""Maximum number of apps that wait by name; where there are more, everything is looked at."""


class HintLimiter(Service):
    """
    Passes hints on: few at once, many together.

    :param poke: is given what may be looked at now.
    """

    def __init__(self, poke: Poke, clock: IReactorTime) -> None:
        self._poke = poke
        self._clock = clock
        self._apps: set[str] = set()
        self._waiting: Hint | None = None
        self._round: IDelayedCall | None = None

    def hear(self, hint: Hint) -> None:
        """Pass a hint on, now or before this second ends."""
        if self._waiting is None and self._fits(hint):
            self._begin()
            self._pass(hint)
            return
        waiting = hint if self._waiting is None else together([self._waiting, hint])
        if waiting.apps is not None and len(waiting.apps) > WAITING:
            waiting = evolve(waiting, apps=None)
        self._waiting = waiting

    def stopService(self) -> Any:
        """Pass on nothing more."""
        self._waiting = None
        if self._round is not None:
            self._round.cancel()
            self._round = None
        return super().stopService()  # type: ignore[no-untyped-call]

    def _fits(self, hint: Hint) -> bool:
        """Whether this round has room for it: for one full comparison, and for a few apps."""
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
        """A new round begins, with what has waited for it."""
        self._round = None
        self._apps.clear()
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            self._begin()
            self._pass(waiting)
