"""The script: options, exit status, what it prints; and the hook."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from marathonlb.errors import UsageError
from marathonlb.options import group_markdown
from marathonlb.zdd.clients.hook import Hook
from marathonlb.zdd.deployment import Ending
from marathonlb.zdd.errors import Failed
from marathonlb.zdd.options import GROUPS, Given, ZddOptions, read_options
from marathonlb.zdd.progress import Progress
from marathonlb.zdd.script import World, main
from tests.fakes.processes import FakeSpawner, Unable
from tests.paths import CHECKOUT
from tests.zdd.worlds import EPOCH, app_file


def given(line: str, **environ: str) -> Given:
    """What a command line says."""
    options = ZddOptions()
    options.parseOptions(line.split())
    return read_options(options.given, environ)


class OptionsTests(SynchronousTestCase):
    """The command line."""

    def test_defaults(self) -> None:
        """A file is enough."""
        found = given("app.json")
        self.assertEqual(
            ("app.json", ("http://marathon-lb.marathon.mesos:9090",)), (found.app, found.marathon_lb)
        )
        self.assertEqual(
            (0, 1, 300, 5),
            (
                found.wish.new_instances,
                found.wish.initial_instances,
                found.wish.max_wait,
                found.wish.step_interval,
            ),
        )
        self.assertEqual(("http://master.mesos:8080",), found.settings.marathon)
        self.assertEqual("warn", found.settings.log_level)

    def test_everything(self) -> None:
        """Long names and short ones, the file before and after them, as tools of old were called."""
        for line in (
            "-j a.json -m http://m:8080 -l http://lb:9090 -f -n 2 -i 3 -w 60 -s 1 -r --syslog-socket /dev/null",
            "a.json --marathon=http://m:8080 --marathon-lb lb --force --new-instances=2 --initial-instances 3 "
            "--max-wait 60 --step-interval 1 --resume",
            "--marathon http://m:8080 -r -n2 -i3 -w60 --step-delay 1 -f -l lb:9090 -- a.json",
        ):
            found = given(line)
            wish = found.wish
            self.assertEqual(
                ("a.json", ("http://m:8080",), ("http://lb:9090",), True, True, 2, 3, 60, 1),
                (
                    found.app,
                    found.settings.marathon,
                    found.marathon_lb,
                    found.force,
                    wish.resume,
                    wish.new_instances,
                    wish.initial_instances,
                    wish.max_wait,
                    wish.step_interval,
                ),
            )

    def test_environment(self) -> None:
        """Variables stand for options, also those of Marathon's credentials; those of others do not matter."""
        found = given(
            "a.json",
            MARATHON_LB_MARATHON="http://m:8080",
            MARATHON_LB_MARATHON_LB="lb1,https://lb2:1",
            MARATHON_USER="me",
            MARATHON_PASSWORD="secret",
            MARATHON_LB_HAPROXY="/nowhere",
            MARATHON_LB_RESUME="true",
        )
        self.assertEqual(("http://lb1:9090", "https://lb2:1"), found.marathon_lb)
        self.assertEqual(("me", "secret"), found.settings.auth_credentials)
        self.assertFalse(found.wish.resume)
        self.assertNotIn("secret", repr(found))

    def test_credentials(self) -> None:
        """A user and a password in a load balancer's address are taken out of it."""
        found = given("a.json -l http://me:p%40ss@lb:9090")
        self.assertEqual(("http://lb:9090",), found.marathon_lb)
        self.assertEqual({"http://lb:9090": ("me", "p@ss")}, found.credentials)
        self.assertNotIn("p@ss", repr(found))

    def test_one_cluster(self) -> None:
        """A cluster may have a name; two of them are one too many."""
        self.assertEqual(("http://m:8080",), given("a.json -m east=http://m:8080").settings.marathon)
        self.assertRaises(UsageError, given, "a.json -m east=http://m:8080 -m west=http://n:8080")

    def test_refused(self) -> None:
        """What contradicts itself, or is not what it should be."""
        for line, words in (
            ("", "--app"),
            ("a.json -c -p", "--complete-prev"),
            ("a.json -c -r", "--resume"),
            ("a.json -c -n 1", "--new-instances"),
            ("a.json -i 0", "from 1 to"),
            ("a.json -w soon", "--max-wait"),
            ("a.json -l http://lb/path", "--marathon-lb"),
            ("a.json -l ftp://lb", "--marathon-lb"),
        ):
            self.assertIn(words, str(self.assertRaises(UsageError, given, line)), line)

    def test_documented(self) -> None:
        """The page has the options as they are."""
        page = (CHECKOUT / "docs" / "zdd.md").read_text()
        self.assertIn(group_markdown(GROUPS[0]).partition("\n\n")[2], page)
        for ending in Ending:
            self.assertIn(f"| {ending.value} |", page)


class Terminal(StringIO):
    """A stream that people sit at."""

    def isatty(self) -> bool:
        return True


class ScriptTests(SynchronousTestCase):
    """The exit status."""

    def setUp(self) -> None:
        self.path = Path(self.mktemp())
        self.path.write_text(json.dumps(app_file()))
        self.out, self.err, self.stdin = StringIO(), StringIO(), StringIO()

    def react(self, start: Callable[..., Deferred[Any]], argv: Any) -> None:
        """Never get so far."""
        raise AssertionError("nothing was to be begun")

    def run_main(self, line: str) -> int:
        """The exit status of a command line."""
        world = World(self.stdin, self.out, self.err, self.react, lambda observer: None)
        return main(line.split(), {}, world)

    def test_help(self) -> None:
        """It tells its options, in lines that fit, and its version."""
        self.assertEqual(0, self.run_main("--help"))
        self.assertIn("--complete-prev", self.out.getvalue())
        self.assertLessEqual(max(map(len, self.out.getvalue().splitlines())), 80)
        self.assertEqual(0, self.run_main("--version"))
        self.assertEqual(0, self.run_main("--longhelp"))

    def test_refused(self) -> None:
        """A line on standard error and status 2, before anything is asked."""
        hook = Path(self.mktemp())
        hook.write_text("")
        for line, words in (
            ("", "--app"),
            ("--nonsense a.json", "nonsense"),
            ("a b", "one app file"),
            ("/nowhere/a.json", "cannot be read"),
            (f"{self.path} --pre-kill-hook {hook}", "a program that can be run"),
            (f"{self.path} --pre-kill-hook /nowhere", "a program that can be run"),
            ("-", "standard input: this is no JSON"),
        ):
            self.err = StringIO()
            self.assertEqual(2, self.run_main(line), line)
            self.assertIn(words, self.err.getvalue())
            self.assertEqual(1, self.err.getvalue().count("\n"))

    def test_ended_without_a_word(self) -> None:
        """A reactor that stops by itself has left everything as it was."""
        self.react = lambda start, argv: None  # type: ignore[method-assign,assignment]
        self.assertEqual(3, self.run_main(str(self.path)))


class ProgressTests(SynchronousTestCase):
    """What is told."""

    def test_lines(self) -> None:
        """Each step once, each wait once until something else happens; nothing in a line makes another one."""
        out = StringIO()
        progress = Progress(out, lambda: EPOCH + timedelta(hours=1))
        progress.say("created", "/a: created\nwith 1")
        progress.wait("x")
        progress.wait("x")
        progress.say("done", "done")
        progress.wait("x")
        self.assertEqual(
            "01:00:00 /a: created with 1\n01:00:00 waiting: x\n01:00:00 done\n01:00:00 waiting: x\n",
            out.getvalue(),
        )

    def test_json(self) -> None:
        """One object a line, with the fields of the event."""
        out = StringIO()
        Progress(out, lambda: EPOCH, as_json=True).say("ended", "a\nb", tasks=["x"])
        self.assertEqual(
            {"time": "2026-01-01T00:00:00+00:00", "event": "ended", "message": "a\nb", "tasks": ["x"]},
            json.loads(out.getvalue()),
        )

    def test_nobody_listens(self) -> None:
        """A reader that is gone ends nothing."""

        class Gone(StringIO):
            def write(self, text: str) -> int:
                raise BrokenPipeError

        Progress(Gone(), lambda: EPOCH).say("done", "done")


class HookTests(SynchronousTestCase):
    """The program that is asked."""

    def setUp(self) -> None:
        self.spawner, self.clock, self.said = FakeSpawner(), Clock(), list[str]()
        self.hook = Hook("/hook", self.spawner, self.clock, 60, self.said.append)

    def ask(self) -> Deferred[None]:
        """Ask about a task."""
        return self.hook.ask({"id": "/a", "tasks": [{"id": "a1"}]}, ["a1"], {"id": "/b"})

    def test_asked(self) -> None:
        """It gets three arguments in JSON; status 0 means go on, and what it says is told."""
        asked = self.ask()
        (process,) = self.spawner.processes
        self.assertEqual("/hook", process.argv[0])
        self.assertEqual(
            [{"id": "/a"}, ["a1"], {"id": "/b"}], [json.loads(each) for each in process.argv[1:]]
        )
        process.say("fine\n")
        process.end(0)
        self.assertIsNone(self.successResultOf(asked))
        self.assertEqual(["fine"], self.said)

    def test_no(self) -> None:
        """Any other end means no, and so does no end."""
        asked = self.ask()
        self.spawner.processes[0].end(3)
        self.assertIn("status 3", str(self.failureResultOf(asked, Failed).value))
        asked = self.ask()
        self.clock.advance(60)
        self.assertIn("did not end in time", str(self.failureResultOf(asked, Failed).value))

    def test_cannot_be_run(self) -> None:
        """A program that cannot be executed, such as a script of an interpreter that is not there, means no as well."""
        self.hook = Hook("/hook", Unable(), self.clock, 60, self.said.append)
        self.assertIn("so no task is ended", str(self.failureResultOf(self.ask(), Failed).value))
        self.assertEqual(["Exec format error: /hook"], self.said)

    def test_too_big(self) -> None:
        """An app that is no argument any more is told before the program is run."""
        asked = self.hook.ask({"id": "x" * (1 << 17)}, [], {})
        self.assertIn("too big", str(self.failureResultOf(asked, Failed).value))
        self.assertEqual([], self.spawner.processes)

    def test_interrupted(self) -> None:
        """A question that is broken off ends the program."""
        asked = self.ask()
        asked.addErrback(lambda _: None)
        asked.cancel()
        self.assertEqual(["KILL"], self.spawner.processes[0].signals)
