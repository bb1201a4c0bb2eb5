"""
Saying steps: in which order, what a refusal of each kind leads to, and what is put back.

What adds capacity is said first, and what takes it away only where all of that succeeded; what takes none away, since
it was drained before, goes along with the first. The questions what came of it go along with the last, so the usual
change of a task is one writing and one answer. A server that is made anew is taken out for the moment that it takes to
become idle, one at a time in each backend; where it does not, it is put back.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from attrs import define, field
from twisted.internet.interfaces import IReactorTime

from marathonlb.haproxy.dynamic.servers import Step, Steps
from marathonlb.haproxy.runtime.interfaces import IRuntimeConnection
from marathonlb.haproxy.runtime.replies import CommandRefusal, refusal
from marathonlb.timers import pause

PATIENCE = (0.002, 0.01, 0.03, 0.1)
"""Seconds that a server in maintenance is given to become idle, again and again, until it is put back."""


@define
class Said:
    """
    What came of it.

    :ivar refused: the first refusal after which nothing more was said.
    :ivar buried: the servers that are to go and are in use, by backend.
    :ivar answers: to the questions that were asked.
    """

    refused: CommandRefusal | None = None
    buried: dict[str, set[str]] = field(factory=dict)
    answers: Sequence[str] = ()


async def say(
    talk: IRuntimeConnection, steps: Steps, clock: IReactorTime, questions: Sequence[str] = ()
) -> Said:
    """
    Carry steps out, and ask what came of them. Raises `HAProxyUnavailable`; then nobody knows which of them were.

    :param questions: commands that change nothing, asked when all is done; not asked after a refusal.
    """
    said = Said()
    replaced = [step for step in steps.losses if step.kind == "replaced"]
    idle = [step for step in steps.losses if step.idle]
    others = [step for step in steps.losses if not step.idle and step.kind != "replaced"]
    more = bool(replaced or others)
    said.refused = await _say(talk, [*steps.gains, *idle], said, () if more else questions)
    for wave in _waves(replaced):
        if said.refused is None:
            said.refused = await _replace(talk, wave, clock)
    if said.refused is None and more:
        said.refused = await _say(talk, others, said, questions)
    return said


async def _say(
    talk: IRuntimeConnection, steps: Sequence[Step], said: Said, questions: Sequence[str]
) -> CommandRefusal | None:
    """Say steps, one after another, and then ask; the first refusal that cannot be helped."""
    again: list[Step] = []
    first: CommandRefusal | None = None
    refusals, said.answers = await _refusals(talk, [step.commands for step in steps], questions)
    for step, refused in zip(steps, refusals, strict=True):
        if refused is None:
            continue
        if step.kind == "removed" and refused.command.startswith("del server "):
            backend, _, server = step.target.partition("/")
            said.buried.setdefault(backend, set()).add(server)
        elif step.kind == "added" and refused.id_taken:
            again.append(step.without_id())
        else:
            first = first or refused
    if first is None and again:
        return await _say(talk, again, said, questions)
    return first


async def _refusals(
    talk: IRuntimeConnection, groups: Sequence[Sequence[str]], questions: Sequence[str] = ()
) -> tuple[list[CommandRefusal | None], list[str]]:
    """Say groups of commands, and ask; the first refusal of each group, and the answers."""
    answers = iter(await talk.execute([*(command for group in groups for command in group), *questions]))
    refusals = []
    for group in groups:
        said = [refusal(command, next(answers)) for command in group]
        refusals.append(next((each for each in said if each is not None), None))
    return refusals, list(answers)


def _waves(steps: Sequence[Step]) -> Iterator[list[Step]]:
    """One server of each backend at a time."""
    backends: dict[str, list[Step]] = {}
    for step in steps:
        backends.setdefault(step.target.partition("/")[0], []).append(step)
    for number in range(max(map(len, backends.values()), default=0)):
        yield [own[number] for own in backends.values() if number < len(own)]


async def _replace(
    talk: IRuntimeConnection, wave: Sequence[Step], clock: IReactorTime
) -> CommandRefusal | None:
    """Make servers anew; one that stays in use, or cannot be made so, is put back as it was."""
    first: CommandRefusal | None = None
    await talk.execute([step.commands[0] for step in wave])
    left = list(wave)
    for seconds in PATIENCE:
        await pause(clock, seconds)
        in_use: list[Step] = []
        gone: list[Step] = []
        refusals, _ = await _refusals(talk, [step.commands[1:2] for step in left])
        for step, refused in zip(left, refusals, strict=True):
            if refused is None:
                gone.append(step)
            elif refused.in_use and seconds != PATIENCE[-1]:
                in_use.append(step)
            else:
                first = first or refused
                await talk.execute([f"enable server {step.target}"])
        first = await _make(talk, gone) or first
        left = in_use
        if not left:
            break
    return first


async def _make(talk: IRuntimeConnection, steps: Sequence[Step]) -> CommandRefusal | None:
    """Add the servers that were deleted."""
    first: CommandRefusal | None = None
    refusals, _ = await _refusals(talk, [step.commands[2:] for step in steps])
    for step, refused in zip(steps, refusals, strict=True):
        if refused is not None and refused.id_taken:
            ((refused,), _) = await _refusals(talk, [step.without_id().commands[2:]])
        if refused is not None:
            first = first or refused
            await talk.execute(step.undo)
    return first
