"""One run under the reactor: its exit status, its errors and its log."""

from __future__ import annotations

import gc
from io import StringIO
from typing import Any

from attrs import evolve
from twisted.application.service import IService
from twisted.internet.defer import Deferred, fail, succeed
from twisted.logger import Logger, LogPublisher

from marathonlb.errors import MarathonLBError, SourceError
from marathonlb.script.terminal import Terminal
from marathonlb.settings import Settings
from tests.script.sessions import SessionTestCase


class SingleRunTests(SessionTestCase):
    """A run that ends by itself."""

    def test_garbage(self) -> None:
        """A run that ends collects no garbage while it runs; whoever called it collects as before."""
        seen: list[bool] = []

        def once(settings: Settings, reactor: Any, terminal: Terminal) -> Deferred[int]:
            seen.append(gc.isenabled())
            return succeed(0)

        self.world = evolve(self.world, once=once)
        self.assertEqual((0, [False], True), (self.run_main(""), seen, gc.isenabled()))

    def test_failure(self) -> None:
        """What fails exits with 1 and one line that says what was asked and what went wrong."""
        error = SourceError(url="http://m1:8080/v2/apps", reason="connection refused")
        self.world = evolve(self.world, once=self.once(fail(error)))
        self.assertEqual(1, self.run_main(""))
        self.assertEqual(
            "marathon-update-haproxy: MLB-903 http://m1:8080/v2/apps: connection refused\n",
            self.err.getvalue(),
        )

    def test_defect(self) -> None:
        """An error that nobody expected is one line too, never a traceback."""
        self.world = evolve(self.world, once=self.once(fail(KeyError("apps"))))
        self.assertEqual(1, self.run_main(""))
        self.assertEqual(1, self.err.getvalue().count("\n"))
        self.assertIn("KeyError: 'apps'", self.err.getvalue())
        self.assertEqual(1, len(self.flushLoggedErrors(KeyError)))

    def test_failure_at_once(self) -> None:
        """An error that is raised before there is a Deferred is treated likewise."""

        def once(settings: Settings, reactor: Any, terminal: Terminal) -> Deferred[int]:
            raise MarathonLBError("no haproxy")

        self.world = evolve(self.world, once=once)
        self.assertEqual(1, self.run_main(""))
        self.assertEqual("marathon-update-haproxy: no haproxy\n", self.err.getvalue())

    def test_interrupted(self) -> None:
        """A signal cancels a run that is not done: it exits with 1 and says so."""
        cancelled: list[bool] = []
        self.world = evolve(self.world, once=self.once(Deferred(lambda _: cancelled.append(True))))
        self.assertEqual(1, self.run_main(""))
        self.assertEqual([True], cancelled)
        self.assertIn("interrupted", self.err.getvalue())


class DaemonTests(SessionTestCase):
    """A run that lasts until a signal."""

    def test_forever(self) -> None:
        """--sse and --listening run the daemon's service until a signal, then stop it and exit with 0."""
        for line, mode in (("--sse", "sse"), ("-l :8081 -u lb:8081", "event")):
            running: list[bool] = []

            def maker(settings: Settings, reactor: Any, running: list[bool] = running) -> IService:
                self.seen.append(settings)
                reactor.callWhenRunning(lambda: running.append(bool(self.service.running)))
                return self.service

            self.world = evolve(self.world, make_daemon=maker)
            self.assertEqual(0, self.run_main(line))
            self.assertEqual((mode, [True]), (self.seen[-1].mode, running))
            self.assertFalse(self.service.running)

    def test_garbage(self) -> None:
        """The daemon collects garbage, though the command turned that off before."""
        collecting: list[bool] = []

        def maker(settings: Settings, reactor: Any) -> IService:
            collecting.append(gc.isenabled())
            return self.service

        self.world = evolve(self.world, make_daemon=maker)
        gc.disable()
        self.addCleanup(gc.enable)
        self.assertEqual((0, [True]), (self.run_main("--sse"), collecting))


class LogTests(SessionTestCase):
    """The log of a run."""

    def test_quiet(self) -> None:
        """A single run logs warnings and worse on standard error, unless a level was asked for."""
        observers: list[Any] = []
        self.world = evolve(self.world, begin_logging=observers.append)
        for line, environ, expected in (
            ("", {}, False),
            ("--log-level info", {}, True),
            ("", {"MARATHON_LB_LOG_LEVEL": "info"}, True),
        ):
            self.err = StringIO()
            self.run_main(line, **environ)
            Logger(observer=LogPublisher(observers[-1])).info("x")
            self.assertEqual(expected, bool(self.err.getvalue()), line)
