"""The HAProxy of one state directory, as it is reached from outside: its processes, its master's socket, its output."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from contextlib import suppress

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from marathonlb.errors import HAProxyUnavailable
from marathonlb.haproxy.files.output_log import OutputLog
from marathonlb.haproxy.files.state_directory import StateDirectory
from marathonlb.haproxy.process.master import RELOAD_TIMEOUT, MasterProcess
from marathonlb.haproxy.process.procfs import ProcessIdentity, Procfs
from marathonlb.haproxy.runtime.connection import RuntimeSocket
from marathonlb.haproxy.runtime.processes import HAProxyProcesses
from marathonlb.timers import pause

TERMINATION_TIMEOUT = 10.0
"""Maximum number of seconds that the end of a process is waited for."""


class HAProxyInstance:
    """
    What starting, adopting and reloading a HAProxy have in common.

    :param connect: makes the client of a master socket from its path.
    :param kill: sends a signal to a process.
    :param patience: see `MasterProcess`.
    """

    _log = Logger()

    def __init__(
        self,
        *,
        state: StateDirectory,
        clock: IReactorTime,
        connect: Callable[[str], RuntimeSocket],
        procfs: Procfs | None = None,
        kill: Callable[[int, int], None] = os.kill,
        patience: float = RELOAD_TIMEOUT,
    ) -> None:
        self.state = state
        self.procfs = procfs or Procfs()
        self._clock = clock
        self._connect = connect
        self._kill = kill
        self._patience = patience

    @property
    def socket(self) -> str:
        """The path of the master's socket. Raises `PublishFailed` if there can be none."""
        return self.state.socket("master.sock")

    def output(self) -> OutputLog:
        """Return HAProxy's output. Raises `PublishFailed` if there is no place for it."""
        return OutputLog(self.state.file("haproxy.log"))

    def alive(self, process: ProcessIdentity) -> bool:
        """Return whether a master process still runs."""
        return self.procfs.alive(process)

    def master(self, process: ProcessIdentity) -> MasterProcess:
        """Return the client of a master process."""
        socket = self._connect(self.socket)
        return MasterProcess(socket, self._clock, lambda: self.alive(process), self._patience)

    def signal(self, pid: int, number: int) -> None:
        """Send a signal to a process, which may be gone."""
        with suppress(ProcessLookupError):
            self._kill(pid, number)

    def rebind_socket(self, process: ProcessIdentity) -> bool:
        """
        Have the master bind its socket again if the socket was removed; that is a reload.

        Only for a master that is surely up: the signal ends one that is still starting.

        :return: whether the signal was sent.
        """
        if os.path.exists(self.socket):
            return False
        self._log.warn(
            "The socket {path} was removed while HAProxy (pid {pid}) serves. HAProxy is reloaded to create it again; "
            "exclude the state directory from whatever cleans it up",
            path=self.socket,
            pid=process.pid,
        )
        self._kill(process.pid, signal.SIGUSR2)
        return True

    async def kill_hanging(self, process: ProcessIdentity, before: HAProxyProcesses) -> bool:
        """
        Kill the processes that do not finish loading the new configuration.

        If the master answers, that is the new worker only: the workers before keep serving. A master that hangs
        executes no command and never reloads again. Its workers end with it, and HAProxy is started again with
        the files before.

        :param before: the processes before the reload.
        :return: whether there was any.
        """
        try:
            pids = await self.master(process).hanging(before)
        except HAProxyUnavailable:
            pids = frozenset({process.pid})
        for pid in pids:
            self._log.error(
                "HAProxy (pid {pid}) hangs while loading the new configuration and is killed. The configuration "
                "before is used; check what the new one reads (files, host names)",
                pid=pid,
            )
            self.signal(pid, signal.SIGKILL)
        if process.pid in pids:
            await self._gone(process)
        return bool(pids)

    async def terminate(self, process: ProcessIdentity) -> None:
        """End a master and its workers, and wait for the end for `TERMINATION_TIMEOUT`."""
        self._kill(process.pid, signal.SIGTERM)
        await self._gone(process)

    async def _gone(self, process: ProcessIdentity) -> None:
        deadline = self._clock.seconds() + TERMINATION_TIMEOUT
        while self.alive(process) and self._clock.seconds() < deadline:
            await pause(self._clock, 0.05)
