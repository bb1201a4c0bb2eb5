"""Adopting the HAProxy of an earlier controller."""

from __future__ import annotations

import signal

from marathonlb.errors import HAProxyUnavailable
from marathonlb.haproxy.process.adoption import ADOPTION_TIMEOUT
from tests.haproxy.process.cases import SupervisorCase
from tests.haproxy.samples import A


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
