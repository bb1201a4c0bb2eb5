"""Completion in shells."""

from __future__ import annotations

import os
import subprocess
import sys

from twisted.trial.unittest import SynchronousTestCase

from marathonlb.options import Face, options
from tests.paths import CHECKOUT

FILE = CHECKOUT / "packaging" / "completion" / "marathon-update-haproxy"


class BashTests(SynchronousTestCase):
    """The file for bash, in bash."""

    def complete(self, function: str, *words: str) -> list[str]:
        """What is offered for the last of these words."""
        words_of = 'COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))'
        program = f'. "{FILE}"; {words_of}; {function}; printf "%s\\n" "${{COMPREPLY[@]}}"'
        done = subprocess.run(
            ["bash", "--norc", "-c", program, "bash", *words], capture_output=True, text=True, check=True
        )
        self.assertEqual(done.stderr, "")
        return done.stdout.split()

    def test_options(self) -> None:
        """Names of options are completed, each command's own."""
        script = self.complete("_marathon_update_haproxy", "marathon-update-haproxy", "--")
        self.assertLessEqual({f"--{option.name}" for option in options(Face.SCRIPT)}, set(script))
        self.assertIn("--no-haproxy-map", script)
        self.assertNotIn("--mode", script)
        self.assertEqual(self.complete("_marathon_update_haproxy", "x", "--roll"), ["--rollback"])
        self.assertEqual(
            self.complete("_twistd_marathon_lb", "twistd", "-n", "marathon-lb", "--mod"), ["--mode"]
        )

    def test_values(self) -> None:
        """So are values that can be listed, behind a blank and behind =."""
        for words in (("--mode", "s"), ("--mode", "=", "s")):
            self.assertEqual(self.complete("_twistd_marathon_lb", "twistd", "marathon-lb", *words), ["sse"])
        self.assertEqual(
            self.complete("_twistd_marathon_lb", "twistd", "marathon-lb", "--mode", "="),
            ["sse", "event", "poll"],
        )

    def test_files(self) -> None:
        """Where a path is wanted files are offered, and where a number is wanted nothing."""
        found = self.complete("_marathon_update_haproxy", "x", "--haproxy-config", str(FILE)[:-3])
        self.assertEqual(found, [str(FILE)])
        self.assertEqual(self.complete("_marathon_update_haproxy", "x", "--archive-versions", ""), [])

    def test_others(self) -> None:
        """twistd without our plugin is left alone."""
        self.assertEqual(self.complete("_twistd_marathon_lb", "twistd", "web", "--"), [])


class ZshTests(SynchronousTestCase):
    """What Twisted tells zsh."""

    def test_values(self) -> None:
        """The script says its options with what each takes: a list, a file, or something that is not known."""
        done = subprocess.run(
            [sys.executable, str(CHECKOUT / "marathon-update-haproxy.py"), "--_shell-completion", "zsh:2"],
            env={**os.environ, "PYTHONPATH": str(CHECKOUT)},
            capture_output=True,
            text=True,
            check=True,
        )
        self.assertRegex(done.stdout, r"--log-format=\[.*\]:log-format:\(text json\)")
        self.assertRegex(done.stdout, r"--haproxy-config=\[.*\]:haproxy-config .*:_files")
        self.assertRegex(done.stdout, r"--archive-versions=\[.*\]:archive-versions:'")
        self.assertIn("'*--group=[", done.stdout)
