"""What a terminal is shown, and a file is not."""

from __future__ import annotations

from io import StringIO

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from marathonlb.script.progress import PATIENCE, Progress
from marathonlb.script.terminal import CLEAR, ErrorStream, Terminal


class Screen(StringIO):
    """A terminal."""

    def isatty(self) -> bool:
        return True


class TerminalTests(SynchronousTestCase):
    """`Terminal.of`."""

    def test_colours(self) -> None:
        """There are colours on a terminal, unless NO_COLOR or a dumb terminal says otherwise, and none in a file."""
        for out, environ, colours in (
            (Screen(), {}, True),
            (Screen(), {"NO_COLOR": ""}, True),
            (Screen(), {"NO_COLOR": "1"}, False),
            (Screen(), {"TERM": "dumb"}, False),
            (StringIO(), {}, False),
        ):
            self.assertEqual(Terminal.of(out, StringIO(), environ).paint.on, colours, environ)

    def test_watched(self) -> None:
        """Progress is for a terminal at standard error."""
        self.assertTrue(Terminal.of(StringIO(), Screen(), {}).watched)
        self.assertFalse(Terminal.of(Screen(), StringIO(), {}).watched)

    def test_obeyed(self) -> None:
        """A terminal is sent our colours and nothing else that it would obey, and a file whatever there is."""
        evil = "\x1b]0;owned\x07 \x1b[2J \u202egpj.exe \x9b31m \r"
        for stream in ("out", "err"):
            screen = Screen()
            terminal = Terminal.of(screen, screen, {})
            getattr(terminal, stream).write(terminal.paint(f"a\tb {evil}", "red") + "\n")
            shown = screen.getvalue()
            self.assertEqual(
                shown,
                "\x1b[31ma\tb \\x1b]0;owned\\x07 \\x1b[2J \\u202egpj.exe \\x9b31m \\r\x1b[0m\n",
                stream,
            )
            file = StringIO()
            getattr(Terminal.of(file, file, {}), stream).write(evil)
            self.assertEqual(file.getvalue(), evil)


class ProgressTests(SynchronousTestCase):
    """`Progress`."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.screen = Screen()
        self.stream = ErrorStream(self.screen)
        self.progress = Progress(self.stream, self.clock)
        self.progress.start()
        self.addCleanup(self.progress.stop)

    def test_short(self) -> None:
        """A short run shows nothing."""
        self.progress.stage("gather")
        self.clock.advance(PATIENCE / 2)
        self.progress.stage("check")
        self.progress.stop()
        self.assertEqual(self.screen.getvalue(), "")

    def test_long(self) -> None:
        """A long one says what it is at and for how long, on one line, which is gone at the end."""
        self.progress.stage("gather")
        self.clock.pump([0.1] * 12)
        self.assertTrue(
            self.screen.getvalue().endswith(f"{CLEAR}asking Marathon: 1.2 s"), self.screen.getvalue()
        )
        self.progress.stage("reload")
        self.assertTrue(self.screen.getvalue().endswith(f"{CLEAR}reloading HAProxy: 0.0 s"))
        self.progress.stop()
        self.assertTrue(self.screen.getvalue().endswith(CLEAR))
        self.assertNotIn("\n", self.screen.getvalue())
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_log(self) -> None:
        """What is written for good stands on a line of its own."""
        self.progress.stage("gather")
        self.clock.advance(1)
        self.stream.write("warn\n")
        self.assertTrue(self.screen.getvalue().endswith(f"s{CLEAR}warn\n"), repr(self.screen.getvalue()))

    def test_nobody_looks(self) -> None:
        """Into a file nothing is written, and no clock ticks for it."""
        clock = Clock()
        progress = Progress(None, clock)
        progress.start()
        progress.stage("gather")
        self.assertEqual(clock.getDelayedCalls(), [])
        progress.stop()
