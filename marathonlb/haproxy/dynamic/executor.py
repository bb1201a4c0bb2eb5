"""
Execution of a plan through the runtime API: the order, the consequences of a refusal, and what is read back.

Servers come first, then maps, then the backends that no map names any more. Of the servers, gains are executed first,
and losses only where all gains succeeded; the loss of a server that was drained before takes no capacity away and goes
along with the gains. The commands that read back go along with the last steps, so the usual change of a task is one
write and one reply. A server that is replaced is out of service for the moment that it takes to become idle, one at a
time in each backend; where it does not become idle, it is put back.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from attrs import define, evolve, field
from twisted.internet.interfaces import IReactorTime

from marathonlb.haproxy.dynamic.backends import find_backends, require_published, unpublish
from marathonlb.haproxy.dynamic.maps import MapUpdater
from marathonlb.haproxy.dynamic.server_state import deviations_of, parse_state, questions
from marathonlb.haproxy.dynamic.servers import HeldServer, Step, Steps, held_by
from marathonlb.haproxy.dynamic.update import Trouble, UpdatePlan, UpdateResult
from marathonlb.haproxy.reload_reason import ReasonKind, ReloadReason, from_refusal
from marathonlb.haproxy.runtime.interfaces import IRuntimeConnection
from marathonlb.haproxy.runtime.replies import CommandRefusal, refusal
from marathonlb.timers import pause

MOVE_WAITS = (0.002, 0.02, 0.2)
"""Seconds between looks at a new address: HAProxy 3.0 and later confirm it a moment before it changes."""

IDLE_WAITS = (0.002, 0.01, 0.03, 0.1)
"""Seconds between attempts to delete a server in maintenance that is in use; after the last one it is put back."""


@define
class Execution:
    """
    The result of executing steps.

    :ivar refused: the first refusal after which nothing more was executed.
    :ivar undeleted: the servers that are to go and are in use, by backend.
    :ivar replies: to the commands that read back.
    """

    refused: CommandRefusal | None = None
    undeleted: dict[str, set[str]] = field(factory=dict)
    replies: Sequence[str] = ()


async def execute_steps(
    connection: IRuntimeConnection, steps: Steps, clock: IReactorTime, questions: Sequence[str] = ()
) -> Execution:
    """
    Execute steps, and read back what HAProxy holds then.

    :param questions: commands that change nothing, executed last; not executed after a refusal.
    :raises HAProxyUnavailable: it is unknown which of the steps were carried out.
    """
    execution = Execution()
    replaced = [step for step in steps.losses if step.kind == "replaced"]
    idle = [step for step in steps.losses if step.idle]
    others = [step for step in steps.losses if not step.idle and step.kind != "replaced"]
    more = bool(replaced or others)
    first = [*steps.gains, *idle]
    execution.refused = await _execute(connection, first, execution, () if more else questions)
    for wave in _one_of_each_backend(replaced):
        if execution.refused is None:
            execution.refused = await _replace(connection, wave, clock)
    if execution.refused is None and more:
        execution.refused = await _execute(connection, others, execution, questions)
    return execution


async def _execute(
    connection: IRuntimeConnection, steps: Sequence[Step], execution: Execution, questions: Sequence[str]
) -> CommandRefusal | None:
    """Execute steps one after another, then the questions; return the first refusal that counts."""
    again: list[Step] = []
    first: CommandRefusal | None = None
    refusals, execution.replies = await _refusals(connection, [step.commands for step in steps], questions)
    for step, refused in zip(steps, refusals, strict=True):
        if refused is None:
            continue
        if step.kind == "removed" and refused.command.startswith("del server "):
            backend, _, server = step.target.partition("/")
            execution.undeleted.setdefault(backend, set()).add(server)
        elif step.kind == "added" and refused.id_taken:
            again.append(step.without_id())
        else:
            first = first or refused
    if first is None and again:
        return await _execute(connection, again, execution, questions)
    return first


async def _refusals(
    connection: IRuntimeConnection, groups: Sequence[Sequence[str]], questions: Sequence[str] = ()
) -> tuple[list[CommandRefusal | None], list[str]]:
    """Execute groups of commands, then the questions; return the first refusal of each group, and the replies."""
    commands = [command for group in groups for command in group]
    replies = iter(await connection.execute([*commands, *questions]))
    refusals = []
    for group in groups:
        of_group = [refusal(command, next(replies)) for command in group]
        refusals.append(next((refused for refused in of_group if refused is not None), None))
    return refusals, list(replies)


def _one_of_each_backend(steps: Sequence[Step]) -> Iterator[list[Step]]:
    """Yield the steps in waves with at most one server of each backend."""
    backends: dict[str, list[Step]] = {}
    for step in steps:
        backends.setdefault(step.target.partition("/")[0], []).append(step)
    for number in range(max(map(len, backends.values()), default=0)):
        yield [own[number] for own in backends.values() if number < len(own)]


async def _replace(
    connection: IRuntimeConnection, wave: Sequence[Step], clock: IReactorTime
) -> CommandRefusal | None:
    """Replace servers; one that stays in use, or cannot be added again, is put back as it was."""
    first: CommandRefusal | None = None
    await connection.execute([step.commands[0] for step in wave])
    left = list(wave)
    for seconds in IDLE_WAITS:
        await pause(clock, seconds)
        in_use: list[Step] = []
        deleted: list[Step] = []
        refusals, _ = await _refusals(connection, [step.commands[1:2] for step in left])
        for step, refused in zip(left, refusals, strict=True):
            if refused is None:
                deleted.append(step)
            elif refused.in_use and seconds != IDLE_WAITS[-1]:
                in_use.append(step)
            else:
                first = first or refused
                await connection.execute([f"enable server {step.target}"])
        first = await _add_again(connection, deleted) or first
        left = in_use
        if not left:
            break
    return first


async def _add_again(connection: IRuntimeConnection, steps: Sequence[Step]) -> CommandRefusal | None:
    """Add the servers that were deleted; one that is refused is added as it was before."""
    first: CommandRefusal | None = None
    refusals, _ = await _refusals(connection, [step.commands[2:] for step in steps])
    for step, refused in zip(steps, refusals, strict=True):
        if refused is not None and refused.id_taken:
            ((refused,), _) = await _refusals(connection, [step.without_id().commands[2:]])
        if refused is not None:
            first = first or refused
            await connection.execute(step.undo)
    return first


class PlanExecutor:
    """
    Carries out one plan.

    :raises HAProxyUnavailable: from every method; it is unknown then which of the changes were made.
    """

    def __init__(
        self, connection: IRuntimeConnection, plan: UpdatePlan, clock: IReactorTime, maps: MapUpdater
    ) -> None:
        self._connection = connection
        self._plan = plan
        self._clock = clock
        self._maps = maps

    async def execute(self) -> UpdateResult:
        """Carry out the plan; where it only reads back, do that."""
        plan = self._plan
        if plan.looks:
            return await self._read_unsure()
        looks = questions([*self._readable(), *plan.created])
        execution = await execute_steps(self._connection, plan.steps, self._clock, looks)
        if execution.refused is not None:
            return UpdateResult(reasons=(from_refusal(execution.refused),), refusal=execution.refused)
        failed = await self._compare(execution)
        if failed is not None:
            return failed
        result = UpdateResult(
            plan.steps,
            {name: execution.undeleted.get(name, ()) for name in plan.backends},
            tuple(plan.created),
            reasons=plan.reasons,
            may_wait=plan.may_wait,
        )
        return await self._change_ways(result)

    def _readable(self) -> list[str]:
        return [name for name, change in self._plan.backends.items() if change.readable]

    async def _read_unsure(self) -> UpdateResult:
        names = self._plan.unsure
        replies = await self._connection.execute(questions(names))
        reported = {
            name: parse_state(reply).get(name, {}) for name, reply in zip(names, replies, strict=True)
        }
        backends = None
        if self._plan.look_for_backends:
            backends = await find_backends(self._connection, self._plan.comparison.running)
        return UpdateResult(reported=reported, reported_backends=backends)

    async def _compare(self, execution: Execution) -> UpdateResult | None:
        """Compare what HAProxy holds with what was planned; return the result where that is something else."""
        plan = self._plan
        expected = {
            name: plan.backends[name].expected(execution.undeleted.get(name, ())) for name in self._readable()
        }
        held_before = tuple(expected)
        expected.update({name: held_by(backend) for name, backend in plan.created.items()})
        differing = deviations_of(expected, execution.replies)
        if differing and any(step.kind == "moved" for step in plan.steps.gains):
            differing = await self._wait_for_move(expected)
        if not differing:
            closed = await require_published(self._connection, tuple(plan.created)) if plan.created else ()
            return UpdateResult(reasons=closed) if closed else None
        held = {name: {**expected[name], **differing.get(name, {})} for name in held_before}
        backend, servers = next(iter(differing.items()))
        server = f"{backend}/{next(iter(servers))}"
        detail = "does not read back as set"
        reason = ReloadReason(ReasonKind.READ_BACK_DIFFERS, server, detail, "server")
        if plan.created:
            return UpdateResult(held=held, reasons=(reason,))
        return UpdateResult(plan.steps, held=held, reasons=(reason,), trouble=Trouble.MISMATCH)

    async def _wait_for_move(
        self, expected: Mapping[str, Mapping[str, HeldServer]]
    ) -> dict[str, dict[str, HeldServer | None]]:
        """Return what still differs after the moment that a new address takes."""
        differing: dict[str, dict[str, HeldServer | None]] = {}
        for seconds in MOVE_WAITS:
            await pause(self._clock, seconds)
            differing = deviations_of(expected, await self._connection.execute(questions(expected)))
            if not differing:
                break
        return differing

    async def _change_ways(self, result: UpdateResult) -> UpdateResult:
        """Change the maps, and withdraw the backends that they do not name any more."""
        plan = self._plan
        if plan.maps:
            steps, failed = await self._maps.change(self._connection, plan.maps, plan.comparison.running.maps)
            result = evolve(
                result,
                steps=result.steps + steps,
                maps={} if failed else plan.maps,
                reasons=(*failed, *plan.reasons),
                may_wait=plan.may_wait and not failed,
            )
        if plan.withdrawn and not result.reasons:
            steps, failed = await unpublish(self._connection, plan.withdrawn)
            result = evolve(
                result, steps=result.steps + steps, withdrawn=plan.withdrawn, reasons=failed, may_wait=False
            )
        return result
