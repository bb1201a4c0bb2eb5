"""The HAProxy of one state directory: signals, its socket, and processes that hang."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from marathonlb.haproxy.files.state_directory import StateDirectory
from marathonlb.haproxy.process.instance import TERMINATION_TIMEOUT, HAProxyInstance
from marathonlb.haproxy.process.procfs import ProcessIdentity
from marathonlb.haproxy.runtime.connection import RuntimeSocket
from marathonlb.haproxy.runtime.processes import parse_processes
from tests.fakes.machine import FakeMachine
from tests.fakes.sockets import FakeSocket
from tests.haproxy.samples import processes

MASTER = ProcessIdentity(50, "7")


class InstanceTests(SynchronousTestCase):
    """`HAProxyInstance`."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.machine = FakeMachine(self.mktemp())
        self.machine.runs(MASTER.pid, "haproxy")
        self.state = StateDirectory(tempfile.mkdtemp(prefix="mlb-", dir="/tmp"))
        self.addCleanup(shutil.rmtree, self.state.path)
        self.listed = processes(60)
        self.socket = FakeSocket(lambda command: self.listed)
        self.signals: list[tuple[int, int]] = []
        self.instance = HAProxyInstance(
            state=self.state,
            clock=self.clock,
            connect=lambda path: RuntimeSocket(self.socket, self.clock, path, master=True),
            procfs=self.machine.procfs,
            kill=lambda pid, number: self.signals.append((pid, number)),
        )

    def gone(self) -> None:
        """Let the master end."""
        self.machine.runs(MASTER.pid, "haproxy", state="Z")

    def hanging(self) -> Deferred[bool]:
        """Look for processes that hang since worker 60 served alone."""
        before = parse_processes(processes(60))
        assert before is not None
        return Deferred.fromCoroutine(self.instance.kill_hanging(MASTER, before))

    def test_signal_to_nobody(self) -> None:
        """A signal to a process that is gone is no error."""
        self.instance = HAProxyInstance(
            state=self.state,
            clock=self.clock,
            connect=lambda path: RuntimeSocket(self.socket, self.clock, path),
        )
        self.instance.signal(2**22 + 1, signal.SIGTERM)

    def test_socket_is_there(self) -> None:
        """A master whose socket exists is left alone."""
        with open(self.instance.socket, "w", encoding="ascii"):
            pass
        self.assertFalse(self.instance.rebind_socket(MASTER))
        self.assertEqual([], self.signals)

    def test_socket_is_gone(self) -> None:
        """A master whose socket was removed is reloaded by SIGUSR2, which binds it again."""
        self.assertFalse(os.path.exists(self.instance.socket))
        self.assertTrue(self.instance.rebind_socket(MASTER))
        self.assertEqual([(MASTER.pid, signal.SIGUSR2)], self.signals)

    def test_nothing_hangs(self) -> None:
        """Where only the workers before are listed, nothing is killed."""
        self.assertFalse(self.successResultOf(self.hanging()))
        self.assertEqual([], self.signals)

    def test_worker_hangs(self) -> None:
        """Only the new worker is killed."""
        self.listed = processes(61, reloads=1, old=60)
        self.assertTrue(self.successResultOf(self.hanging()))
        self.assertEqual([(61, signal.SIGKILL)], self.signals)

    def test_master_hangs(self) -> None:
        """A master that does not answer is killed, and its end is waited for."""
        self.socket.listening = False
        killing = self.hanging()
        self.assertEqual([(MASTER.pid, signal.SIGKILL)], self.signals)
        self.assertNoResult(killing)
        self.gone()
        self.clock.advance(0.1)
        self.assertTrue(self.successResultOf(killing))

    def test_terminate(self) -> None:
        """Terminating waits for the end, and no longer than the limit."""
        for ends in (True, False):
            self.machine.runs(MASTER.pid, "haproxy")
            terminating = Deferred.fromCoroutine(self.instance.terminate(MASTER))
            self.assertNoResult(terminating)
            if ends:
                self.gone()
                self.clock.advance(0.1)
            else:
                self.clock.pump([0.1] * int(TERMINATION_TIMEOUT * 10 - 5))
                self.assertNoResult(terminating)
                self.clock.pump([0.1] * 10)
            self.successResultOf(terminating)
        self.assertEqual([(MASTER.pid, signal.SIGTERM)] * 2, self.signals)
