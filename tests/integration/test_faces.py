"""The daemon and the script as programs, up to the point where they would need a Marathon."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.paths import CHECKOUT

TWISTD = "import sys; sys.argv[0] = 'twistd'; from twisted.scripts.twistd import run; run()"
NOBODY = "http://127.0.0.1:1"
SECONDS = 60


class FaceTests(SynchronousTestCase):
    """The exit status and the output of the command."""

    def setUp(self) -> None:
        self.work = Path(self.mktemp()).resolve()
        self.work.mkdir(parents=True)

    def program(self, arguments: Sequence[str], **environ: str) -> subprocess.CompletedProcess[str]:
        """Run this Python in a directory of its own."""
        return subprocess.run(
            [sys.executable, *arguments],
            cwd=self.work,
            env={**os.environ, "PYTHONPATH": str(CHECKOUT), **environ},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )

    def script(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run the script."""
        files = ("--haproxy-config", str(self.work / "haproxy.cfg"), "--state-dir", str(self.work / "state"))
        return self.program([str(CHECKOUT / "marathon-update-haproxy.py"), *files, *arguments])

    def test_daemon_refuses(self) -> None:
        """A wrong value ends the daemon's start with twistd's usage error, its line the last one."""
        done = self.program(["-c", TWISTD, "-n", "--pidfile=", "marathon-lb", "--mode=watch"])
        self.assertEqual(1, done.returncode)
        last = (done.stdout + done.stderr).strip().splitlines()[-1]
        self.assertTrue(last.endswith("--mode: 'watch' is not one of sse, event, poll"), last)
        self.assertNotIn("Traceback", done.stdout + done.stderr)

    def test_daemon_cannot_start(self) -> None:
        """What only the start can find out is one line as well."""
        (self.work / "HAPROXY_HEAD").write_text("global\n")
        (self.work / "HAPROXY_HEAD.j2").write_text("global\n")
        done = self.program(["-c", TWISTD, "-n", "--pidfile=", "marathon-lb", "--templates", str(self.work)])
        self.assertEqual(1, done.returncode)
        self.assertIn("marathon-lb: ", done.stderr)
        self.assertNotIn("Traceback", done.stdout + done.stderr)

    def test_daemon_longhelp(self) -> None:
        """The daemon's --longhelp holds options, labels and templates."""
        done = self.program(["-c", TWISTD, "marathon-lb", "--longhelp"])
        for heading in ("# Options", "# Labels", "# Templates"):
            self.assertIn(f"{heading}\n", done.stdout)

    def test_script_without_marathon(self) -> None:
        """Without a Marathon the script exits with 1 and one clear line, prints nothing and writes nothing."""
        for extra in ((), ("--dry",)):
            done = self.script("--marathon", NOBODY, *extra)
            self.assertEqual((1, ""), (done.returncode, done.stdout))
            last = done.stderr.strip().splitlines()[-1]
            self.assertTrue(last.startswith(f"marathon-update-haproxy: MLB-903 {NOBODY}"), done.stderr)
            self.assertNotIn("Traceback", done.stderr)
            self.assertFalse((self.work / "haproxy.cfg").exists())

    def test_script_logs_json(self) -> None:
        """With --log-format=json every line of its log is one JSON object; the error stays a line."""
        (self.work / "templates").mkdir()
        (self.work / "templates" / "HAPROXY_NOTHING").write_text("")
        done = self.script("--marathon", NOBODY, "--log-format=json")
        *events, error = done.stderr.strip().splitlines()
        self.assertTrue(events)
        for line in events:
            self.assertIn("message", json.loads(line))
        self.assertTrue(error.startswith("marathon-update-haproxy: "))
