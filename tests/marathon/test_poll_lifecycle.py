"""The states of the polling of one cluster, as a table."""

from __future__ import annotations

from math import inf

from automat import NoTransition
from twisted.trial.unittest import SynchronousTestCase

from marathonlb.marathon.poll_lifecycle import PATIENCE, PollRecord, new_poll_lifecycle
from marathonlb.timers import Backoff


class PollLifecycleTests(SynchronousTestCase):
    """`PollLifecycle`."""

    def setUp(self) -> None:
        self.record = PollRecord(backoff=Backoff(longest=8, jitter=lambda: 1.0))
        self.lifecycle = new_poll_lifecycle(self.record)

    def test_one_at_a_time(self) -> None:
        """Only one request at a time is begun."""
        self.assertFalse(self.lifecycle.under_way())
        self.assertEqual([True, False, False], [self.lifecycle.begin() for _ in range(3)])
        self.assertTrue(self.lifecycle.under_way())
        self.lifecycle.ended()
        self.assertFalse(self.lifecycle.under_way())
        self.assertTrue(self.lifecycle.begin())

    def test_hints(self) -> None:
        """A hint is asked for at once, or joins the request that is under way; none waits for an overdue one."""
        self.assertEqual(0, self.lifecycle.hinted(5.0))
        self.lifecycle.begin()
        self.assertEqual(0, self.lifecycle.hinted(5.0))
        self.lifecycle.give_up()
        self.assertIsNone(self.lifecycle.hinted(5.0))
        self.lifecycle.ended()
        self.assertEqual(0, self.lifecycle.hinted(5.0))

    def test_overdue(self) -> None:
        """Only a request that is under way becomes overdue, and its end forgets that."""
        self.lifecycle.give_up()
        self.assertFalse(self.lifecycle.overdue())
        for end in (self.lifecycle.ended, lambda: self.lifecycle.failed(1.0)):
            self.lifecycle.begin()
            self.assertFalse(self.lifecycle.overdue())
            self.lifecycle.give_up()
            self.lifecycle.give_up()
            self.assertEqual((True, True), (self.lifecycle.overdue(), self.lifecycle.under_way()))
            end()
            self.lifecycle.give_up()
            self.assertEqual((False, False), (self.lifecycle.overdue(), self.lifecycle.under_way()))

    def test_delays(self) -> None:
        """The delays double up to the longest one, and an answer begins them from the first one."""
        delays = []
        for _ in range(5):
            self.lifecycle.begin()
            delays.append(self.lifecycle.failed(100.0))
        self.assertEqual([1, 2, 4, 8, 8], delays)
        self.lifecycle.begin()
        self.lifecycle.answered(100.0)
        self.assertEqual(0, self.record.failures)
        self.assertEqual(1, self.lifecycle.failed(101.0))

    def test_hint_after_failure(self) -> None:
        """After a failure a hint waits for the patience at most, whatever the delay."""
        for _ in range(4):
            self.lifecycle.begin()
            self.lifecycle.failed(100.0)
        self.assertEqual(PATIENCE, self.lifecycle.hinted(100.0))
        self.assertEqual(PATIENCE / 4, self.lifecycle.hinted(100.0 + PATIENCE * 3 / 4))
        self.assertEqual(0, self.lifecycle.hinted(100.0 + PATIENCE))
        self.assertTrue(self.lifecycle.begin())

    def test_as_of(self) -> None:
        """The time of the last answered request outlives failures."""
        self.assertEqual(-inf, self.record.answered_as_of)
        self.lifecycle.begin()
        self.lifecycle.answered(7.0)
        self.lifecycle.failed(8.0)
        self.assertEqual(7.0, self.record.answered_as_of)

    def test_order(self) -> None:
        """A request that was not begun can neither be answered nor fail."""
        self.assertRaises(NoTransition, self.lifecycle.answered, 1.0)
        self.assertRaises(NoTransition, self.lifecycle.failed, 1.0)
        self.assertRaises(NoTransition, self.lifecycle.ended)
