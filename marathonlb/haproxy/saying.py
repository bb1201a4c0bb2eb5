"""
Saying steps: in which order, what a refusal of each kind leads to, and what is put back.

What adds capacity is said first, and what takes it away only where all of that succeeded. A server that is made anew is
taken out for the moment that it takes to become idle, one at a time in each backend; where it does not, it is put back.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from attrs import define, field
from twisted.internet.interfaces import IReactorTime

from marathonlb.haproxy.master import pause
from marathonlb.haproxy.steps import Step, Steps
from marathonlb.haproxy.talk import ITalk
from marathonlb.haproxy.words import ID_TAKEN, IN_USE, Refusal, refusal

PATIENCE = (0.002, 0.01, 0.03, 0.1)
"""Seconds that a server in maintenance is given to become idle, again and again, until it is put back."""


@define
class Said:
    """
    What came of it.

    :ivar refused: the first refusal after which nothing more was said.
    :ivar buried: the servers that are to go and are in use, by backend.
    """

    refused: Refusal | None = None
    buried: dict[str, set[str]] = field(factory=dict)


async def say(talk: ITalk, steps: Steps, clock: IReactorTime) -> Said:
    """Carry steps out. Raises `HAProxyUnavailable`; then nobody knows which of them were."""
    said = Said()
    losses = [step for step in steps.losses if step.kind != "replaced"]
    said.refused = await _say(talk, steps.gains, said)
    for wave in _waves([step for step in steps.losses if step.kind == "replaced"]):
        if said.refused is None:
            said.refused = await _replace(talk, wave, clock)
    if said.refused is None:
        said.refused = await _say(talk, losses, said)
    return said


async def _say(talk: ITalk, steps: Sequence[Step], said: Said) -> Refusal | None:
    """Say steps, one after another; the first refusal that cannot be helped."""
    again: list[Step] = []
    first: Refusal | None = None
    for step, refused in zip(steps, await _refusals(talk, [step.commands for step in steps]), strict=True):
        if refused is None:
            continue
        if step.kind == "removed" and refused.command.startswith("del server "):
            backend, _, server = step.target.partition("/")
            said.buried.setdefault(backend, set()).add(server)
        elif step.kind == "added" and refused.words.startswith(ID_TAKEN):
            again.append(step.without_id())
        else:
            first = first or refused
    if first is None and again:
        return await _say(talk, again, said)
    return first


async def _refusals(talk: ITalk, groups: Sequence[Sequence[str]]) -> list[Refusal | None]:
    """Say groups of commands; the first refusal of each group."""
    answers = iter(await talk.say([command for group in groups for command in group]))
    refusals = []
    for group in groups:
        said = [refusal(command, next(answers)) for command in group]
        refusals.append(next((each for each in said if each is not None), None))
    return refusals


def _waves(steps: Sequence[Step]) -> Iterator[list[Step]]:
    """One server of each backend at a time."""
    backends: dict[str, list[Step]] = {}
    for step in steps:
        backends.setdefault(step.target.partition("/")[0], []).append(step)
    for number in range(max(map(len, backends.values()), default=0)):
        yield [own[number] for own in backends.values() if number < len(own)]


async def _replace(talk: ITalk, wave: Sequence[Step], clock: IReactorTime) -> Refusal | None:
    """Make servers anew; one that stays in use, or cannot be made so, is put back as it was."""
    first: Refusal | None = None
    await talk.say([step.commands[0] for step in wave])
    left = list(wave)
    for seconds in PATIENCE:
        await pause(clock, seconds)
        in_use: list[Step] = []
        gone: list[Step] = []
        for step, refused in zip(
            left, await _refusals(talk, [step.commands[1:2] for step in left]), strict=True
        ):
            if refused is None:
                gone.append(step)
            elif refused.words.startswith(IN_USE) and seconds != PATIENCE[-1]:
                in_use.append(step)
            else:
                first = first or refused
                await talk.say([f"enable server {step.target}"])
        first = await _make(talk, gone) or first
        left = in_use
        if not left:
            break
    return first


async def _make(talk: ITalk, steps: Sequence[Step]) -> Refusal | None:
    """Add the servers that were deleted."""
    first: Refusal | None = None
    for step, refused in zip(
        steps, await _refusals(talk, [step.commands[2:] for step in steps]), strict=True
    ):
        if refused is not None and refused.words.startswith(ID_TAKEN):
            (refused,) = await _refusals(talk, [step.without_id().commands[2:]])
        if refused is not None:
            first = first or refused
            await talk.say(step.undo)
    return first
