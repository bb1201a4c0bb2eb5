"""
A connection to HAProxy's runtime API that is kept open between updates: connecting costs more than most updates do.

A kept connection that HAProxy has closed meanwhile (a reload, its time-out) is noticed when the next user begins by
asking for the worker's process id; only that question is asked again over a new connection. A command that changes
something is never sent twice.

The pool is for the master's socket, which leads to the worker that accepts new connections. A connection to a worker's
own stats socket would stay with that worker after a reload and keep it from ending.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from twisted.application.service import Service
from twisted.internet.defer import Deferred
from zope.interface import implementer

from marathonlb.config.text.model import Config
from marathonlb.errors import HAProxyUnavailable
from marathonlb.haproxy.runtime.interfaces import IRuntimeConnection

T = TypeVar("T")
Connect = Callable[[Config], Awaitable[IRuntimeConnection]]


class RuntimeConnectionPool(Service):
    """
    Lends one connection at a time and keeps it afterwards. While the service is not running, none is kept.

    :param connect: opens a new connection.
    """

    def __init__(self, connect: Connect) -> None:
        self._connect = connect
        self._kept: IRuntimeConnection | None = None

    async def __call__(self, config: Config) -> IRuntimeConnection:
        """Return a connection for exclusive use until it is closed. Raises `HAProxyUnavailable`."""
        kept, self._kept = self._kept, None
        pooled = _PooledConnection(self, config)
        pooled.connection = kept or await self._connect(config)
        pooled.used = kept is not None
        return pooled

    async def fresh(self, config: Config) -> IRuntimeConnection:
        """Return a new connection. Raises `HAProxyUnavailable`."""
        return await self._connect(config)

    def give_back(self, connection: IRuntimeConnection, *, reusable: bool) -> None:
        """
        Keep a connection, or close it.

        :param reusable: True if every command was replied to.
        """
        if reusable and self.running and self._kept is None:
            self._kept = connection
        else:
            connection.close()

    def stopService(self) -> None:
        """Close the kept connection."""
        super().stopService()  # type: ignore[no-untyped-call]
        kept, self._kept = self._kept, None
        if kept is not None:
            kept.close()


@implementer(IRuntimeConnection)
class _PooledConnection:
    """
    A connection that goes back to the pool when it is closed.

    :ivar used: True until the first command, if the connection was kept from before.
    """

    connection: IRuntimeConnection
    used: bool

    def __init__(self, pool: RuntimeConnectionPool, config: Config) -> None:
        self._pool = pool
        self._config = config
        self._reusable = True

    def worker_pid(self, *, refresh: bool = False) -> Deferred[int]:
        """See `IRuntimeConnection.worker_pid`."""
        return Deferred.fromCoroutine(self._worker_pid(refresh))

    async def _worker_pid(self, refresh: bool) -> int:
        used, self.used = self.used, False
        try:
            return await self._replied(self.connection.worker_pid(refresh=refresh))
        except HAProxyUnavailable:
            if not used:
                raise
        self.connection.close()
        self.connection = await self._pool.fresh(self._config)
        self._reusable = True
        return await self._replied(self.connection.worker_pid())

    def execute(self, commands: Sequence[str]) -> Deferred[list[str]]:
        """See `IRuntimeConnection.execute`."""
        self.used = False
        return Deferred.fromCoroutine(self._replied(self.connection.execute(commands)))

    async def _replied(self, reply: Deferred[T]) -> T:
        self._reusable = False
        value = await reply
        self._reusable = True
        return value

    def close(self) -> None:
        """See `IRuntimeConnection.close`."""
        self._pool.give_back(self.connection, reusable=self._reusable)
