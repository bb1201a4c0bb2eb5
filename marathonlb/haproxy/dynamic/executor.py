"""
Execution of steps through the runtime API: their order, the consequences of a refusal, and what is put back.

Gains are executed first, and losses only where all gains succeeded; the loss of a server that was drained before takes
no capacity away and goes along with the gains. The commands that read back go along with the last steps, so the usual
change of a task is one write and one reply. A server that is replaced is out of service for the moment that it takes to
become idle, one at a time in each backend; where it does not become idle, it is put back.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from attrs import define, field
from twisted.internet.interfaces import IReactorTime

from marathonlb.haproxy.dynamic.servers import Step, Steps
from marathonlb.haproxy.runtime.interfaces import IRuntimeConnection
from marathonlb.haproxy.runtime.replies import CommandRefusal, refusal
from marathonlb.timers import pause

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
