"""Reloading a HAProxy that is not managed: by the operator's command, or by the init system that started it."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Sequence
from contextlib import suppress

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IReactorProcess, IReactorTime
from twisted.logger import Logger
from zope.interface import implementer

from marathonlb.config.text.model import Config
from marathonlb.errors import ReloadFailed
from marathonlb.haproxy.diagnostics import messages
from marathonlb.haproxy.interfaces import IReloader, ReloadResult
from marathonlb.haproxy.process.binary import run_program
from marathonlb.haproxy.process.procfs import Procfs
from marathonlb.timers import pause

COMMAND_TIMEOUT = 120.0
"""Maximum number of seconds that a reload command may take."""

QUERY_TIMEOUT = 10.0
"""Maximum number of seconds that an init system may take to name a service's process."""


class InitSystem:
    """
    The init system of this machine.

    :param root: the root of the file system.
    """

    def __init__(self, spawner: IReactorProcess, clock: IReactorTime, root: str = "/") -> None:
        self._spawner = spawner
        self._clock = clock
        self._root = root

    async def reload_command(self, running: Collection[int]) -> tuple[str, ...] | None:
        """
        Return the command that reloads this HAProxy (systemd, upstart, sysv); None if none of them started it.

        An init system that started another HAProxy than this one is not used: its reload would change that one, or
        even start it.

        :param running: the process ids of this HAProxy.
        """
        if self._has("run/systemd/system"):
            output = await self._ask("systemctl", "show", "--property=MainPID", "--value", "haproxy.service")
            if _numbers(output) & set(running):
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
        return (await run_program(self._spawner, self._clock, argv, timeout=QUERY_TIMEOUT)).output


def _numbers(text: str) -> set[int]:
    return {int(word) for word in re.findall(r"\d+", text)}


@implementer(IReloader)
class CommandReloader:
    """
    Runs a reload command; its exit status is the confirmation.

    :param path: haproxy.cfg, to find out whether a HAProxy runs with it.
    :param command: for ``/bin/sh -c``; None to use the init system's.
    :param retries: the number of times that a failed command is run again; -1 for no limit.
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
        """See `IReloader.serving`: this controller does not start HAProxy."""
        return succeed(True)

    def pids(self) -> Deferred[tuple[int, ...]]:
        """See `IReloader.pids`: every HAProxy that was started with the file, a master included."""
        return succeed(self._procfs.haproxies(self._path))

    async def _reload(self, config: Config, retries: int) -> ReloadResult:
        argv: Sequence[str] | None = ("/bin/sh", "-c", self._command) if self._command else None
        if argv is None:
            running = self._procfs.haproxies(self._path)
            if not running:
                return ReloadResult(running=False, output=self._not_running())
            argv = await self._init.reload_command(running)
            if argv is None:
                raise ReloadFailed(
                    reason=f"a HAProxy runs with {self._path} (pid {running[0]}), but no init system here started it; "
                    "set the reload command with --command, or let --manage-haproxy run HAProxy"
                )
        return await self._until_done(argv, config, retries)

    def _not_running(self) -> str:
        text = (
            f"no HAProxy runs with {self._path}: the file is written, and nothing was reloaded; start HAProxy, or use "
            "--manage-haproxy"
        )
        self._log.warn("{reason}", reason=text)
        return text

    async def _until_done(self, argv: Sequence[str], config: Config, retries: int) -> ReloadResult:
        """Run the command until it succeeds or the retries are used up."""
        shown = self._command or " ".join(argv)
        attempt = 0
        while True:
            finished = await run_program(self._spawner, self._clock, argv, timeout=COMMAND_TIMEOUT)
            if finished.status == 0 and not finished.timed_out:
                return ReloadResult(output=finished.output)
            output = finished.output.strip()
            reason = f"{shown!r} {finished.ending}: {output[-300:] or 'no output'}"
            if attempt == retries:
                raise ReloadFailed(
                    reason=reason,
                    output=output,
                    complaints=messages.complaints(output, config),
                    repeatable=retries != self._retries,
                )
            attempt += 1
            self._log.error(
                "Reload attempt {attempt} failed: {reason}. Running the command again in {seconds} s",
                attempt=attempt,
                reason=reason,
                seconds=self._interval,
            )
            await pause(self._clock, self._interval)
