"""
Tasks as local processes: each in a session of its own, its output in a file, ended as a whole.

`NoProcesses` has the same face and starts nothing: the state alone, for tests and measurements.
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
from minimarathon.tasks.addresses import places

#: Becomes the leader of a session and then the command. Python is there in any case; setsid(1) may not be.
LEADER = "import os,sys; os.setsid(); os.execv('/bin/sh', ['/bin/sh', '-c', sys.argv[1]])"
#: What a task inherits of our environment; anything else may be a secret of ours.
INHERITED = ("HOME", "LANG", "LC_ALL", "PATH", "TMPDIR", "TZ", "USER")
#: Seconds between looks at a process group that is to end.
LOOK = 0.02


@frozen
class Exit:
    """
    How a task ended.

    :param code: its exit status; None where a signal ended it.
    :param reason: one line, in Mesos's words.
    """

    code: int | None
    reason: str


class IRunner(Interface):
    """
    Runs tasks. What it reports it reports later, never from within `start` or `kill`.

    Each task that was started ends exactly once.
    """

    def start(task: Task, app: App, running: Callable[[], None], ended: Callable[[Exit], None]) -> None:
        """Start a task; `running` is called when its process is there, `ended` when nothing of it is left."""

    def kill(task_id: str, grace: float | None) -> None:
        """
        Ask a task to end, and insist after `grace` seconds (None: the runner's own). Nothing for an unknown task.
        """

    def stop() -> Deferred[None]:
        """End everything; fires when nothing is left. Nothing that ends this way is reported."""


def environment(task: Task, app: App, host: Mapping[str, str]) -> dict[str, str]:
    """
    Return the environment of a task's process: where to listen, its ids, and the variables of its app.

    ``MINIMARATHON_PYTHON`` is the Python that runs us, so that the sample's commands work in any virtual environment;
    ``PYTHONPATH`` leads to this package, from a checkout as well.

    :param host: our own environment, of which a little is handed on.
    """
    found = {name: host[name] for name in INHERITED if name in host}
    found["MINIMARATHON_PYTHON"] = sys.executable
    found["PYTHONPATH"] = str(Path(minimarathon.__file__).resolve().parents[1])
    found |= {name: value for name, value in app.env.items() if isinstance(value, str)}
    ports = [port for _, port in places(task, app)]
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
    """One task's process group, from its start until nothing is left of it."""

    clock: IReactorTime
    running: Callable[[], None]
    ended: Callable[[Exit], None]
    transport: IProcessTransport | None = None
    gone: Deferred[None] = field(factory=Deferred)
    _group: int = 0
    _insist_at: float | None = None
    _grace: float = 3.0
    _told: bool = False
    _timer: IDelayedCall | None = None

    def connectionMade(self) -> None:
        """Note that the process has started."""
        assert self.transport is not None
        self._group = int(self.transport.pid)
        self.clock.callLater(0, self.running)

    def end(self, grace: float) -> None:
        """
        SIGTERM for the whole group now, SIGKILL after `grace` seconds.

        A process that was forked a moment ago still has our own signal handlers and would lose a SIGTERM: it is sent
        when there is a group, which only the program that we started makes.
        """
        if self._insist_at is None:
            self._grace = grace
            self._insist_at = self.clock.seconds() + grace
            self._look()

    def _look(self) -> None:
        assert self._insist_at is not None
        if self.clock.seconds() >= self._insist_at:
            if not self._signal(signal.SIGKILL) and self.transport is not None:
                self.transport.signalProcess("KILL")
        elif not self._told:
            self._told = self._signal(signal.SIGTERM)
        self._timer = self.clock.callLater(LOOK, self._look)

    def _signal(self, number: int) -> bool:
        """Signal the group; false where there is none: not yet, or not any more."""
        try:
            os.killpg(self._group, number)
        except ProcessLookupError:
            return False
        return True

    def processEnded(self, reason: Failure) -> None:
        """End what the group's leader left behind, and report the end when that is gone."""
        self.transport = None
        if self._timer is not None:
            self._timer.cancel()
        how = outcome(reason)
        if self._insist_at is None:
            self._insist_at = self.clock.seconds() + self._grace
        if not self._told:
            self._signal(signal.SIGTERM)
        self._wait_for_rest(how, self._insist_at)

    def _wait_for_rest(self, how: Exit, until: float) -> None:
        if self._signal(0) and self.clock.seconds() < until:
            self._timer = self.clock.callLater(LOOK, self._wait_for_rest, how, until)
            return
        self._signal(signal.SIGKILL)
        self._over(how)

    def _over(self, how: Exit) -> None:
        self._timer = None
        self.ended(how)
        self.gone.callback(None)


def outcome(reason: Failure) -> Exit:
    """How a process ended, by what Twisted says of it."""
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

    :param reactor: starts them and tells the time.
    :param directory: each task gets a directory in it: its working directory, with its output in the file ``output``.
    :param grace: seconds between SIGTERM and SIGKILL where the app says nothing.
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
        """See `IRunner.start`. A command that cannot be started ends at once."""

        def over(outcome: Exit) -> None:
            self._running.pop(task.id, None)
            if not self._stopped:
                ended(outcome)

        command = app.cmd or (shlex.join(app.args) if app.args else None)
        if command is None:
            over_soon = Exit(1, "the app has no cmd: only commands of this machine are run, no images")
            self.clock.callLater(0, over, over_soon)
            return
        protocol = _Process(self.clock, running, over)
        try:
            self._spawn(protocol, task, app, command)
        except OSError as error:
            self.clock.callLater(0, over, Exit(1, f"cannot be started: {error}"))
            return
        self._running[task.id] = protocol

    def _spawn(self, protocol: _Process, task: Task, app: App, command: str) -> None:
        sandbox = self.directory / task.id
        sandbox.mkdir(parents=True, exist_ok=True)
        nothing = os.open(os.devnull, os.O_RDONLY)
        try:
            output = os.open(sandbox / "output", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            try:
                self.reactor.spawnProcess(
                    protocol,
                    sys.executable,
                    [sys.executable, "-I", "-S", "-c", LEADER, command],
                    env=environment(task, app, self.environ),
                    path=str(sandbox),
                    childFDs={0: nothing, 1: output, 2: output},
                )
            finally:
                os.close(output)
        finally:
            os.close(nothing)

    def kill(self, task_id: str, grace: float | None) -> None:
        """See `IRunner.kill`."""
        process = self._running.get(task_id)
        if process is not None:
            process.end(self.grace if grace is None else grace)

    def stop(self) -> Deferred[None]:
        """See `IRunner.stop`. Nobody waits longer than the runner's own grace."""
        self._stopped = True
        self._log.info("ending {count} tasks", count=len(self._running))
        gone = [process.gone for process in self._running.values()]
        for process in tuple(self._running.values()):
            process.end(self.grace)
        return DeferredList(gone).addCallback(lambda _: None)


@implementer(IRunner)
@define(eq=False)
class NoProcesses:
    """
    Runs nothing: a task "runs" at once and ends when it is killed, or when `finish` says so.

    :param clock: reports in its next turn.
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
        """Let a task end; nothing for an unknown one."""
        ended = self._ended.pop(task_id, None)
        if ended is not None:
            self.clock.callLater(0, ended, outcome)

    def stop(self) -> Deferred[None]:
        """See `IRunner.stop`."""
        self._ended.clear()
        return succeed(None)
