"""The format of the log."""

from __future__ import annotations

import json
import shutil
import socket
from io import StringIO
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from twisted.logger import ILogObserver, Logger, LogPublisher
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from marathonlb import logs
from marathonlb.settings import Settings


class Secretive:
    """A value whose text must not be in a log."""

    def __repr__(self) -> str:
        return "hunter2"


class LogTests(SynchronousTestCase):
    """The lines of events."""

    def logged(self, **options: Any) -> tuple[Logger, StringIO]:
        """Return a logger and the stream of its output."""
        stream = StringIO()
        observer = logs.observer(Settings(**options), stream)
        return Logger(namespace="marathonlb.x", observer=LogPublisher(observer)), stream

    def test_text(self) -> None:
        """In text an event is one line of time, level, place and message."""
        log, stream = self.logged()
        log.info("{appId} is new", appId="/shop")
        self.assertRegex(
            stream.getvalue(), r"^20\d\d-\d\d-\d\dT[0-9:.]+\+00:00 info marathonlb.x /shop is new\n$"
        )

    def test_text_cannot_be_forged(self) -> None:
        """A newline in a value is written as an escape, so it begins no line."""
        for form in ("text", "json"):
            log, stream = self.logged(log_format=form)
            log.warn("{appId}", appId="/a\n2026-01-01 info forged\x1b[31m\u2028")
            self.assertEqual(1, len(stream.getvalue().splitlines()), form)
            self.assertNotIn("\x1b", stream.getvalue())

    def test_traceback(self) -> None:
        """A traceback follows its line, indented; in JSON it is a field."""
        for form in ("text", "json"):
            log, stream = self.logged(log_format=form)
            try:
                raise KeyError("gone")
            except KeyError:
                log.failure("It broke", Failure())
            first, *rest = stream.getvalue().splitlines()
            if form == "text":
                self.assertIn("critical marathonlb.x It broke", first)
                self.assertTrue(rest and all(line.startswith("    ") for line in rest))
            else:
                self.assertEqual([], rest)
                self.assertIn("KeyError", json.loads(first)["traceback"])

    def test_json(self) -> None:
        """In JSON an event is one object with its plain fields, and without any other."""
        log, stream = self.logged(log_format="json")
        log.error("{appId} took {seconds} s", appId="/shop", seconds=0.5, settings=Secretive())
        event = json.loads(stream.getvalue())
        self.assertNotIn("hunter2", stream.getvalue())
        expected: dict[str, object] = {
            "level": "error",
            "logger": "marathonlb.x",
            "message": "/shop took 0.5 s",
        }
        expected |= {"appId": "/shop", "seconds": 0.5}
        self.assertEqual(expected, {name: value for name, value in event.items() if name != "time"})

    def test_level(self) -> None:
        """What is below the level is not written."""
        for level, expected in (("debug", 5), ("info", 4), ("warn", 3), ("error", 2), ("critical", 1)):
            log, stream = self.logged(log_level=level)
            for each in (log.debug, log.info, log.warn, log.error, log.critical):
                each("x")
            self.assertEqual(expected, len(stream.getvalue().splitlines()), level)

    def test_connections_are_details(self) -> None:
        """Twisted's reports of each connection are written at debug alone."""
        for level, expected in (("info", 0), ("debug", 1)):
            log, stream = self.logged(log_level=level)
            Logger(namespace="twisted.web.client._HTTP11ClientFactory", observer=log.observer).info(
                "Starting"
            )
            self.assertEqual(expected, len(stream.getvalue().splitlines()), level)

    def test_factories_are_details(self) -> None:
        """That a factory begins or ends is written at debug alone."""
        for level, expected in (("info", 1), ("debug", 3)):
            log, stream = self.logged(log_level=level)
            log.info("Starting factory {factory!r}", factory=log)
            log.info("Stopping factory {factory!r}", factory=log)
            log.info("Starting")
            self.assertEqual(expected, len(stream.getvalue().splitlines()), level)

    def test_syslog(self) -> None:
        """With --syslog-socket each event is a datagram with the priority of its level as well."""
        directory = mkdtemp(dir="/tmp")
        self.addCleanup(shutil.rmtree, directory)
        path = str(Path(directory) / "log")
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as server:
            server.bind(path)
            server.setblocking(False)
            log, stream = self.logged(syslog_socket=path)
            log.warn("one\ntwo")
            self.assertRegex(server.recv(8192).decode(), r"^<28>marathon-lb\[\d+\]: one\\ntwo$")
        self.assertEqual(1, len(stream.getvalue().splitlines()))

    def test_syslog_away(self) -> None:
        """A syslog that is not there costs its lines and nothing else."""
        log, stream = self.logged(syslog_socket="/nonexistent/log")
        log.warn("x")
        self.assertEqual(1, len(stream.getvalue().splitlines()))
        self.assertTrue(verifyObject(ILogObserver, logs.SyslogObserver("/nonexistent/log")))
