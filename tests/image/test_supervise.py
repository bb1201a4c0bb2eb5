"""The container's supervisor, as far as it needs no process."""

from __future__ import annotations

import time

from twisted.trial.unittest import SynchronousTestCase

from marathonlb.image.supervise import FIRST_PAUSE, LONG_ENOUGH, LONGEST_PAUSE, Child, SupervisedProgram


class ChildTests(SynchronousTestCase):
    """`Child`."""

    def setUp(self) -> None:
        self.child = Child(SupervisedProgram("the controller", ("/bin/true",)), pid=1, since=time.monotonic())

    def test_pause_grows(self) -> None:
        """A program that ends again and again is started after ever longer pauses, up to the longest one."""
        pauses = []
        for _ in range(10):
            self.child.since = time.monotonic()
            pauses.append(self.child.ended())
        self.assertEqual(pauses[:3], [FIRST_PAUSE, 2 * FIRST_PAUSE, 4 * FIRST_PAUSE])
        self.assertEqual(pauses[-2:], [LONGEST_PAUSE] * 2)

    def test_pause_is_reset(self) -> None:
        """After a long run the pause is the first one again, and the next start is due after it."""
        self.child.pause = LONGEST_PAUSE
        self.child.since = time.monotonic() - LONG_ENOUGH
        self.assertEqual(self.child.ended(), FIRST_PAUSE)
        self.assertIsNone(self.child.pid)
        self.assertGreater(self.child.since, time.monotonic())

    def test_nothing_to_stop(self) -> None:
        """A program that does not run needs no stop."""
        self.child.pid = None
        self.child.stop(60)
        self.assertIsNone(self.child.pid)
