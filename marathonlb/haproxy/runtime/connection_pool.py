"""
One conversation with HAProxy's worker kept open from step to step: connecting costs more than most steps do.

A connection that HAProxy has closed meanwhile (a reload, its time-out) shows when a conversation begins by asking who
the worker is; that is asked again over a new one. What changes something is never said twice.
This is for the master's socket, which leads to whatever worker takes new connections. One to a worker's own stats
socket would stay with that worker after a reload, and keep it from ending.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from twisted.application.service import Service
from twisted.internet.defer import Deferred
from zope.interface import implementer

from marathonlb.config.text.model import Config
from marathonlb.errors import HAProxyUnavailable
from marathonlb.haproxy.runtime.connection import ITalk

T = TypeVar("T")
Connect = Callable[[Config], Awaitable[ITalk]]


class KeptTalks(Service):
    """
    Lends one conversation at a time. While the service is not running each is hung up when it ends.

    :param connect: makes a new one.
    """

    def __init__(self, connect: Connect) -> None:
        self._connect = connect
        self._kept: ITalk | None = None

    async def __call__(self, config: Config) -> ITalk:
        """A conversation, which is not lent to anybody else until it is closed. Raises `HAProxyUnavailable`."""
        kept, self._kept = self._kept, None
        lent = _Lent(self, config)
        lent.talk = kept or await self._connect(config)
        lent.used = kept is not None
        return lent

    async def fresh(self, config: Config) -> ITalk:
        """One that nobody has used. Raises `HAProxyUnavailable`."""
        return await self._connect(config)

    def take_back(self, talk: ITalk, *, well: bool) -> None:
        """A conversation is over; `well` where it can go on."""
        if well and self.running and self._kept is None:
            self._kept = talk
        else:
            talk.close()

    def stopService(self) -> None:
        """Hang up."""
        super().stopService()  # type: ignore[no-untyped-call]
        kept, self._kept = self._kept, None
        if kept is not None:
            kept.close()


@implementer(ITalk)
class _Lent:
    """A conversation that goes back when it is closed."""

    talk: ITalk
    used: bool

    def __init__(self, keeper: KeptTalks, config: Config) -> None:
        self._keeper = keeper
        self._config = config
        self._well = True

    def pid(self, *, anew: bool = False) -> Deferred[int]:
        """See `ITalk.pid`."""
        return Deferred.fromCoroutine(self._pid(anew))

    async def _pid(self, anew: bool) -> int:
        used, self.used = self.used, False
        try:
            return await self._heard(self.talk.pid(anew=anew))
        except HAProxyUnavailable:
            if not used:
                raise
        self.talk.close()
        self.talk = await self._keeper.fresh(self._config)
        self._well = True
        return await self._heard(self.talk.pid())

    def say(self, commands: Sequence[str]) -> Deferred[list[str]]:
        """See `ITalk.say`."""
        self.used = False
        return Deferred.fromCoroutine(self._heard(self.talk.say(commands)))

    async def _heard(self, answer: Deferred[T]) -> T:
        self._well = False
        heard = await answer
        self._well = True
        return heard

    def close(self) -> None:
        """See `ITalk.close`."""
        self._keeper.take_back(self.talk, well=self._well)
