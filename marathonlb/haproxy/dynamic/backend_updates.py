"""Whole backends of a worker: those that its text does not have, those that take no requests, and their end."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from marathonlb.config.text.model import Config
from marathonlb.haproxy.dynamic.backends import Originals, withdrawing
from marathonlb.haproxy.dynamic.server_state import is_unpublished, parse_state
from marathonlb.haproxy.dynamic.servers import Steps
from marathonlb.haproxy.reload_reason import ReasonKind, Reasons, ReloadReason, from_refusal
from marathonlb.haproxy.runtime.interfaces import IRuntimeConnection
from marathonlb.haproxy.runtime.replies import CommandRefusal, refusal

_PROXIES = re.compile(r"^[ \t]*(?:backend|listen)[ \t]+(\S+)", re.MULTILINE)


async def look(talk: IRuntimeConnection, config: Config, originals: Originals) -> None:
    """Note which backends a worker has that are not in the configuration which it is believed to run."""
    (answer,) = await talk.execute(["show backend"])
    held = [line for line in answer.splitlines() if line and line[0] not in "#<"]
    known = {section.name for section in config.sections if section.kind == "backend"}
    unknown = [name for name in held if name not in known]
    if unknown:
        known.update(*(_PROXIES.findall(s.text) for s in config.sections if s.kind != "backend"))
        unknown = [name for name in unknown if name not in known]
    idle = await unpublished(talk, unknown)
    originals.leaving = dict.fromkeys(idle)
    originals.strays = {name for name in unknown if name not in idle}
    originals.doubtful.clear()


async def unpublished(talk: IRuntimeConnection, names: Sequence[str]) -> list[str]:
    """Those of these backends to which no request is led."""
    answers = await talk.execute([f"show stat {name} 2 -1" for name in names])
    return [name for name, answer in zip(names, answers, strict=True) if is_unpublished(answer)]


async def withdraw(talk: IRuntimeConnection, names: Sequence[str]) -> tuple[Steps, Reasons]:
    """
    Let no new request come to these backends.

    :return: the steps, and the reasons of a reload where one went wrong.
    """
    steps = Steps(losses=tuple(withdrawing(name) for name in names))
    commands = [command for step in steps.losses for command in step.commands]
    refused = _first(commands, await talk.execute(commands))
    if refused is not None:
        return Steps(), (from_refusal(refused),)
    left = set(names) - set(await unpublished(talk, names))
    return steps, (_differs(min(left), "still takes requests after unpublish"),) if left else ()


def not_published(name: str) -> ReloadReason:
    """Return the reason of a reload for a backend that takes no requests though it was published."""
    return _differs(name, "takes no requests after publish")


def _differs(name: str, detail: str) -> ReloadReason:
    return ReloadReason(ReasonKind.READ_BACK_DIFFERS, name, detail, "backend")


async def bury(talk: IRuntimeConnection, names: Sequence[str]) -> list[str]:
    """Delete backends that take no requests, as far as nobody uses them any more; those that are gone."""
    states = await talk.execute([f"show servers state {name}" for name in names])
    gone = []
    for name, state in zip(names, states, strict=True):
        servers = [f"{name}/{server}" for server in parse_state(state).get(name, {})]
        commands = [
            *withdrawing(name).commands,
            *(f"set server {server} state maint" for server in servers),
            *(f"del server {server}" for server in servers),
            f"del backend {name}",
        ]
        answers = await talk.execute(commands)
        if refusal(commands[-1], answers[-1]) is None:
            gone.append(name)
    return gone


def _first(commands: Iterable[str], answers: Iterable[str]) -> CommandRefusal | None:
    refusals = (refusal(command, answer) for command, answer in zip(commands, answers, strict=True))
    return next((each for each in refusals if each is not None), None)
