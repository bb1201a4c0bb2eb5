"""Reloading a HAProxy that is not ours."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from marathonlb.errors import ReloadFailed
from marathonlb.haproxy.interfaces import IReloader
from marathonlb.haproxy.process.reload_command import COMMAND_TIMEOUT, CommandReloader, InitSystem
from tests.fakes.machine import FakeMachine
from tests.fakes.processes import FakeSpawner
from tests.haproxy.samples import A


class ReloaderCase(SynchronousTestCase):
    """A reloader on such a machine."""

    path = "/etc/haproxy/haproxy.cfg"

    def setUp(self) -> None:
        self.machine, self.clock = FakeMachine(self.mktemp()), Clock()
        self.spawner = FakeSpawner()

    def reloader(self, command: str | None = None, retries: int = 0) -> CommandReloader:
        return CommandReloader(
            path=self.path,
            command=command,
            retries=retries,
            interval=10,
            spawner=self.spawner,
            clock=self.clock,
            init=InitSystem(self.spawner, self.clock, self.machine.root),
            procfs=self.machine.procfs,
        )

    def reload(self, *arguments: Any) -> Deferred[Any]:
        return self.reloader(*arguments).reload(A)

    def argv(self) -> list[list[str]]:
        return [process.argv for process in self.spawner.processes]


class CommandTests(ReloaderCase):
    """``--command``."""

    def test_interface(self) -> None:
        """It provides the interface; a HAProxy that is not ours is never ours to start."""
        reloader = self.reloader("true")
        self.assertTrue(verifyObject(IReloader, reloader))
        self.assertTrue(self.successResultOf(reloader.serving()))
        self.assertEqual(self.successResultOf(reloader.pids()), ())

    def test_success(self) -> None:
        """It is run by a shell, and its success is the confirmation."""
        reloading = self.reload("service haproxy reload && true")
        self.assertEqual(self.argv(), [["/bin/sh", "-c", "service haproxy reload && true"]])
        self.spawner.processes[0].say("ok")
        self.spawner.processes[0].end(0)
        result = self.successResultOf(reloading)
        self.assertEqual((result.running, result.output), (True, "ok"))

    def test_failure(self) -> None:
        """Its failure is told with its status and its words, and HAProxy's complaints in them with their owners."""
        reloading = self.reload("reload-it")
        self.spawner.processes[0].say("[ALERT] (1) : parsing [/etc/haproxy/haproxy.cfg:6] : no\n")
        self.spawner.processes[0].end(1)
        error = self.failureResultOf(reloading, ReloadFailed).value
        self.assertIn("'reload-it' ended with status 1: [ALERT]", str(error))
        self.assertEqual((error.complaints[0].owner.app_id, error.refused), ("/a", False))

    def test_time_limit(self) -> None:
        """A command that hangs is killed."""
        reloading = self.reload("sleep infinity")
        self.clock.advance(COMMAND_TIMEOUT)
        self.assertIn("did not end in time", str(self.failureResultOf(reloading, ReloadFailed).value))

    def test_retries(self) -> None:
        """It is run again as often as was said, at the interval that was said."""
        reloading = self.reload("reload-it", 2)
        for attempt in range(3):
            self.assertEqual(len(self.spawner.processes), attempt + 1)
            self.spawner.processes[-1].end(1)
            self.clock.advance(9.9)
            self.assertEqual(len(self.spawner.processes), attempt + 1)
            self.clock.advance(0.2)
        self.failureResultOf(reloading, ReloadFailed)
        self.assertEqual(len(self.spawner.processes), 3)

    def test_once(self) -> None:
        """It is run once where the cause of a failure is searched, and says that the operator asked for more."""
        for retries, repeatable in ((2, True), (-1, True), (0, False)):
            reloading = self.reloader("reload-it", retries).reload(A, once=True)
            self.spawner.processes[-1].end(1)
            error = self.failureResultOf(reloading, ReloadFailed).value
            self.assertEqual(error.repeatable, repeatable)

    def test_retry_succeeds(self) -> None:
        """A later success is a success; with -1 it is tried for ever."""
        reloading = self.reload("reload-it", -1)
        for _ in range(30):
            self.spawner.processes[-1].end(1)
            self.clock.advance(10)
        self.spawner.processes[-1].end(0)
        self.successResultOf(reloading)

    def test_cancelled(self) -> None:
        """Cancelling ends the retries."""
        reloading = self.reload("reload-it", -1)
        self.spawner.processes[-1].end(1)
        reloading.cancel()
        self.failureResultOf(reloading, CancelledError)
        self.assertEqual(self.clock.getDelayedCalls(), [])


class InitSystemTests(ReloaderCase):
    """The init system's reload, found out."""

    def setUp(self) -> None:
        super().setUp()
        self.machine.runs(10, "haproxy", "-W", "-f", self.path)

    def test_nobody_runs(self) -> None:
        """Where no HAProxy runs with the file nobody is told, and that is said."""
        self.machine.runs(10, "haproxy", "-W", "-f", "/etc/other.cfg")
        result = self.successResultOf(self.reload())
        self.assertFalse(result.running)
        self.assertIn("no HAProxy runs with /etc/haproxy/haproxy.cfg", result.output)

    def test_systemd(self) -> None:
        """systemd reloads the one that it started."""
        self.machine.has("run/systemd/system/x")
        self.spawner.answers = {"show": (0, "10\n"), "reload": (0, "")}
        self.assertTrue(self.successResultOf(self.reload()).running)
        self.assertEqual(self.argv()[-1], ["systemctl", "reload", "haproxy.service"])

    def test_systemd_knows_another(self) -> None:
        """Where systemd knows none, or another one, the next one is asked."""
        self.machine.has("run/systemd/system/x")
        self.machine.has("etc/init.d/haproxy", 0o755)
        self.machine.has("run/haproxy.pid", text="10\n")
        for said in ("0\n", "11\n", "System has not been booted with systemd"):
            self.spawner.answers = {"show": (0, said), "reload": (0, "")}
            self.successResultOf(self.reload())
            self.assertEqual(self.argv()[-1], [f"{self.machine.root}/etc/init.d/haproxy", "reload"])

    def test_upstart(self) -> None:
        """upstart reloads the one that it started."""
        self.machine.has("etc/init/haproxy.conf")
        self.machine.has("sbin/initctl")
        self.spawner.answers = {"status": (0, "haproxy start/running, process 10\n"), "reload": (0, "")}
        self.successResultOf(self.reload())
        self.assertEqual(self.argv()[-1], ["initctl", "reload", "haproxy"])

    def test_sysv_knows_another(self) -> None:
        """A script that started another one, or none, is not run: it would touch or start a stranger."""
        self.machine.has("etc/init.d/haproxy", 0o755)
        self.machine.has("etc/init/haproxy.conf")
        self.machine.has("sbin/initctl")
        self.spawner.answers = {"status": (1, "haproxy stop/waiting")}
        for noted in ("", "11\n"):
            self.machine.has("run/haproxy.pid", text=noted)
            self.failureResultOf(self.reload(), ReloadFailed)

    def test_none(self) -> None:
        """Where a HAProxy runs and nothing knows how to reload it, the error says what to give."""
        error = self.failureResultOf(self.reload(), ReloadFailed).value
        self.assertIn("a HAProxy runs with /etc/haproxy/haproxy.cfg (pid 10)", str(error))
        self.assertIn("--command", str(error))
