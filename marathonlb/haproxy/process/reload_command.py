"""Reloading a HAProxy that is not ours: by the command that was given, or by the init system that knows it."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Sequence
from contextlib import suppress

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorProcess, IReactorTime
from twisted.logger import Logger
from zope.interface import implementer

from marathonlb.config.text.model import Config
from marathonlb.errors import ReloadFailed
from marathonlb.haproxy.diagnostics import messages
from marathonlb.haproxy.interfaces import IReloader, ReloadResult
from marathonlb.haproxy.process.binary import run
from marathonlb.haproxy.process.procfs import Procfs
from marathonlb.timers import pause

COMMAND_TIMEOUT = 120.0
"""Seconds that a reload command may take."""


class InitSystem:
    """
    What starts services on this machine.

    :param root: the root of the file system that is looked at.
    """

    def __init__(self, spawner: IReactorProcess, clock: IReactorTime, root: str = "/") -> None:
        self._spawner = spawner
        self._clock = clock
        self._root = root

    async def reload_command(self, running: Collection[int]) -> tuple[str, ...] | None:
        """
        The command by which this HAProxy is reloaded: systemd's, upstart's, sysv's; None where none of them started it.

        An init system that knows another HAProxy than this one is not asked: its reload would touch, or even start, a
        stranger.

        :param running: the process ids of the HAProxy that is meant.
        """
        if self._has("run/systemd/system"):
            said = await self._ask("systemctl", "show", "--property=MainPID", "--value", "haproxy.service")
            if _numbers(said) & set(running):
                return ("systemctl", "reload", "haproxy.service")
        job = self._has("etc/init/haproxy.conf") and self._has("sbin/initctl")
        if job and _numbers(await self._ask("initctl", "status", "haproxy")) & set(running):
            return ("initctl", "reload", "haproxy")
        script = os.path.join(self._root, "etc/init.d/haproxy")
        noted = _numbers(self._read("run/haproxy.pid"))
        return (script, "reload") if os.access(script, os.X_OK) and noted & set(running) else None

    def _read(self, path: str) -> str:
        with suppress(OSError), open(os.path.join(self._root, path), encoding="utf-8") as file:
            return file.read()
        return ""

    def _has(self, path: str) -> bool:
        return os.path.exists(os.path.join(self._root, path))

    async def _ask(self, *argv: str) -> str:
        return (await run(self._spawner, self._clock, argv, timeout=10)).output


def _numbers(text: str) -> set[int]:
    return {int(word) for word in re.findall(r"\d+", text)}


@implementer(IReloader)
class CommandReloader:
    """
    Runs a reload command; its exit status is the confirmation.

    :param path: haproxy.cfg, to find out whether a HAProxy runs with it.
    :param command: for ``/bin/sh -c``; None means that it is found out.
    :param retries: how often a command that fails is run again; -1 means for ever.
    :param interval: seconds between two runs.
    """

    _log = Logger()

    def __init__(
        self,
        *,
        path: str,
        command: str | None,
        retries: int,
        interval: float,
        spawner: IReactorProcess,
        clock: IReactorTime,
        init: InitSystem | None = None,
        procfs: Procfs | None = None,
    ) -> None:
        self._path = path
        self._command = command
        self._retries = retries
        self._interval = interval
        self._spawner = spawner
        self._clock = clock
        self._init = init or InitSystem(spawner, clock)
        self._procfs = procfs or Procfs()

    def reload(self, config: Config, *, once: bool = False) -> Deferred[ReloadResult]:
        """See `IReloader.reload`. Cancelling ends the command and the retries."""
        return Deferred.fromCoroutine(self._reload(config, 0 if once else self._retries))

    def serving(self) -> Deferred[bool]:
        """See `IReloader.serving`: it is not ours to start."""
        true: Deferred[bool] = Deferred()
        true.callback(True)
        return true

    def pids(self) -> Deferred[tuple[int, ...]]:
        """See `IReloader.pids`: every HAProxy that was started with the file, a master included."""
        pids: Deferred[tuple[int, ...]] = Deferred()
        pids.callback(self._procfs.haproxies(self._path))
        return pids

    async def _reload(self, config: Config, retries: int) -> ReloadResult:
        argv: Sequence[str] | None = ("/bin/sh", "-c", self._command) if self._command else None
        if argv is None:
            running = self._procfs.haproxies(self._path)
            if not running:
                return ReloadResult(running=False, output=self._nobody())
            argv = await self._init.reload_command(running)
            if argv is None:
                raise ReloadFailed(
                    reason=f"a HAProxy runs with {self._path} (pid {running[0]}), but no init system here started it; "
                    "say how to reload it with --command, or let --manage-haproxy run HAProxy"
                )
        return await self._until_done(argv, config, retries)

    def _nobody(self) -> str:
        what = f"no HAProxy runs with {self._path}: it is written, and nobody was told"
        text = f"{what}; start HAProxy, or use --manage-haproxy"
        self._log.warn("{reason}", reason=text)
        return text

    async def _until_done(self, argv: Sequence[str], config: Config, retries: int) -> ReloadResult:
        """Run the command until it succeeds or the retries are used up."""
        shown = self._command or " ".join(argv)
        attempt = 0
        while True:
            finished = await run(self._spawner, self._clock, argv, timeout=COMMAND_TIMEOUT)
            if finished.status == 0 and not finished.timed_out:
                return ReloadResult(output=finished.output)
            said = finished.output.strip()
            reason = f"{shown!r} {finished.ending}: {said[-300:] or 'it said nothing'}"
            if attempt == retries:
                raise ReloadFailed(
                    reason=reason,
                    output=said,
                    complaints=messages.complaints(said, config),
                    repeatable=retries != self._retries,
                )
            attempt += 1
            self._log.error(
                "reload {attempt} failed: {reason}. It is run again in {seconds} s",
                attempt=attempt,
                reason=reason,
                seconds=self._interval,
            )
            await pause(self._clock, self._interval)
