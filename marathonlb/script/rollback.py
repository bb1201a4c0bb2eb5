"""``--rollback N``: through the running daemon, or if none answers by this run; the next daemon keeps the pin."""

from __future__ import annotations

from typing import Any

import msgspec

from marathonlb.config.text.diff import split
from marathonlb.config.text.model import Config
from marathonlb.errors import DaemonUnreachable, MarathonLBError, SourceError, UsageError, described
from marathonlb.exclusive import holding_locks
from marathonlb.haproxy.files.state_directory import StateDirectory
from marathonlb.haproxy.outcome import Outcome, Unchanged, action_word, explanation
from marathonlb.haproxy.rollback.archive import Archive
from marathonlb.haproxy.rollback.pin import Pin
from marathonlb.parts import Parts
from marathonlb.script.parts import parts_of
from marathonlb.script.progress import Watch
from marathonlb.script.terminal import Terminal
from marathonlb.settings import Settings
from marathonlb.web.api.configurations import Versions
from marathonlb.web.api.pin import PinAnswer
from marathonlb.web.client import ControllerClient


async def roll_back(settings: Settings, reactor: Any, terminal: Terminal, watch: Watch) -> int:
    """
    Pin an earlier configuration, or release the pinned one.

    :return: the exit status: 0, or 1 if the pin is released and the present configuration is not applied yet.
    :raises UsageError: fewer configurations are archived.
    """
    steps = settings.rollback or 0
    try:
        return await _by_daemon(ControllerClient.of(settings, reactor), steps, terminal)
    except DaemonUnreachable as error:
        terminal.err.write(
            f"{described(error)}. Doing it without the daemon; the next daemon keeps the result\n"
        )
    with holding_locks(settings, reactor):
        async with parts_of(settings, reactor, watch) as parts:
            await parts.applier.recover()
            await (_pin(parts, steps, reactor.seconds(), terminal) if steps else _release(parts, terminal))
    return 0


async def _by_daemon(daemon: ControllerClient, steps: int, terminal: Terminal) -> int:
    if not steps:
        answer = await _post(daemon, "/api/unpin", {})
        if not answer.applied:
            terminal.out.write(
                f"The pin is released, but the present configuration is not applied yet: {answer.reason}\n"
            )
            return 1
        terminal.out.write(f"Nothing is pinned. {_done(answer.action, answer.reason)}\n")
        return 0
    kept = msgspec.convert((await daemon.ask("/api/configurations")).data(), Versions).configurations
    wanted = kept[place(steps, len(kept))]
    answer = await _post(daemon, "/api/pin", {"name": str(wanted.number)})
    _print_pin(terminal, str(wanted.number), wanted.time, answer.action, answer.reason)
    return 0


async def _post(daemon: ControllerClient, path: str, value: object) -> PinAnswer:
    reply = await daemon.ask(path, "POST", msgspec.json.encode(value))
    return msgspec.convert(reply.data(), PinAnswer)


def place(steps: int, kept: int) -> int:
    """
    Return the index of the configuration in the archive, the newest first.

    :raises UsageError: fewer are archived.
    """
    if steps < kept:
        return steps
    expected = "possible: no earlier configuration is archived"
    if kept > 1:
        expected = f"possible: the oldest of the {kept} archived configurations is {kept - 1}"
    raise UsageError(option="--rollback", value=str(steps), expected=expected)


async def _pin(parts: Parts, steps: int, now: float, terminal: Terminal) -> None:
    archive = Archive(StateDirectory.of(parts.settings), parts.settings.archive_versions)
    kept = archive.list()[::-1]
    wanted = kept[place(steps, len(kept))]
    published = archive.read(wanted.number)
    if published is None:
        raise UsageError(
            option="--rollback", value=str(steps), expected=f"available: {wanted.path} cannot be read"
        )
    pins, before = parts.hold.pins, parts.hold.pins.current()
    pin = Pin(str(wanted.number), now, published)
    pins.put(pin)
    try:
        outcome = await _apply(parts, pin, terminal)
    except BaseException:
        if before is None:
            pins.release()
        else:
            pins.put(before)
        raise
    _print_pin(terminal, pin.name, wanted.time, action_word(outcome), explanation(outcome))


async def _apply(parts: Parts, pin: Pin, terminal: Terminal) -> Outcome:
    """Apply the pinned configuration with Marathon's tasks, or if it does not answer with those on disk."""
    try:
        return await parts.reconciler.once() or Unchanged()
    except SourceError as error:
        terminal.err.write(f"{described(error)}. Using the tasks of the configuration on disk\n")
    disk = parts.applier.texts()
    today = split(disk.text, disk.maps) if disk is not None else Config()
    return await parts.applier.apply(parts.hold.instead(pin, today, None))


async def _release(parts: Parts, terminal: Terminal) -> None:
    parts.hold.pins.release()
    try:
        outcome = await parts.reconciler.once() or Unchanged()
    except MarathonLBError:
        terminal.err.write("The pin is released, but the present configuration could not be applied:\n")
        raise
    terminal.out.write(f"Nothing is pinned. {_done(action_word(outcome), explanation(outcome))}\n")


def _print_pin(terminal: Terminal, name: str, time: str, action: str, reason: str) -> None:
    sentence = f"Configuration {name} of {time} is pinned, with today's tasks. {_done(action, reason)}"
    terminal.out.write(f"{sentence}\nThe pin stays until --rollback 0 releases it.\n")


def _done(action: str, reason: str) -> str:
    done = {
        "reload": "HAProxy was reloaded",
        "steps": "HAProxy was updated without a reload",
        "written": "The files were written; no HAProxy runs with them",
        "nothing": "HAProxy already runs it",
    }.get(action, action)
    return f"{done}: {reason}." if reason else f"{done}."
