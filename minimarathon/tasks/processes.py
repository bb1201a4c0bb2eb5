"""
Runs tasks as local processes, each in a separate session, with its output in a file, and kills the whole session.

`NoProcesses` has the same interface and starts nothing: for tests and measurements.
"""

from __future__ import annotations

import os
import shlex
import signal
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from attrs import define, field, frozen
from twisted.internet.defer import Deferred, DeferredList, succeed
from twisted.internet.error import ProcessDone, ProcessTerminated
from twisted.internet.interfaces import IDelayedCall, IProcessTransport, IReactorProcess, IReactorTime
from twisted.internet.protocol import ProcessProtocol
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import Interface, implementer

import minimarathon
from minimarathon.model import App, Task
from minimarathon.tasks.addresses import port_addresses

#: Starts a session and then runs the command. Python is always available, setsid(1) may be missing.
LEADER = "import os,sys; os.setsid(); os.execv('/bin/sh', ['/bin/sh', '-c', sys.argv[1]])"
#: Environment variables that tasks inherit; others may hold secrets.
INHERITED = ("HOME", "LANG", "LC_ALL", "PATH", "TMPDIR", "TZ", "USER")
#: Seconds between checks of a process group that is being killed.
POLL_INTERVAL = 0.02


@frozen
class Exit:
    """
    The end of a task.

    :param code: the exit status; None if a signal ended it.
    :param reason: one line in Mesos's wording.
    """

    code: int | None
    reason: str


class IRunner(Interface):
    """
    Runs tasks. It never calls a callback from within `start` or `kill`.

    For each started task `ended` is called exactly once.
    """

    def start(task: Task, app: App, running: Callable[[], None], ended: Callable[[Exit], None]) -> None:
        """Start a task; call `running` when its process has started and `ended` when all its processes have ended."""

    def kill(task_id: str, grace: float | None) -> None:
        """
        Send SIGTERM to a task, and SIGKILL after `grace` seconds (None for the default); ignore an unknown task.
        """

    def stop() -> Deferred[None]:
        """Kill all tasks without calling `ended`; the Deferred fires when no process is left."""


def environment(task: Task, app: App, host: Mapping[str, str]) -> dict[str, str]:
    """
    Return the environment of a task's process: addresses, ports, ids and the variables of its app.

    ``MINIMARATHON_PYTHON`` is the current Python interpreter, so the sample's commands work in any virtual environment;
    ``PYTHONPATH`` contains this package, also in a checkout.

    :param host: the environment of minimarathon, from which the variables of `INHERITED` are copied.
    """
    found = {name: host[name] for name in INHERITED if name in host}
    found["MINIMARATHON_PYTHON"] = sys.executable
    found["PYTHONPATH"] = str(Path(minimarathon.__file__).resolve().parents[1])
    found |= {name: value for name, value in app.env.items() if isinstance(value, str)}
    ports = [port for _, port in port_addresses(task, app)]
    found |= {f"PORT{index}": str(port) for index, port in enumerate(ports)}
    found |= {f"PORT_{p.name.upper()}": str(port) for p, port in zip(app.ports, ports, strict=True) if p.name}
    if ports:
        found |= {"PORT": str(ports[0]), "PORTS": ",".join(map(str, ports))}
    return found | {
        "HOST": task.address if any(port.host_port is None for port in app.ports) else task.host,
        "MARATHON_APP_ID": app.id,
        "MARATHON_APP_VERSION": task.version,
        "MESOS_TASK_ID": task.id,
    }


@define(eq=False)
class _Process(ProcessProtocol):
    """One task's process group, from its start until all of its processes have ended."""

    clock: IReactorTime
    running: Callable[[], None]
    ended: Callable[[Exit], None]
    transport: IProcessTransport | None = None
    finished: Deferred[None] = field(factory=Deferred)
    _group: int = 0
    _kill_at: float | None = None
    _grace: float = 3.0
    _terminated: bool = False
    _timer: IDelayedCall | None = None

    def connectionMade(self) -> None:
        """Note that the process has started."""
        assert self.transport is not None
        self._group = int(self.transport.pid)
        self.clock.callLater(0, self.running)

    def end(self, grace: float) -> None:
        """
        Send SIGTERM to the whole group now, and SIGKILL after `grace` seconds.

        Right after the fork a process still has minimarathon's signal handlers and would lose a SIGTERM. So the signal
        is sent when the group exists, which only the started program creates.
        """
        if self._kill_at is None:
            self._grace = grace
            self._kill_at = self.clock.seconds() + grace
            self._poll()

    def _poll(self) -> None:
        assert self._kill_at is not None
        if self.clock.seconds() >= self._kill_at:
            if not self._signal(signal.SIGKILL) and self.transport is not None:
                self.transport.signalProcess("KILL")
        elif not self._terminated:
            self._terminated = self._signal(signal.SIGTERM)
        self._timer = self.clock.callLater(POLL_INTERVAL, self._poll)

    def _signal(self, number: int) -> bool:
        """Signal the group; return false if it does not exist, yet or any longer."""
        try:
            os.killpg(self._group, number)
        except ProcessLookupError:
            return False
        return True

    def processEnded(self, reason: Failure) -> None:
        """Kill the remaining processes of the group, and report the end when none is left."""
        self.transport = None
        if self._timer is not None:
            self._timer.cancel()
        result = outcome(reason)
        if self._kill_at is None:
            self._kill_at = self.clock.seconds() + self._grace
        if not self._terminated:
            self._signal(signal.SIGTERM)
        self._wait_for_group(result, self._kill_at)

    def _wait_for_group(self, result: Exit, until: float) -> None:
        if self._signal(0) and self.clock.seconds() < until:
            self._timer = self.clock.callLater(POLL_INTERVAL, self._wait_for_group, result, until)
            return
        self._signal(signal.SIGKILL)
        self._report(result)

    def _report(self, result: Exit) -> None:
        self._timer = None
        self.ended(result)
        self.finished.callback(None)


def outcome(reason: Failure) -> Exit:
    """Return the end of a process from Twisted's reason."""
    if reason.check(ProcessDone):
        return Exit(0, "Command exited with status 0")
    ended = reason.value
    assert isinstance(ended, ProcessTerminated)
    code, number = ended.exitCode, ended.signal
    if number is not None:
        return Exit(None, f"Command terminated with signal {signal.Signals(number).name}")
    return Exit(code, f"Command exited with status {code}")


@implementer(IRunner)
@define(eq=False)
class Processes:
    """
    Runs tasks as processes of this machine.

    :param reactor: starts the processes.
    :param directory: contains each task's working directory, with the task's output in the file ``output``.
    :param grace: default of the seconds between SIGTERM and SIGKILL.
    """

    reactor: IReactorProcess
    clock: IReactorTime
    directory: Path
    grace: float = 3.0
    environ: Mapping[str, str] = field(factory=lambda: dict(os.environ))
    _running: dict[str, _Process] = field(factory=dict)
    _stopped: bool = False
    _log = Logger()

    def start(self, task: Task, app: App, running: Callable[[], None], ended: Callable[[Exit], None]) -> None:
        """See `IRunner.start`. If the command cannot be started, the task ends at once."""

        def finished(result: Exit) -> None:
            self._running.pop(task.id, None)
            if not self._stopped:
                ended(result)

        command = app.cmd or (shlex.join(app.args) if app.args else None)
        if command is None:
            no_command = Exit(1, "the app has no cmd: minimarathon runs commands, not images")
            self.clock.callLater(0, finished, no_command)
            return
        protocol = _Process(self.clock, running, finished)
        try:
            self._spawn(protocol, task, app, command)
        except OSError as error:
            self.clock.callLater(0, finished, Exit(1, f"cannot be started: {error}"))
            return
        self._running[task.id] = protocol

    def _spawn(self, protocol: _Process, task: Task, app: App, command: str) -> None:
        sandbox = self.directory / task.id
        sandbox.mkdir(parents=True, exist_ok=True)
        empty_input = os.open(os.devnull, os.O_RDONLY)
        try:
            output = os.open(sandbox / "output", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            try:
                self.reactor.spawnProcess(
                    protocol,
                    sys.executable,
                    [sys.executable, "-I", "-S", "-c", LEADER, command],
                    env=environment(task, app, self.environ),
                    path=str(sandbox),
                    childFDs={0: empty_input, 1: output, 2: output},
                )
            finally:
                os.close(output)
        finally:
            os.close(empty_input)

    def kill(self, task_id: str, grace: float | None) -> None:
        """See `IRunner.kill`."""
        process = self._running.get(task_id)
        if process is not None:
            process.end(self.grace if grace is None else grace)

    def stop(self) -> Deferred[None]:
        """See `IRunner.stop`. Uses the runner's grace for all tasks."""
        self._stopped = True
        self._log.info("killing {count} tasks", count=len(self._running))
        finished = [process.finished for process in self._running.values()]
        for process in tuple(self._running.values()):
            process.end(self.grace)
        return DeferredList(finished).addCallback(lambda _: None)


@implementer(IRunner)
@define(eq=False)
class NoProcesses:
    """
    Starts no processes: a task counts as running at once and ends when it is killed, or by `finish`.

    :param clock: calls the callbacks in its next iteration.
    """

    clock: IReactorTime
    _ended: dict[str, Callable[[Exit], None]] = field(factory=dict)

    def start(self, task: Task, app: App, running: Callable[[], None], ended: Callable[[Exit], None]) -> None:
        """See `IRunner.start`."""
        self._ended[task.id] = ended
        self.clock.callLater(0, running)

    def kill(self, task_id: str, grace: float | None) -> None:
        """See `IRunner.kill`."""
        self.finish(task_id, Exit(None, "Command terminated with signal SIGTERM"))

    def finish(self, task_id: str, outcome: Exit) -> None:
        """End a task; ignore an unknown one."""
        ended = self._ended.pop(task_id, None)
        if ended is not None:
            self.clock.callLater(0, ended, outcome)

    def stop(self) -> Deferred[None]:
        """See `IRunner.stop`."""
        self._ended.clear()
        return succeed(None)
