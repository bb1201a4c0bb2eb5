"""Programs that are run to their end, and what HAProxy says of itself."""

from __future__ import annotations

import os
from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from marathonlb.errors import CheckFailed, HAProxyUnavailable, InvalidConfiguration
from marathonlb.haproxy.process.binary import (
    CHECK_TIMEOUT,
    GRACE,
    LEAST_TIME,
    MAX_OUTPUT,
    SLACK,
    Binary,
    FinishedProgram,
    HAProxyChecker,
    NoChecker,
    haproxy_environment,
    parse_capabilities,
    run_program,
)
from tests.fakes.processes import FakeSpawner, Unable
from tests.haproxy.samples import BAD, A

VERSION = """\
HAProxy version 2.8.25-5cf5d0683 2026/06/26 - https://haproxy.org/
Feature list : -51DEGREES +LUA +OPENSSL -QUIC
Available services : prometheus-exporter
"""


REASON = "[Errno 1] Operation not permitted: 'x'"


class RunTests(SynchronousTestCase):
    """A program and its time limit."""

    def setUp(self) -> None:
        self.spawner, self.clock = FakeSpawner(), Clock()
        self.running = run_program(
            self.spawner, self.clock, ["x", "y"], timeout=10, env={"A": "b"}, cwd="/tmp"
        )
        self.process = self.spawner.processes[0]

    def result(self) -> FinishedProgram:
        finished: FinishedProgram = self.successResultOf(self.running)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        return finished

    def test_end(self) -> None:
        """Its status and its words are told; it got its arguments, its environment and its directory."""
        self.process.say("hello ")
        self.process.say("world")
        self.process.end(3)
        self.assertEqual(self.result(), FinishedProgram(status=3, output="hello world"))
        self.assertEqual(
            (self.process.argv, self.process.env, self.process.path), (["x", "y"], {"A": "b"}, "/tmp")
        )

    def test_cannot_be_executed(self) -> None:
        """What cannot be executed has ended with the reason in a line, however Twisted says it."""
        self.process.say(
            f"Upon execvpe x ['x'] in environment id 140\n:Traceback …\nPermissionError: {REASON}\n"
        )
        self.process.end(1)
        self.assertEqual(self.result(), FinishedProgram(status=1, output=f"PermissionError: {REASON}"))
        self.running = run_program(Unable(), self.clock, ["x"], timeout=10)
        self.assertEqual(self.result(), FinishedProgram(status=1, output="Exec format error: x"))

    def test_time_over(self) -> None:
        """It is killed when its time is over."""
        self.clock.advance(10)
        self.assertEqual(self.process.signals, ["KILL"])
        finished = self.result()
        self.assertTrue(finished.timed_out)
        self.assertIn("did not end in time", finished.ending)

    def test_grandchild_holds_the_pipe(self) -> None:
        """A child of its own that keeps its output open is not waited for."""
        self.process.say("started")
        self.process.end(0, pipes=False)
        self.assertNoResult(self.running)
        self.clock.advance(GRACE)
        self.assertEqual(self.result(), FinishedProgram(status=0, output="started"))
        self.process.protocol.processEnded(None)

    def test_too_many_words(self) -> None:
        """Of endless words the first are kept."""
        for _ in range(3):
            self.process.say("x" * (MAX_OUTPUT // 2 + 1))
        self.process.end(0)
        self.assertEqual(len(self.result().output), MAX_OUTPUT)

    def test_cancelled(self) -> None:
        """Cancelling kills it."""
        self.running.addErrback(lambda _: None)
        self.running.cancel()
        self.assertEqual(self.process.signals, ["KILL"])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_signal(self) -> None:
        """A signal that ended it is told."""
        self.process.end(None, signal=11)
        self.assertEqual(self.result().ending, "was killed by signal 11")


class EnvironmentTests(SynchronousTestCase):
    """What HAProxy is told."""

    def test_no_secrets(self) -> None:
        """Our credentials and certificates are left out; what a template may name stays."""
        kept = {"PATH": "/bin", "HAPROXY_STATS_PORT": "9090", "STATS_PASSWORD": "theirs"}
        dropped = {
            "MARATHON_USER": "u",
            "MARATHON_PASSWORD": "p",
            "MARATHON_LB_AUTH_CREDENTIALS": "u:p",
            "DCOS_SERVICE_ACCOUNT_CREDENTIAL": "{}",
            "HAPROXY_ADMIN_TOKEN": "t",
            "HAPROXY_SSL_CERT": "PEM",
            "HAPROXY_SSL_CERT12": "PEM",
            "HAPROXY_MWORKER_REEXEC": "1",
            "NOTIFY_SOCKET": "/run/x",
        }
        self.assertEqual(haproxy_environment({**kept, **dropped}), kept)


class CapabilitiesTests(SynchronousTestCase):
    """``haproxy -vv``."""

    def test_parsed(self) -> None:
        """Version, features and services are found."""
        found = parse_capabilities(VERSION)
        assert found is not None
        self.assertEqual(found.version, (2, 8, 25))
        self.assertEqual((found.features, found.services), ({"LUA", "OPENSSL"}, {"prometheus-exporter"}))

    def test_versions(self) -> None:
        """Versions of distributions and of development are understood."""
        for text, version in (
            ("HAProxy version 2.6.12-1+deb12u4 2026", (2, 6, 12)),
            ("HA-Proxy version 2.0.31-0ubuntu0.2 2023", (2, 0, 31)),
            ("HAProxy version 3.5-dev3-abc 2026", (3, 5, 3)),
        ):
            found = parse_capabilities(text)
            assert found is not None
            self.assertEqual(found.version, version)

    def test_no_haproxy(self) -> None:
        """Another program's answer is none."""
        self.assertIsNone(parse_capabilities("usage: ls"))


class CheckerTests(SynchronousTestCase):
    """``haproxy -c``."""

    def setUp(self) -> None:
        self.path = self.mktemp()
        with open(self.path, "w", encoding="utf-8") as file:
            os.fchmod(file.fileno(), 0o755)

    def check(
        self, status: int = 0, output: str = "", path: str | None = None, version: str = VERSION
    ) -> Any:
        self.spawner = FakeSpawner({"-vv": (0, version), "-c": (status, output)})
        clock = Clock()
        binary = Binary(self.spawner, clock, self.path if path is None else path, "/tmp")
        return HAProxyChecker(binary, "/etc/haproxy", clock).check("/etc/haproxy/.staged/haproxy.cfg", BAD)

    def test_accepted(self) -> None:
        """It runs the binary in its directory, and gives HAProxy's warnings back."""
        said = "[WARNING]  (1) : config : missing timeouts for backend 'b'.\n"
        self.assertEqual(self.successResultOf(self.check(0, said)), "missing timeouts for backend 'b'.")
        process = self.spawner.processes[1]
        self.assertEqual(process.argv[1:], ["-c", "-f", "/etc/haproxy/.staged/haproxy.cfg"])
        self.assertEqual(process.path, "/tmp")

    def test_refused(self) -> None:
        """A refusal names the line's owner, and the real directory in place of the staged one."""
        said = (
            "[ALERT]    (1) : config : parsing [/etc/haproxy/.staged/haproxy.cfg:8] : unknown keyword 'no'\n"
        )
        error = self.failureResultOf(self.check(1, said), InvalidConfiguration).value
        self.assertEqual(error.complaints[0].owner.app_id, "/bad")
        self.assertEqual(str(error), "HAProxy refuses the configuration: line 8: unknown keyword 'no'")
        self.assertIn("[/etc/haproxy/haproxy.cfg:8]", error.output)

    def test_asked_anywhere(self) -> None:
        """The version is asked for in the controller's own directory: the directory of the files may not exist yet."""
        self.check()
        process = self.spawner.processes[0]
        self.assertEqual((process.argv[1:], process.path), (["-vv"], None))

    def test_asked_once(self) -> None:
        """What a binary is, is asked once."""
        spawner = FakeSpawner({"-vv": (0, VERSION), "-c": (0, "")})
        checker = HAProxyChecker(Binary(spawner, Clock(), self.path, "/tmp"), "/tmp", Clock())
        for _ in range(2):
            self.successResultOf(checker.check("/tmp/x/haproxy.cfg", A))
        self.assertEqual([process.argv[1] for process in spawner.processes], ["-vv", "-c", "-c"])

    def test_no_binary(self) -> None:
        """Without a binary the error says how to get one."""
        for path, words in (
            ("", "no HAProxy was found on PATH"),
            ("/nonexistent", "does not exist; install HAProxy"),
        ):
            error = self.failureResultOf(self.check(path=path), HAProxyUnavailable).value
            self.assertIn(words, str(error))
            self.assertIn("--haproxy", str(error))

    def test_not_executable(self) -> None:
        """A file that may not be executed is said so."""
        os.chmod(self.path, 0o644)
        self.assertIn(
            "may not be executed", str(self.failureResultOf(self.check(), HAProxyUnavailable).value)
        )

    def test_another_program(self) -> None:
        """A binary that is no HAProxy is said so in its own words."""
        error = self.failureResultOf(self.check(version="usage: ls"), HAProxyUnavailable).value
        self.assertIn("does not answer -vv as a HAProxy does (usage: ls)", str(error))

    def test_killed(self) -> None:
        """A check that is killed says nothing about the configuration."""
        spawner = FakeSpawner({"-vv": (0, VERSION)})
        checker = HAProxyChecker(Binary(spawner, Clock(), self.path, "/tmp"), "/", Clock())
        checking = checker.check("/x/h.cfg", A)
        spawner.processes[1].end(None, signal=9)
        self.assertIn("memory", str(self.failureResultOf(checking, HAProxyUnavailable).value))

    def test_no_verdict(self) -> None:
        """A check that ends without a word, too, and what happened is told in a few words."""
        error = self.failureResultOf(self.check(1, ""), CheckFailed).value
        self.assertEqual(error.how, "haproxy -c ended with status 1 without any output")

    def test_time(self) -> None:
        """One that does not end is killed after a short time; a control that does not end gets the next ones more."""
        clock, spawner = Clock(), FakeSpawner({"-vv": (0, VERSION)})
        checker = HAProxyChecker(Binary(spawner, clock, self.path, "/tmp"), "/", clock)
        limit = checker.limit(A)
        self.assertTrue(LEAST_TIME <= limit < LEAST_TIME + 1, limit)
        for control, after in ((False, limit), (True, SLACK * limit)):
            checking = checker.check("/x/h.cfg", A, control=control)
            clock.advance(limit - 0.1)
            self.assertNoResult(checking)
            clock.advance(0.2)
            error = self.failureResultOf(checking, CheckFailed).value
            self.assertEqual(error.how, "haproxy -c did not end within 5 s")
            self.assertLess(abs(checker.limit(A) - after), 1)

    def test_time_of_the_last_one(self) -> None:
        """What takes long and is accepted gives the next ones three times as long, up to the bound."""
        clock, spawner = Clock(), FakeSpawner({"-vv": (0, VERSION)})
        checker = HAProxyChecker(Binary(spawner, clock, self.path, "/tmp"), "/", clock)
        for seconds, limit in ((4, 12), (11, 33), (32, 96), (90, CHECK_TIMEOUT), (0.1, LEAST_TIME)):
            checking = checker.check("/x/h.cfg", A)
            clock.advance(seconds)
            spawner.processes[-1].end(0)
            self.successResultOf(checking)
            self.assertLess(abs(checker.limit(A) - limit), 1)

    def test_skipped(self) -> None:
        """Without validation everything is believed."""
        self.assertEqual(self.successResultOf(NoChecker().check("/nonexistent", BAD)), "")
