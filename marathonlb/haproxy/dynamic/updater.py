"""
Apply changes through the runtime API and verify each by reading the state back; on a mismatch, ask for a reload.

The updater keeps no state: it is given what is to be done to which worker, and returns what HAProxy answered. A command
that HAProxy refuses or does not answer, and a server that reads back as something else, are reasons for a reload. A
worker that is not the one that confirmed the running configuration gets no command.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from contextlib import asynccontextmanager

from twisted.internet.interfaces import IReactorTime

from marathonlb.config.text.model import Config
from marathonlb.errors import HAProxyUnavailable
from marathonlb.haproxy.dynamic.backends import (
    ReportedBackends,
    delete_unused,
    find_backends,
)
from marathonlb.haproxy.dynamic.capabilities import RuntimeCapabilities
from marathonlb.haproxy.dynamic.executor import PlanExecutor
from marathonlb.haproxy.dynamic.maps import MapUpdater
from marathonlb.haproxy.dynamic.server_state import parse_state
from marathonlb.haproxy.dynamic.update import (
    Deletions,
    ServerName,
    Trouble,
    UpdatePlan,
    UpdateResult,
    WorkerIdentity,
    WorkerObservation,
)
from marathonlb.haproxy.reload_reason import (
    WORKER_RESTARTED,
    ReasonKind,
    ReloadReason,
)
from marathonlb.haproxy.runtime.interfaces import IRuntimeConnection
from marathonlb.haproxy.runtime.replies import refusal

Connect = Callable[[Config], Awaitable[IRuntimeConnection]]
"""Connects to the worker of a HAProxy that runs a configuration; raises `HAProxyUnavailable`."""


class RuntimeUpdater:
    """
    Carries out what was planned, and reads back what came of it.

    :param directory: where the map files lie.
    """

    def __init__(self, connect: Connect, directory: str, clock: IReactorTime) -> None:
        self._connect = connect
        self._clock = clock
        self._maps = MapUpdater(directory)

    @asynccontextmanager
    async def _connection(self, config: Config) -> AsyncIterator[IRuntimeConnection]:
        connection = await self._connect(config)
        try:
            yield connection
        finally:
            connection.close()

    # which worker runs, and what it holds

    async def identify(self, config: Config, known: RuntimeCapabilities) -> WorkerIdentity | None:
        """
        Return the worker that takes new connections; None where the runtime API does not answer.

        :param config: the configuration that it runs.
        :param known: what was learnt of its version before.
        """
        try:
            async with self._connection(config) as connection:
                return await _identify(connection, known)
        except HAProxyUnavailable:
            return None

    async def observe(self, config: Config, known: RuntimeCapabilities) -> WorkerObservation | None:
        """Return all that the worker holds; None where the runtime API does not answer. See `identify`."""
        try:
            async with self._connection(config) as connection:
                identity = await _identify(connection, known)
                (reply,) = await connection.execute(["show servers state"])
                maps = await self._maps.differing(connection, config)
                backends = ReportedBackends()
                if identity.capabilities.limits.creates_backends:
                    backends = await find_backends(connection, config)
                return WorkerObservation(identity, parse_state(reply), maps, backends)
        except HAProxyUnavailable:
            return None

    async def runs(self, worker: int, config: Config) -> bool | None:
        """Return whether this worker still takes new connections; None where the runtime API does not answer."""
        try:
            async with self._connection(config) as connection:
                return await connection.worker_pid(refresh=True) == worker
        except HAProxyUnavailable:
            return None

    async def server_state(self, config: Config) -> tuple[int | None, str]:
        """Return the worker and its reply to ``show servers state``; None and nothing where it does not answer."""
        try:
            async with self._connection(config) as connection:
                worker = await connection.worker_pid(refresh=True)
                (reply,) = await connection.execute(["show servers state"])
                return worker, reply
        except HAProxyUnavailable:
            return None, ""

    # updates

    async def carry_out(self, worker: int | None, plan: UpdatePlan) -> UpdateResult:
        """
        Carry out a plan.

        HAProxy is not asked where there is nothing to do: sections may differ in what means nothing at runtime.

        :param worker: the process id of the worker that it is for; another one gets no command.
        """
        if not plan:
            backends: dict[str, Collection[str]] = dict.fromkeys(plan.backends, ())
            return UpdateResult(backends=backends, reasons=plan.reasons, may_wait=plan.may_wait)
        try:
            async with self._connection(plan.comparison.running) as connection:
                if await connection.worker_pid() != worker:
                    return UpdateResult(reasons=(WORKER_RESTARTED,), trouble=Trouble.OTHER_WORKER)
                return await PlanExecutor(connection, plan, self._clock, self._maps).execute()
        except HAProxyUnavailable as error:
            reason = ReloadReason(ReasonKind.RUNTIME_API_UNAVAILABLE, detail=str(error))
            return UpdateResult(reasons=(reason,), trouble=Trouble.UNAVAILABLE)

    # servers that are drained early, and what is deleted

    async def drain(self, worker: int | None, config: Config, servers: Sequence[ServerName]) -> bool:
        """Let servers take no new requests; return False where the runtime API does not answer. See `carry_out`."""
        try:
            async with self._connection(config) as connection:
                if await connection.worker_pid() == worker:
                    await connection.execute(
                        [f"set server {backend}/{server} state drain" for backend, server in servers]
                    )
        except HAProxyUnavailable:
            return False
        return True

    async def delete(
        self, worker: int | None, config: Config, servers: Sequence[ServerName], backends: Sequence[str]
    ) -> Deletions | None:
        """
        Delete drained servers and unpublished backends that are not in use any more.

        :return: None where the runtime API does not answer; then it is unknown what is deleted.
        """
        commands = [f"del server {backend}/{server}" for backend, server in servers]
        try:
            async with self._connection(config) as connection:
                if await connection.worker_pid() != worker:
                    return Deletions({}, ())
                replies = await connection.execute(commands)
                deleted = await delete_unused(connection, backends) if backends else ()
        except HAProxyUnavailable:
            return None
        gone = (refusal(command, reply) is None for command, reply in zip(commands, replies, strict=True))
        return Deletions(dict(zip(servers, gone, strict=True)), deleted)


async def _identify(connection: IRuntimeConnection, known: RuntimeCapabilities) -> WorkerIdentity:
    pid = await connection.worker_pid(refresh=True)
    version, server_help = await connection.execute(["show version", "add server help"])
    return WorkerIdentity(pid, known.updated(version, server_help))
