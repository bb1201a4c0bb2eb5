"""A HAProxy of our own, without one: what is waited for, what is said, and how long the pauses are."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
from typing import Any

from twisted.internet.task import Clock
from twisted.logger import (
    FilteringLogObserver,
    LogLevel,
    LogLevelFilterPredicate,
    formatEvent,
    globalLogPublisher,
)
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from marathonlb.errors import HAProxyUnavailable, PublishFailed, ReloadFailed
from marathonlb.haproxy.files.publish import Files
from marathonlb.haproxy.files.state_directory import StateDirectory
from marathonlb.haproxy.interfaces import IReloader
from marathonlb.haproxy.process.binary import Binary
from marathonlb.haproxy.process.master import RELOAD_TIMEOUT
from marathonlb.haproxy.process.port_check import Bind
from marathonlb.haproxy.process.supervisor import ADOPTION_TIMEOUT, LONG_ENOUGH, ManagedHAProxy
from marathonlb.haproxy.runtime.connection import NO_TARGET, RuntimeSocket
from tests.fakes.processes import FakeProcess, FakeSpawner
from tests.fakes.sockets import FakeSocket
from tests.haproxy.process.test_reload_command import Machine
from tests.haproxy.samples import A, processes


class SupervisorCase(SynchronousTestCase):
    """A supervisor on a machine of the test's."""

    def setUp(self) -> None:
        self.clock, self.spawner = Clock(), Spawning()
        self.machine = Machine(self.mktemp())
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

    machine: Machine

    def spawnProcess(self, *arguments: Any, **more: Any) -> Any:
        process = super().spawnProcess(*arguments, **more)
        self.machine.runs(process.pid, *process.argv[4:])
        return process


class StartTests(SupervisorCase):
    """Starting."""

    def test_interface(self) -> None:
        """It provides the interface, and without a HAProxy nothing serves."""
        self.assertTrue(verifyObject(IReloader, self.supervisor))
        self.assertFalse(self.successResultOf(self.supervisor.serving()))
        self.assertEqual(self.successResultOf(self.supervisor.pids()), ())

    def test_first_reload_starts(self) -> None:
        """The first reload starts it as master and worker, and is done when a worker serves."""
        self.lay()
        reloading = self.supervisor.reload(A)
        self.clock.advance(5)
        self.assertNoResult(reloading)
        process = self.started()
        self.assertTrue(self.successResultOf(reloading).running)
        self.assertEqual(
            process.argv[4:],
            [
                *(f"{self.machine.root}/bin/haproxy", "-W", "-S", f"{self.master},mode,600"),
                *("-f", self.files.path, "-p", self.state.file("haproxy.pid")),
            ],
        )
        self.assertEqual(self.state.confirmed(), self.files.texts(A).digest())
        self.assertTrue(self.successResultOf(self.supervisor.serving()))
        self.assertEqual(self.successResultOf(self.supervisor.pids()), (60,))

    def hang(self, worker: int | None) -> ReloadFailed:
        """A reload that does not end; with this worker loading, or with a master that does not answer any more."""
        self.lay()
        starting = self.supervisor.reload(A)
        process = self.started()
        self.successResultOf(starting)
        self.deaf_to = "reload"
        reloading = self.supervisor.reload(A)
        self.show = None
        if worker is not None:
            self.show = processes(worker, reloads=1).replace("\n1 ", f"\n{process.pid} ", 1)
        self.clock.pump([1] * int(RELOAD_TIMEOUT + 5))
        self.machine.runs(process.pid, "haproxy", state="Z")
        self.clock.pump([1] * 10)
        error: ReloadFailed = self.failureResultOf(reloading, ReloadFailed).value
        return error

    def test_master_hangs(self) -> None:
        """A master that hangs in a reload is ended, since it would never reload again; the files before come back."""
        error = self.hang(None)
        self.assertTrue(error.refused)
        self.assertEqual(self.killed, [(self.spawner.processes[0].pid, signal.SIGKILL)])

    def test_worker_hangs(self) -> None:
        """Of a new worker that does not end loading nothing else is ended: those before serve on."""
        error = self.hang(61)
        self.assertTrue(error.refused)
        self.assertEqual(self.killed, [(61, signal.SIGKILL)])

    def test_start_hangs(self) -> None:
        """What never serves after a start is ended with all its processes: it would be taken for one that loads."""
        self.lay()
        starting = self.supervisor.reload(A)
        self.clock.pump([1] * int(RELOAD_TIMEOUT + 2))
        self.assertTrue(self.failureResultOf(starting, ReloadFailed).value.refused)
        self.assertEqual(self.killed, [(-self.spawner.processes[0].pid, signal.SIGKILL)])

    def test_shared_ports(self) -> None:
        """Where somebody else gets a part of the connections that is said, once HAProxy serves."""
        said: list[str] = []
        observer = FilteringLogObserver(
            lambda event: said.append(formatEvent(event)), [LogLevelFilterPredicate(LogLevel.warn)]
        )
        globalLogPublisher.addObserver(observer)
        self.addCleanup(globalLogPublisher.removeObserver, observer)
        self.lay()
        self.shared = [Bind("0.0.0.0", 80)]
        reloading = self.supervisor.reload(A)
        self.assertEqual(said, [])
        self.started()
        self.successResultOf(reloading)
        (words,) = said
        self.assertIn("gets a part of the connections: [0.0.0.0:80]. End it", words)

    def test_loads_yet(self) -> None:
        """A worker that the master names and that does not answer yet is waited for: it may yet fail (HAProxy 3.4)."""
        self.lay()
        reloading = self.supervisor.reload(A)
        process = self.spawner.processes[0]
        self.answers(process.pid)
        shown = self.show
        self.answer = lambda command: shown if command == "show proc" else NO_TARGET  # type: ignore
        self.clock.pump([0.1] * 9)
        self.assertNoResult(reloading)
        self.assertIsNone(self.state.confirmed())
        self.die(process)
        self.clock.advance(1)
        self.failureResultOf(reloading, ReloadFailed)

    def test_start_fails(self) -> None:
        """A HAProxy that ends at once is told in its own words, with the line's owner."""
        self.lay()
        reloading = self.supervisor.reload(A)
        with open(self.state.file("haproxy.log"), "a", encoding="utf-8") as file:
            file.write("[ALERT]    (1) : Binding [/x/haproxy.cfg:6] for frontend f: cannot bind socket\n")
        self.die(self.spawner.processes[0])
        self.clock.advance(1)
        error = self.failureResultOf(reloading, ReloadFailed).value
        self.assertEqual(
            str(error),
            "reload failed: HAProxy could not be started: line 6: Binding for frontend f: cannot bind socket",
        )
        self.assertEqual(error.complaints[0].owner.app_id, "/a")

    def test_no_binary(self) -> None:
        """Without a binary the reload says how to get one."""
        os.unlink(os.path.join(self.machine.root, "bin/haproxy"))
        self.failureResultOf(self.supervisor.reload(A), HAProxyUnavailable)

    def test_long_state_directory(self) -> None:
        """A state directory whose sockets HAProxy could not bind is said."""
        state = StateDirectory(os.path.join(os.path.abspath(self.mktemp()), "x" * 80))
        error = self.failureResultOf(self.make(state).reload(A), PublishFailed).value
        self.assertIn("--state-dir", str(error))


class AdoptionTests(SupervisorCase):
    """Taking over."""

    def test_adopts(self) -> None:
        """One that answers is taken as it is."""
        self.runs()
        self.answers(50)
        self.assertTrue(self.successResultOf(self.supervisor.serving()))
        self.assertEqual((self.spawner.processes, set(self.socket.asked)), ([], {"show proc"}))

    def test_waits_while_it_loads(self) -> None:
        """One that runs and does not answer yet is waited for, not started again."""
        self.runs()
        serving = self.supervisor.serving()
        self.clock.pump([1] * 5)
        self.assertNoResult(serving)
        self.answers(50)
        self.clock.advance(1)
        self.assertTrue(self.successResultOf(serving))

    def test_never_answers(self) -> None:
        """One that never answers holds the ports; that is said, with what to do."""
        self.runs()
        self.bind()
        serving = self.supervisor.serving()
        self.clock.pump([1] * int(ADOPTION_TIMEOUT + 2))
        self.assertIn("end it", str(self.failureResultOf(serving, HAProxyUnavailable).value))

    def test_without_its_pid_file(self) -> None:
        """One whose pid file is lost is found by its socket, and no second one is started beside it."""
        self.lay()
        self.runs(noted=False)
        self.answers(50)
        self.supervisor.startService()
        self.assertTrue(self.successResultOf(self.supervisor.serving()))
        self.assertEqual(self.spawner.processes, [])
        self.successResultOf(self.supervisor.stopService())

    def test_without_its_socket(self) -> None:
        """One that is surely up and has lost its socket is told to bind it anew; one may still be loading before."""
        self.runs(noted=False)
        serving = self.supervisor.serving()
        self.clock.pump([1] * int(ADOPTION_TIMEOUT - 1))
        self.assertEqual(self.killed, [])
        self.clock.pump([1] * 3)
        self.assertEqual(self.killed, [(50, signal.SIGUSR2)])
        self.assertNoResult(serving)
        self.answers(50)
        shown, answering = self.show, 59
        self.answer = lambda command: shown if command == "show proc" else f"Pid: {answering}\n"  # type: ignore
        self.clock.advance(1)
        self.assertNoResult(serving)
        answering = 60
        self.clock.advance(1)
        self.assertTrue(self.successResultOf(serving))

    def test_socket_never_comes(self) -> None:
        """One that does not bind its socket anew is told so once, and then it is said what to do."""
        self.runs()
        serving = self.supervisor.serving()
        self.clock.pump([1] * int(2 * ADOPTION_TIMEOUT + 4))
        self.assertIn("end it", str(self.failureResultOf(serving, HAProxyUnavailable).value))
        self.assertEqual(self.killed, [(50, signal.SIGUSR2)])

    def test_not_ours(self) -> None:
        """Another's HAProxy with our file shares its ports with nobody: that is said, and none is started."""
        self.lay()
        self.machine.runs(70, "/usr/sbin/haproxy", "-Ws", "-f", self.files.path, session=70)
        error = self.failureResultOf(self.supervisor.reload(A), HAProxyUnavailable).value
        self.assertIn("a HAProxy that is not ours (pid 70)", str(error))
        self.assertIn("systemctl disable --now haproxy", str(error))
        self.assertEqual(self.spawner.processes, [])

    def test_workers_that_are_left(self) -> None:
        """Workers whose master was killed are no HAProxy to wait for."""
        self.lay()
        self.machine.runs(60, "haproxy", "-W", "-S", f"{self.master}", "-f", self.files.path, session=50)
        reloading = self.supervisor.reload(A)
        self.started()
        self.assertTrue(self.successResultOf(reloading).running)

    def test_another_file(self) -> None:
        """One that runs with another file is not taken over in silence."""
        self.runs(path="/etc/other.cfg")
        error = self.failureResultOf(self.supervisor.serving(), HAProxyUnavailable).value
        self.assertIn("pid 50) has another configuration file", str(error))

    def test_stale_pid_file(self) -> None:
        """A pid file whose process is another program means that none runs."""
        self.runs()
        self.machine.runs(50, "sshd", "-D")
        self.assertFalse(self.successResultOf(self.supervisor.serving()))


class SupervisionTests(SupervisorCase):
    """Started again when it ends."""

    def setUp(self) -> None:
        super().setUp()
        self.addCleanup(lambda: self.supervisor.running and self.supervisor.stopService())

    def start(self) -> FakeProcess:
        self.lay()
        self.supervisor.startService()
        return self.started()

    def test_starts_from_disk(self) -> None:
        """It is started from the file on disk when the service starts."""
        self.start()
        self.assertTrue(self.successResultOf(self.supervisor.serving()))

    def test_waits_for_the_first_file(self) -> None:
        """Without a file it waits for the first configuration."""
        self.supervisor.startService()
        self.clock.pump([1] * 60)
        self.assertEqual(self.spawner.processes, [])

    def test_comes_back(self) -> None:
        """One that ends is started again, after pauses that grow and have an end."""
        process = self.start()
        pauses = []
        for _ in range(12):
            self.die(process)
            began, count = self.clock.seconds(), len(self.spawner.processes)
            while len(self.spawner.processes) == count:
                self.clock.advance(0.05)
            pauses.append(round(self.clock.seconds() - began))
            process = self.started()
        self.assertEqual(pauses, [0, 0, 0, 1, 2, 3, 5, 5, 5, 5, 5, 5])

    def test_pauses_start_over(self) -> None:
        """One that served long enough before it ended is started again without a long pause."""
        process = self.start()
        for _ in range(8):
            self.die(process)
            self.clock.pump([1] * 40)
            process = self.started()
        self.clock.advance(LONG_ENOUGH)
        self.die(process)
        count = len(self.spawner.processes)
        self.clock.advance(0.2)
        self.assertEqual(len(self.spawner.processes), count + 1)

    def test_adopted_one_ends(self) -> None:
        """An adopted one, whose end nobody tells us, is seen to be gone."""
        self.lay()
        self.runs()
        self.answers(50)
        self.supervisor.startService()
        self.assertTrue(self.successResultOf(self.supervisor.serving()))
        self.machine.runs(50, "haproxy", state="X")
        self.socket.listening = False
        self.clock.pump([0.5, 0.5])
        self.assertEqual(len(self.spawner.processes), 1)

    def test_start_that_fails_is_tried_again(self) -> None:
        """A start that fails is tried again."""
        self.lay()
        self.supervisor.startService()
        self.die(self.spawner.processes[0])
        self.clock.pump([0.5] * 8)
        self.assertEqual(len(self.spawner.processes), 2)
        self.started()
        self.assertTrue(self.successResultOf(self.supervisor.serving()))

    def test_stop(self) -> None:
        """After the stop nothing is done any more, and HAProxy is left alone."""
        process = self.start()
        self.successResultOf(self.supervisor.stopService())
        self.assertEqual(process.signals, [])
        self.die(process)
        self.clock.pump([1] * 60)
        self.assertEqual(len(self.spawner.processes), 1)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_stop_while_it_starts(self) -> None:
        """A stop in the middle of a start ends the waiting."""
        self.lay()
        self.supervisor.startService()
        self.successResultOf(self.supervisor.stopService())
        self.clock.pump([0.5] * 4)
        self.assertEqual(self.clock.getDelayedCalls(), [])
