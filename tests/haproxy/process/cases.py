"""A managed HAProxy on a machine of the test's."""

from __future__ import annotations

import os
import shutil
import tempfile
from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from marathonlb.haproxy.files.publish import Files
from marathonlb.haproxy.files.state_directory import StateDirectory
from marathonlb.haproxy.process.binary import Binary
from marathonlb.haproxy.process.port_check import Bind
from marathonlb.haproxy.process.supervisor import ManagedHAProxy
from marathonlb.haproxy.runtime.connection import RuntimeSocket
from tests.fakes.machine import FakeMachine
from tests.fakes.processes import FakeProcess, FakeSpawner
from tests.fakes.sockets import FakeSocket
from tests.haproxy.samples import A, processes


class SupervisorCase(SynchronousTestCase):
    """A supervisor on a machine of the test's."""

    def setUp(self) -> None:
        self.clock, self.spawner = Clock(), Spawning()
        self.machine = FakeMachine(self.mktemp())
        self.spawner.machine = self.machine
        # A path that a socket's address has room for, and that no other test of the same moment has.
        self.state = StateDirectory(tempfile.mkdtemp(prefix="mlb-", dir="/tmp"))
        self.addCleanup(shutil.rmtree, self.state.path)
        self.master = self.state.socket("master.sock")
        self.files = Files(os.path.join(self.machine.root, "haproxy.cfg"))
        self.machine.has("bin/haproxy", 0o755)
        self.socket = FakeSocket(lambda command: self.answer(command))
        self.socket.listening = False
        self.show: str | None = None
        self.deaf_to: str | None = None
        self.killed: list[tuple[int, int]] = []
        self.shared: list[Bind] = []
        self.supervisor = self.make()

    def make(self, state: StateDirectory | None = None) -> ManagedHAProxy:
        binary = Binary(self.spawner, self.clock, os.path.join(self.machine.root, "bin/haproxy"), "/")
        return ManagedHAProxy(
            binary=binary,
            files=self.files,
            state=state or self.state,
            spawner=self.spawner,
            clock=self.clock,
            connect=lambda path: RuntimeSocket(self.socket, self.clock, path, master=True),
            procfs=self.machine.procfs,
            kill=lambda pid, number: self.killed.append((pid, number)),
            shared=lambda text: self.shared,
        )

    def answer(self, command: str) -> str | None:
        return None if command == self.deaf_to else self.show

    def lay(self) -> None:
        self.files.publish(self.files.texts(A))

    def runs(self, pid: int = 50, *, path: str = "", noted: bool = True) -> None:
        """A HAProxy of a controller before runs."""
        arguments = ("haproxy", "-W", "-S", f"{self.master},mode,600", "-f", path or self.files.path)
        self.machine.runs(pid, *arguments, session=pid)
        if noted:
            with open(self.state.file("haproxy.pid"), "w", encoding="ascii") as file:
                file.write(f"{pid}\n")

    def answers(self, pid: int, worker: int = 60) -> None:
        """Its master answers."""
        self.bind()
        self.socket.listening = True
        self.show = processes(worker).replace("\n1 ", f"\n{pid} ", 1)

    def bind(self) -> None:
        """Its socket lies where it is looked for."""
        with open(self.master, "w", encoding="ascii"):
            pass

    def started(self) -> FakeProcess:
        """The last one that was started, which serves now."""
        process = self.spawner.processes[-1]
        self.answers(process.pid)
        self.clock.advance(1)
        return process

    def die(self, process: FakeProcess) -> None:
        self.machine.runs(process.pid, "haproxy", state="Z")
        self.socket.listening = False
        process.end(None, signal=9)


class Spawning(FakeSpawner):
    """Puts what it starts into the machine's ``/proc``."""

    machine: FakeMachine

    def spawnProcess(self, *arguments: Any, **more: Any) -> Any:
        process = super().spawnProcess(*arguments, **more)
        self.machine.runs(process.pid, *process.argv[4:])
        return process
