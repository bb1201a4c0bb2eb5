"""
Apply changes through the runtime API and verify each by reading the state back; on a mismatch, ask for a reload.

The updater keeps no state: it is given what is to be done to which worker, and returns what HAProxy answered. A command
that HAProxy refuses or does not answer, and a server that reads back as something else, are reasons for a reload. A
worker that is not the one that confirmed the running configuration gets no command.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager

from attrs import evolve
from twisted.internet.interfaces import IReactorTime

from marathonlb.config.text.model import Config
from marathonlb.errors import HAProxyUnavailable
from marathonlb.haproxy.dynamic.backends import (
    ReportedBackends,
    delete_unused,
    find_backends,
    require_published,
    unpublish,
)
from marathonlb.haproxy.dynamic.capabilities import RuntimeCapabilities
from marathonlb.haproxy.dynamic.executor import Execution, execute_steps
from marathonlb.haproxy.dynamic.maps import MapUpdater
from marathonlb.haproxy.dynamic.server_state import deviations_of, parse_state, questions
from marathonlb.haproxy.dynamic.servers import HeldServer, held_by
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
    from_refusal,
)
from marathonlb.haproxy.runtime.interfaces import IRuntimeConnection
from marathonlb.haproxy.runtime.replies import refusal
from marathonlb.timers import pause

MOVE_WAITS = (0.002, 0.02, 0.2)
"""Seconds between looks at a new address: HAProxy 3.0 and later confirm it a moment before it changes."""

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

        :param worker: the process id of the worker that it is for; another one gets no command.
        """
        try:
            async with self._connection(plan.comparison.running) as connection:
                if await connection.worker_pid() != worker:
                    return UpdateResult(reasons=(WORKER_RESTARTED,), trouble=Trouble.OTHER_WORKER)
                if plan.looks:
                    return await _read(connection, plan)
                return await self._apply_steps(connection, plan)
        except HAProxyUnavailable as error:
            reason = ReloadReason(ReasonKind.RUNTIME_API_UNAVAILABLE, detail=str(error))
            return UpdateResult(reasons=(reason,), trouble=Trouble.UNAVAILABLE)

    async def _apply_steps(self, connection: IRuntimeConnection, plan: UpdatePlan) -> UpdateResult:
        readable = [name for name, change in plan.backends.items() if change.readable]
        looks = questions([*readable, *plan.created])
        execution = await execute_steps(connection, plan.steps, self._clock, looks)
        if execution.refused is not None:
            return UpdateResult(reasons=(from_refusal(execution.refused),), refusal=execution.refused)
        failed = await self._read_back(connection, plan, execution)
        if failed is not None:
            return failed
        result = UpdateResult(
            plan.steps,
            {name: execution.undeleted.get(name, ()) for name in plan.backends},
            tuple(plan.created),
            reasons=plan.reasons,
            may_wait=plan.may_wait,
        )
        return await self._change_ways(connection, plan, result)

    async def _change_ways(
        self, connection: IRuntimeConnection, plan: UpdatePlan, result: UpdateResult
    ) -> UpdateResult:
        """Change the maps, and withdraw the backends that they do not name any more."""
        if plan.maps:
            steps, failed = await self._maps.change(connection, plan.maps, plan.comparison.running.maps)
            result = evolve(
                result,
                steps=result.steps + steps,
                maps={} if failed else plan.maps,
                reasons=(*failed, *plan.reasons),
                may_wait=plan.may_wait and not failed,
            )
        if plan.withdrawn and not result.reasons:
            steps, failed = await unpublish(connection, plan.withdrawn)
            result = evolve(
                result, steps=result.steps + steps, withdrawn=plan.withdrawn, reasons=failed, may_wait=False
            )
        return result

    async def _read_back(
        self, connection: IRuntimeConnection, plan: UpdatePlan, execution: Execution
    ) -> UpdateResult | None:
        """Compare what HAProxy holds with what was planned; return the result where that is something else."""
        expected = {
            name: change.expected(execution.undeleted.get(name, ()))
            for name, change in plan.backends.items()
            if change.readable
        }
        expected.update({name: held_by(backend) for name, backend in plan.created.items()})
        differing = deviations_of(expected, execution.replies)
        if differing and any(step.kind == "moved" for step in plan.steps.gains):
            differing = await self._wait_for_move(connection, expected)
        if not differing:
            closed = await require_published(connection, tuple(plan.created)) if plan.created else ()
            return UpdateResult(reasons=closed) if closed else None
        held = {
            name: {**expected[name], **differing.get(name, {})} for name in expected if name in plan.backends
        }
        backend, servers = next(iter(differing.items()))
        reason = ReloadReason(
            ReasonKind.READ_BACK_DIFFERS,
            f"{backend}/{next(iter(servers))}",
            "does not read back as set",
            "server",
        )
        if plan.created:
            return UpdateResult(held=held, reasons=(reason,))
        return UpdateResult(plan.steps, held=held, reasons=(reason,), trouble=Trouble.MISMATCH)

    async def _wait_for_move(
        self, connection: IRuntimeConnection, expected: Mapping[str, Mapping[str, HeldServer]]
    ) -> dict[str, dict[str, HeldServer | None]]:
        """Return what still differs after the moment that a new address takes."""
        differing: dict[str, dict[str, HeldServer | None]] = {}
        for seconds in MOVE_WAITS:
            await pause(self._clock, seconds)
            differing = deviations_of(expected, await connection.execute(questions(expected)))
            if not differing:
                break
        return differing

    # servers that are drained early, and what is deleted

    async def drain(self, worker: int, config: Config, servers: Sequence[ServerName]) -> bool:
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
        self, worker: int, config: Config, servers: Sequence[ServerName], backends: Sequence[str]
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


async def _read(connection: IRuntimeConnection, plan: UpdatePlan) -> UpdateResult:
    """Read back the backends that are unsure."""
    replies = await connection.execute(questions(plan.unsure))
    reported = {
        name: parse_state(reply).get(name, {}) for name, reply in zip(plan.unsure, replies, strict=True)
    }
    backends = None
    if plan.look_for_backends:
        backends = await find_backends(connection, plan.comparison.running)
    return UpdateResult(reported=reported, reported_backends=backends)
