"""The script."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from io import StringIO

from attrs import evolve
from twisted.internet.defer import succeed
from twisted.trial.unittest import SynchronousTestCase

from tests.paths import CHECKOUT
from tests.script.sessions import SessionTestCase


class ScriptTests(SessionTestCase):
    """Exit status, standard output and standard error."""

    def test_once(self) -> None:
        """Without a mode it runs once, says nothing and exits with 0."""
        self.assertEqual(
            0, self.run_main("--marathon http://localhost:8080 --haproxy-config /tmp/haproxy.cfg")
        )
        self.assertEqual(("", ""), (self.out.getvalue(), self.err.getvalue()))
        self.assertEqual("/tmp/haproxy.cfg", self.seen[0].haproxy_config)

    def test_dry(self) -> None:
        """--dry prints the configuration on standard output, and nothing else goes there."""
        self.world = evolve(self.world, once=self.once(succeed(0), "global\n"))
        self.assertEqual(
            0, self.run_main("-m http://m1 http://m2 --lru-cache-capacity 1 --group external --dry")
        )
        self.assertEqual("global\n", self.out.getvalue())
        self.assertIn("no effect", self.err.getvalue())
        self.assertTrue(self.seen[0].dry)

    def test_status(self) -> None:
        """The status is the run's own: 3 where a service was left out under --strict-exit."""
        self.world = evolve(self.world, once=self.once(succeed(3)))
        self.assertEqual(3, self.run_main("--strict-exit"))
        self.assertTrue(self.seen[0].strict_exit)

    def test_usage(self) -> None:
        """A wrong option exits with 2, names it, and nothing is run."""
        for line in ("--nonsense", "--poll-interval x", "http://m1", "--rollback -1", "--mode=sse", "-m"):
            self.err = StringIO()
            self.assertEqual(2, self.run_main(line), line)
            first, hint = self.err.getvalue().splitlines()
            self.assertIn("--help", hint)
            self.assertTrue(first.startswith("marathon-update-haproxy: "))
        self.assertEqual([], self.seen)

    def test_environment(self) -> None:
        """A wrong variable exits with 2 and is named."""
        self.assertEqual(2, self.run_main("", MARATHON_LB_MAX_SHRINK="half"))
        self.assertIn("MARATHON_LB_MAX_SHRINK: 'half' is not", self.err.getvalue())

    def test_help(self) -> None:
        """--help, --longhelp and --version print and exit with 0."""
        for line, expected in (
            ("--help", "--longhelp"),
            ("-h", "--dry"),
            ("--longhelp", "# Options"),
            ("--version", "marathon-lb "),
        ):
            self.out = StringIO()
            self.assertEqual(0, self.run_main(line))
            self.assertIn(expected, self.out.getvalue())
        self.assertEqual([], self.seen)  # fmt: skip


HEAVY = (
    "twisted.internet.reactor",
    "treq",
    "jinja2",
    "cryptography",
    "msgspec",
    "prometheus_client",
    "zope.interface",
)
"""Modules that a run of the command that only prints does not need."""


class ImportTests(SynchronousTestCase):
    """The modules that the command imports for its arguments."""

    def imported(self, *arguments: str) -> set[str]:
        """Return the modules that are there when the command with these arguments has ended."""
        code = (
            "import sys\n"
            "from marathonlb import cli\n"
            f"cli.main({list(arguments)!r}, {{}}, sys.stderr, sys.stderr)\n"
            "print('\\n'.join(sys.modules))"
        )
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=CHECKOUT, capture_output=True, text=True, timeout=60, check=True
        )
        return set(done.stdout.split())

    def test_help(self) -> None:
        """--help, --version and a refused option import the options alone."""
        for arguments in (["--help"], ["--version"], ["--max-shrink", "half"]):
            modules = self.imported(*arguments)
            self.assertEqual([], sorted(modules.intersection(HEAVY)), arguments)
            ours = {name.removeprefix("marathonlb.") for name in modules if name.startswith("marathonlb.")}
            wings = {name for name in ours if not name.startswith(("options", "problem_kinds"))}
            light = {"_version", "cli", "errors", "settings", "base", "base.limits", "base.redaction"}
            self.assertLessEqual(wings, light)

    def test_once(self) -> None:
        """A single run imports no page of the daemon, no documentation and no other kind of work."""
        modules = self.imported(
            "-m", "http://127.0.0.1:1", "--dry", "--haproxy-config", "/nonexistent/haproxy.cfg"
        )
        self.assertIn("marathonlb.script.once", modules)
        others = {
            "automat",
            "marathonlb.controller.scheduler",
            "marathonlb.documentation",
            "marathonlb.haproxy.certificates.reload_watch",
            "marathonlb.haproxy.process.supervisor",
            "marathonlb.haproxy.runtime.connection",
            "marathonlb.marathon.api.dcos",
            "marathonlb.marathon.federation",
            "marathonlb.marathon.snapshot",
            "marathonlb.metrics",
            "marathonlb.routing.explain.evidence",
            "marathonlb.routing.policy.file",
            "marathonlb.service",
            "marathonlb.script.diff",
            "marathonlb.script.explain",
            "marathonlb.web.client",
            "marathonlb.web.dashboard",
            "marathonlb.web.router",
            "prometheus_client",
            "tomllib",
            "twisted.web.server",
        }
        self.assertEqual([], sorted(modules & others))


class EndTests(SynchronousTestCase):
    """The end of the process."""

    def test_frozen(self) -> None:
        """The interpreter does not search what the command has imported for garbage before it ends."""
        code = (
            "import atexit, gc, sys\n"
            "atexit.register(lambda: sys.stderr.write(str(gc.get_freeze_count())))\n"
            "from marathonlb import cli\n"
            "sys.argv = ['marathon-update-haproxy', '--version']\n"
            "cli.script()\n"
        )
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=CHECKOUT, capture_output=True, text=True, timeout=60, check=True
        )
        self.assertGreater(int(done.stderr), 10_000)


class FileTests(SynchronousTestCase):
    """marathon-update-haproxy.py as a program."""

    def program(self, arguments: Sequence[str]) -> subprocess.CompletedProcess[str]:
        """Run the program with the current Python, in another directory."""
        return subprocess.run(
            [sys.executable, str(CHECKOUT / "marathon-update-haproxy.py"), *arguments],
            cwd="/",
            env={name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def test_runs_from_a_checkout(self) -> None:
        """The file runs from anywhere without an installation, and refuses with status 2 and no traceback."""
        done = self.program(["--max-shrink", "half"])
        self.assertEqual(2, done.returncode)
        self.assertTrue(
            done.stderr.startswith("marathon-update-haproxy: --max-shrink: 'half' is not"), done.stderr
        )
        self.assertTrue(os.access(CHECKOUT / "marathon-update-haproxy.py", os.X_OK))
