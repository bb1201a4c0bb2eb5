"""``twistd marathon-lb``."""

from __future__ import annotations

import json
import os
import sys
from io import StringIO
from pathlib import Path
from typing import Any

from twisted.application.service import Application, IService, IServiceMaker, Service
from twisted.logger import ILogObserver, LogEvent, Logger, LogPublisher, globalLogPublisher
from twisted.plugin import getPlugins
from twisted.python import usage
from twisted.trial.unittest import SynchronousTestCase

from marathonlb import tap
from marathonlb.errors import HAProxyUnavailable
from marathonlb.settings import Settings


class OptionsTests(SynchronousTestCase):
    """The plugin's options."""

    def test_settings(self) -> None:
        """The options and the environment become the settings."""
        options = tap.Options({"MARATHON_LB_GROUP": "a"})
        options.parseOptions(["--mode=poll", "-m", "http://m1"])
        self.assertEqual(("poll", ("http://m1",)), (options.settings.mode, options.settings.marathon))
        self.assertEqual(frozenset("a"), options.settings.groups)

    def test_usage_error(self) -> None:
        """A wrong value is twistd's own usage error, with the option, the value and what was expected."""
        options = tap.Options({})
        error = self.assertRaises(usage.UsageError, options.parseOptions, ["--mode", "watch"])
        self.assertEqual("--mode: 'watch' is not one of sse, event, poll", str(error))

    def test_unknown(self) -> None:
        """An option that does not exist, or is the script's, is a usage error."""
        for name in ("--nonsense", "--dry", "--sse"):
            self.assertRaises(usage.UsageError, tap.Options({}).parseOptions, [name])

    def test_longhelp(self) -> None:
        """--longhelp prints the Markdown and ends."""
        out = StringIO()
        self.patch(sys, "stdout", out)
        stop = self.assertRaises(SystemExit, tap.Options({}).parseOptions, ["--longhelp"])
        self.assertEqual(0, stop.code)
        self.assertTrue(out.getvalue().startswith("# Options\n"))

    def test_plugin(self) -> None:
        """The plugin is found under its name and leads here."""
        makers = {maker.tapname: maker for maker in getPlugins(IServiceMaker)}
        self.assertIs(tap.Options, makers["marathon-lb"].options)
        self.assertIs(tap.makeService, makers["marathon-lb"].makeService)


class ServiceTests(SynchronousTestCase):
    """The service that twistd runs."""

    def make(
        self, arguments: list[str], twistd: dict[str, Any] | None
    ) -> tuple[IService, Service, list[Settings]]:
        """The daemon's service, the controller's inside it, and the settings that it was made of."""
        inner, seen = Service(), []

        def maker(settings: Settings, reactor: object) -> Service:
            seen.append(settings)
            return inner

        options = tap.Options({})
        options.parent = twistd
        options.parseOptions(arguments)
        return tap.makeService(options, maker), inner, seen

    def test_uid(self) -> None:
        """What ``twistd --uid`` is to become makes the service, whose files are then its own; root goes on."""
        euids: list[int] = []

        def maker(settings: Settings, reactor: object) -> Service:
            euids.append(os.geteuid())
            return Service()

        wanted = 54321 if os.geteuid() == 0 else os.geteuid()
        for twistd in ({"uid": wanted, "gid": None}, {"uid": None, "gid": None}):
            options = tap.Options({})
            options.parent = {**twistd, "logfile": self.mktemp()}
            options.parseOptions([])
            before = os.geteuid()
            tap.makeService(options, maker)
            self.assertEqual(before, os.geteuid())
        self.assertEqual([wanted, os.geteuid()], euids)

    def test_runs(self) -> None:
        """The controller is made of the settings, and starts and stops with the daemon."""
        daemon, inner, seen = self.make(["--group", "g"], None)
        self.assertEqual(frozenset("g"), seen[0].groups)
        daemon.startService()
        self.assertTrue(inner.running)
        self.successResultOf(daemon.stopService())
        self.assertFalse(inner.running)

    def test_cannot_be_made(self) -> None:
        """A controller that cannot be made ends the start with one line."""

        def maker(settings: Settings, reactor: object) -> IService:
            raise HAProxyUnavailable(reason="there is no haproxy; install the extra haproxy")

        options = tap.Options({})
        options.parseOptions([])
        stop = self.assertRaises(SystemExit, tap.makeService, options, maker)
        self.assertEqual("marathon-lb: MLB-909 there is no haproxy; install the extra haproxy", stop.code)

    def observer(self, arguments: list[str], **twistd: Any) -> Any:
        """Return the log observer of the application."""
        application = Application("marathon-lb")
        daemon, _, _ = self.make(arguments, twistd)
        daemon.setServiceParent(application)
        return application.getComponent(ILogObserver, None)

    def test_log_in_the_foreground(self) -> None:
        """In the foreground the log goes to standard output, in the form and from the level asked for."""
        out = StringIO()
        self.patch(sys, "stdout", out)
        observer = self.observer(["--log-format=json", "--log-level=warn"], nodaemon=1, logfile=None)
        log = Logger(observer=LogPublisher(observer))
        log.info("low")
        log.warn("high")
        self.assertEqual("high", json.loads(out.getvalue())["message"])

    def test_log_file(self) -> None:
        """twistd's --logfile is honoured."""
        path = Path(self.mktemp())
        Logger(observer=LogPublisher(self.observer([], nodaemon=1, logfile=str(path)))).warn("x")
        self.assertIn(" warn ", path.read_text())

    def test_log_file_that_cannot_be_written(self) -> None:
        """A log that cannot be written ends the start with one line that names it."""
        path = f"{self.mktemp()}/nowhere/log"
        stop = self.assertRaises(SystemExit, self.observer, [], nodaemon=0, logfile=path)
        self.assertIn(f"{path} cannot be written: No such file", str(stop.code))

    def test_logs_that_twistd_keeps(self) -> None:
        """An observer chosen by twistd's --logger stays; a daemon cannot log to standard output."""
        self.assertIs(None, self.observer([], nodaemon=1, logger=object()))
        self.assertRaises(SystemExit, self.observer, [], nodaemon=0, logfile="-")

    def test_notices(self) -> None:
        """What is to be said about the options is logged when the daemon starts."""
        options = tap.Options({})
        options.parseOptions(["--lru-cache-capacity", "10"])
        said: list[str] = []

        def observe(event: LogEvent) -> None:
            if "notice" in event:
                said.append(event["notice"])

        globalLogPublisher.addObserver(observe)
        self.addCleanup(globalLogPublisher.removeObserver, observe)
        tap.TwistdService(None, options.notices).startService()
        self.assertEqual(list(options.notices), said)
        self.assertEqual(1, len(said))
