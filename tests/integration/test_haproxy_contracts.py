"""The contracts of this wing, kept by the real parts over a real HAProxy."""

from __future__ import annotations

import os
import socket
import sys
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SkipTest, TestCase
from zope.interface.verify import verifyObject

from marathonlb.config.text.model import Config
from marathonlb.errors import HAProxyUnavailable, InvalidConfiguration, ReloadFailed
from marathonlb.haproxy.factory import make_applier
from marathonlb.haproxy.files.publish import Files
from marathonlb.haproxy.files.state_directory import StateDirectory
from marathonlb.haproxy.interfaces import IChecker
from marathonlb.haproxy.outcome import action_word
from marathonlb.haproxy.process.binary import Binary, HAProxyChecker
from marathonlb.haproxy.process.reload_command import CommandReloader
from marathonlb.haproxy.process.supervisor import ManagedHAProxy
from marathonlb.haproxy.runtime.connection import RuntimeSocket
from tests.coroutines import coroutine
from tests.fakes.haproxy import NONSENSE, FakeChecker
from tests.haproxy.contracts import ApplierContract, ReloaderContract
from tests.integration.haproxies import PACKAGE, WHEEL, Place, answering, ask, frontend


class PlaceCase:
    """A place for one HAProxy."""

    binary = ""
    timeout = 240

    def setUp(self: Any) -> None:
        if not self.binary:
            raise SkipTest("this HAProxy is not installed")
        self.place = Place(self.binary)
        self.addCleanup(self.place.clean)
        self.port = self.place.port
        self.files = Files(self.place.settings.haproxy_config)
        self.begin()

    def begin(self) -> None:
        """Prepare the test case."""


class _Applier(PlaceCase, ApplierContract):
    def begin(self: Any) -> None:
        self.applier = make_applier(self.place.settings, reactor)


class PackageApplierTests(_Applier, TestCase):
    """The applier over the distribution's HAProxy."""

    binary = PACKAGE


class WheelApplierTests(_Applier, TestCase):
    """The applier over the wheel's HAProxy."""

    binary = WHEEL


class _Reloader(PlaceCase, ReloaderContract):
    def begin(self: Any) -> None:
        at: Any = reactor
        self.reloader = ManagedHAProxy(
            binary=Binary(at, at, self.binary, self.place.directory),
            files=self.files,
            state=StateDirectory(self.place.settings.state_dir),
            spawner=at,
            clock=at,
            connect=lambda path: RuntimeSocket.at(at, path, master=True),
        )

    def lay(self: Any, config: Config) -> None:
        self.files.publish(self.files.texts(config))


class PackageReloaderTests(_Reloader, TestCase):
    """The supervisor over the distribution's HAProxy."""

    binary = PACKAGE


class WheelReloaderTests(_Reloader, TestCase):
    """The supervisor over the wheel's HAProxy."""

    binary = WHEEL


class _Checker(PlaceCase):
    """`IChecker`."""

    checker: Any

    def begin(self: Any) -> None:
        at: Any = reactor
        self.checker = HAProxyChecker(
            Binary(at, at, self.binary, self.place.directory), self.place.directory, at
        )

    async def check(self: Any, config: Config) -> str:
        staged = self.files.stage(config)
        said: str = await self.checker.check(staged.path, config)
        return said

    @coroutine
    async def test_accepts(self: Any) -> None:
        """It provides the interface, and accepts what is right, with the staged map, in silence."""
        self.assertTrue(verifyObject(IChecker, self.checker))
        self.assertEqual(await self.check(answering(self.port, "one")), "")

    @coroutine
    async def test_refuses(self: Any) -> None:
        """It refuses what is wrong, naming line and writer."""
        config = answering(self.port, "one", frontend("extra", self.port, NONSENSE, app_id="/extra"))
        with self.assertRaises(InvalidConfiguration) as caught:
            await self.check(config)
        (complaint,) = caught.exception.complaints
        self.assertEqual(complaint.owner.app_id, "/extra")
        self.assertEqual(config.locate(complaint.line)[0].name, "extra")


class PackageCheckerTests(_Checker, TestCase):
    """The distribution's HAProxy."""

    binary = PACKAGE


class WheelCheckerTests(_Checker, TestCase):
    """The wheel's HAProxy."""

    binary = WHEEL


class FakeCheckerTests(_Checker, TestCase):
    """The fake."""

    binary = "none"

    def begin(self: Any) -> None:
        self.checker = FakeChecker()


class UnmanagedTests(PlaceCase, TestCase):
    """A HAProxy that another process started."""

    binary = WHEEL or PACKAGE

    def begin(self) -> None:
        at: Any = reactor
        self.at = at

    def applier(self, command: str | None, **more: Any) -> Any:
        place = Place(self.binary, manage_haproxy=False, command=command, **more)
        self.addCleanup(place.clean)
        return place, make_applier(place.settings, reactor)

    @coroutine
    async def test_written_then_reloaded_by_command(self) -> None:
        """Where nobody runs HAProxy the file is written; once somebody does, the command reloads it."""
        place, applier = self.applier(None)
        outcome = await applier.apply(answering(place.port, "one"))
        self.assertEqual(action_word(outcome), "written")
        self.assertIn("no HAProxy runs", outcome.output)
        self.assertEqual(action_word(await applier.apply(answering(place.port, "one"))), "nothing")
        pid_file = f"{place.directory}/pid"
        arguments = [self.binary, "-W", "-D", "-f", place.settings.haproxy_config, "-p", pid_file]
        started = await Binary(self.at, self.at, self.binary, "/").run(*arguments[1:])
        self.assertEqual(started.status, 0, started.output)
        self.assertEqual(ask(place.port), "one")
        with self.assertRaises(ReloadFailed) as caught:
            await applier.apply(answering(place.port, "two"))
        self.assertIn("no init system here started it", str(caught.exception))
        reloader = CommandReloader(
            path=place.settings.haproxy_config,
            command=f"kill -USR2 $(head -1 {pid_file})",
            retries=0,
            interval=0,
            spawner=self.at,
            clock=self.at,
        )
        self.assertTrue((await reloader.reload(answering(place.port, "two"))).running)
        await self.until(lambda: ask(place.port) == "two")
        self.assertGreater(len(await reloader.pids()), 1)

    async def until(self, true: Any) -> None:
        for _ in range(200):
            if true():
                return
            waiting: Deferred[None] = Deferred()
            self.at.callLater(0.02, waiting.callback, None)
            await waiting
        self.fail("it did not come true")

    @coroutine
    async def test_command_that_leaves_a_child(self) -> None:
        """A command whose own child keeps the output open ends when the command does."""
        noted = f"{self.place.directory}/child"
        command = f"{sys.executable} -c 'import time; time.sleep(90)' & echo $! > {noted}"
        place, applier = self.applier(command)
        outcome = await applier.apply(answering(place.port, "one"))
        self.assertLess(outcome.seconds["reload"], 60)
        with open(noted, encoding="ascii") as file:
            os.kill(int(file.read()), 9)

    @coroutine
    async def test_command_that_fails(self) -> None:
        """A command that fails is told in its words, and the next application runs it again."""
        place, applier = self.applier("echo cannot; exit 7", max_reload_retries=1, reload_interval=0.01)
        for _ in range(2):
            with self.assertRaises(ReloadFailed) as caught:
                await applier.apply(answering(place.port, "one"))
            self.assertIn("ended with status 7: cannot", str(caught.exception))

    @coroutine
    async def test_no_binary(self) -> None:
        """Without a binary nothing is touched and the error says how to get one; without validation it goes on."""
        place, applier = self.applier("true", haproxy="")
        with self.assertRaises(HAProxyUnavailable) as caught:
            await applier.apply(answering(place.port, "one"))
        self.assertIn("no HAProxy was found on PATH", str(caught.exception))
        self.assertFalse(os.path.exists(place.settings.haproxy_config))
        place, applier = self.applier("true", haproxy="", skip_validation=True)
        self.assertEqual(action_word(await applier.apply(answering(place.port, "one"))), "reload")

    @coroutine
    async def test_port_in_use_is_no_question_here(self) -> None:
        """The ports of a HAProxy that is not ours are not probed: it may run elsewhere."""
        place, applier = self.applier("true")
        await applier.apply(answering(place.port, "one"))
        with socket.socket() as holder:
            holder.bind(("127.0.0.1", 0))
            holder.listen()
            wanted = answering(place.port, "one", frontend("other", holder.getsockname()[1]))
            self.assertEqual(action_word(await applier.apply(wanted)), "reload")
