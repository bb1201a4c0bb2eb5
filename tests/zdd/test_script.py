"""The script: its exit status and its errors."""

from __future__ import annotations

import json
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from marathonlb.zdd.script import ZddEnvironment, main
from tests.zdd.worlds import app_file


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
        world = ZddEnvironment(self.stdin, self.out, self.err, self.react, lambda observer: None)
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
            (f"{self.path} --pre-kill-hook {hook}", "an executable file"),
            (f"{self.path} --pre-kill-hook /nowhere", "an executable file"),
            ("-", "standard input: this is not JSON"),
        ):
            self.err = StringIO()
            self.assertEqual(2, self.run_main(line), line)
            self.assertIn(words, self.err.getvalue())
            self.assertEqual(1, self.err.getvalue().count("\n"))

    def test_ended_without_a_word(self) -> None:
        """A reactor that stops by itself has left everything as it was."""
        self.react = lambda start, argv: None  # type: ignore[method-assign,assignment]
        self.assertEqual(3, self.run_main(str(self.path)))
