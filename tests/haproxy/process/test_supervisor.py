"""The supervision of a managed HAProxy: reloads, restarts and their pauses."""

from __future__ import annotations

import signal

from zope.interface.verify import verifyObject

from marathonlb.errors import ReloadFailed
from marathonlb.haproxy.interfaces import IReloader
from marathonlb.haproxy.process.lifecycle import STABLE_AFTER
from marathonlb.haproxy.process.master import RELOAD_TIMEOUT
from tests.fakes.processes import FakeProcess
from tests.haproxy.process.cases import SupervisorCase
from tests.haproxy.samples import A, processes


class ReloadTests(SupervisorCase):
    """`ManagedHAProxy` without supervision."""

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
        self.clock.advance(STABLE_AFTER)
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
