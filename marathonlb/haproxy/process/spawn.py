"""Starting HAProxy: in a session of its own, so that it outlives the controller, with its output in a file."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Sequence

from attrs import frozen
from twisted.internet.interfaces import IReactorProcess
from twisted.internet.protocol import ProcessProtocol
from twisted.logger import Logger
from twisted.python.failure import Failure

from marathonlb.config.text.model import Config
from marathonlb.errors import HAProxyUnavailable, ReloadFailed
from marathonlb.haproxy.files.disk import explain_error
from marathonlb.haproxy.files.output_log import OutputLog
from marathonlb.haproxy.files.publish import Files
from marathonlb.haproxy.files.sockets import listener
from marathonlb.haproxy.process import setsid_exec
from marathonlb.haproxy.process.binary import Binary, haproxy_environment
from marathonlb.haproxy.process.instance import HAProxyInstance
from marathonlb.haproxy.process.port_check import Bind, shared_binds
from marathonlb.haproxy.process.procfs import ProcessIdentity
from marathonlb.haproxy.runtime.processes import HAProxyProcesses

MAX_BINDS_LOGGED = 5
"""Maximum number of shared ports in a log line."""

Ended = Callable[[int, str], None]
"""Is called with the process id of a HAProxy that ended, and how it ended."""


@frozen
class StartedHAProxy:
    """
    A HAProxy that was started and serves.

    :param output: its output since the start.
    """

    process: ProcessIdentity
    output: str


class HAProxyStarter:
    """
    Starts HAProxy as master and workers.

    :param shared: returns the ports of a configuration that another process listens on, too.
    """

    _log = Logger()

    def __init__(
        self,
        *,
        binary: Binary,
        files: Files,
        instance: HAProxyInstance,
        spawner: IReactorProcess,
        shared: Callable[[str], Sequence[Bind]] = shared_binds,
    ) -> None:
        self._binary = binary
        self._files = files
        self._instance = instance
        self._spawner = spawner
        self._shared = shared

    async def start(self, config: Config | None, ended: Ended, *, check_ports: bool) -> StartedHAProxy:
        """
        Start HAProxy and wait until it serves.

        :param config: what the file was written from, to find the owner of a line that HAProxy complains about.
        :param ended: is called when the process ends, at any later time.
        :param check_ports: warn if another process listens on the same ports.

        Raises `ReloadFailed`, `HAProxyUnavailable` or `PublishFailed`.
        """
        self._binary.require()
        state, socket = self._instance.state, self._instance.socket
        if other := listener(socket):
            raise HAProxyUnavailable(reason=f"{other}, and is not a HAProxy that can be adopted: end it")
        on_disk = self._files.read()
        output = self._instance.output()
        offset = output.size()
        also_bound = self._shared(on_disk.text) if on_disk is not None and check_ports else ()
        arguments = (
            "-W",
            "-S",
            f"{socket},mode,600",
            "-f",
            self._files.path,
            "-p",
            state.file("haproxy.pid"),
        )
        pid = launch(self._spawner, self._binary, arguments, output, ended)
        process = self._instance.procfs.identify(pid) or ProcessIdentity(pid, "")
        await self._serves(process, config, lambda: output.since(offset))
        if on_disk is not None:
            self._confirm(on_disk.digest())
        self._log.info(
            "Started HAProxy (pid {pid}); its output is in {log}", pid=pid, log=state.file("haproxy.log")
        )
        if also_bound:
            self._log.warn(
                "Another process listens on the same ports as HAProxy and receives a part of the connections: {binds}. "
                "End it; `ss -ltnp` names it",
                binds=", ".join(map(str, also_bound[:MAX_BINDS_LOGGED])),
            )
        return StartedHAProxy(process, output.since(offset))

    async def _serves(
        self, process: ProcessIdentity, config: Config | None, output: Callable[[], str]
    ) -> None:
        """Wait until a worker answers. Raises `ReloadFailed`."""

        def has_worker(processes: HAProxyProcesses) -> bool:
            return processes.master == process.pid and bool(processes.current)

        master = self._instance.master(process)
        try:
            await master.until(has_worker, config, output)
            await master.worker_answers(config, output)
        except ReloadFailed as error:
            if not error.refused:  # it hangs, and would be taken for one that is loading
                self._instance.signal(-process.pid, signal.SIGKILL)
            raise ReloadFailed(
                reason=f"HAProxy could not be started: {error.reason}",
                output=error.output,
                complaints=error.complaints,
                refused=True,
            ) from error

    def _confirm(self, digest: str) -> None:
        try:
            self._instance.state.confirm(digest)
        except OSError as error:
            self._log.warn(
                "Could not record which configuration HAProxy runs: {reason}. The next controller will reload once",
                reason=explain_error(error),
            )


class _HAProxyProcessProtocol(ProcessProtocol):
    """Reaps what was started. Whether it runs is looked up in ``/proc``, as for an adopted HAProxy."""

    def __init__(self, ended: Ended) -> None:
        self._ended = ended
        self._pid = 0

    def connectionMade(self) -> None:
        """Keep the process id."""
        assert self.transport is not None
        self._pid = int(self.transport.pid or 0)

    def processEnded(self, reason: Failure) -> None:
        """Report the end at once."""
        self._ended(self._pid, reason.getErrorMessage())


def launch(
    spawner: IReactorProcess, binary: Binary, arguments: Sequence[str], output: OutputLog, ended: Ended
) -> int:
    """
    Start the program.

    :return: its process id.
    """
    command = [sys.executable, "-I", "-S", os.path.abspath(setsid_exec.__file__), binary.path, *arguments]
    stdin = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
    stdout = output.open()
    try:
        transport = spawner.spawnProcess(
            _HAProxyProcessProtocol(ended),
            command[0],
            command,
            env=haproxy_environment(os.environ),
            path=binary.cwd,
            childFDs={0: stdin, 1: stdout, 2: stdout},
        )
    finally:
        os.close(stdin)
        os.close(stdout)
    pid = transport.pid
    assert isinstance(pid, int)
    return pid
