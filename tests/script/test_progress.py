"""The progress of a long run, on a terminal."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from marathonlb.script.progress import PATIENCE, Progress
from marathonlb.script.terminal import CLEAR, ErrorStream
from tests.script.screen import Screen


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
