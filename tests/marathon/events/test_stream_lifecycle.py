"""The states of the event stream, as a table."""

from __future__ import annotations

from automat import NoTransition
from twisted.trial.unittest import SynchronousTestCase

from marathonlb.marathon.events.stream_lifecycle import STABLE_AFTER, StreamRecord, new_stream_lifecycle


class StreamLifecycleTests(SynchronousTestCase):
    """`StreamLifecycle`."""

    def setUp(self) -> None:
        self.record = StreamRecord()
        self.lifecycle = new_stream_lifecycle(self.record)

    def open(self, now: float = 7.0) -> None:
        """Lead to the state opened."""
        self.lifecycle.connect()
        self.lifecycle.opened(now)

    def test_attached_once(self) -> None:
        """The first event or the end of the grace asks for a full comparison, and no later one."""
        self.open()
        self.assertEqual([True, False, False], [self.lifecycle.attached() for _ in range(3)])

    def test_next_stream(self) -> None:
        """Each stream asks for a comparison of its own."""
        for _ in range(3):
            self.open()
            self.assertTrue(self.lifecycle.attached())
            self.assertFalse(self.lifecycle.ended())

    def test_proof(self) -> None:
        """Bytes prove that the stream works some seconds after its opening, with and without an event."""
        for attach in (False, True):
            self.open(7.0)
            if attach:
                self.lifecycle.attached()
            self.assertFalse(self.lifecycle.received(7.0 + STABLE_AFTER - 0.1))
            self.assertTrue(self.lifecycle.received(7.0 + STABLE_AFTER))
            self.lifecycle.ended()

    def test_silence(self) -> None:
        """A silent stream is cancelled, and its end is known to be a stall; late bytes change nothing."""
        for attach in (False, True):
            self.open()
            if attach:
                self.lifecycle.attached()
            self.assertTrue(self.lifecycle.silent())
            self.assertEqual((False, False), (self.lifecycle.received(100.0), self.lifecycle.attached()))
            self.assertTrue(self.lifecycle.ended())

    def test_end(self) -> None:
        """A stream that ends while it connects, or after that, is not a stall, and leads to the next one."""
        self.lifecycle.connect()
        self.assertFalse(self.lifecycle.ended())
        self.open()
        self.assertFalse(self.lifecycle.ended())
        self.open()
        self.lifecycle.attached()
        self.assertFalse(self.lifecycle.ended())
        self.open()

    def test_order(self) -> None:
        """A stream cannot be opened before it is requested, nor be requested twice."""
        self.assertRaises(NoTransition, self.lifecycle.opened, 1.0)
        self.lifecycle.connect()
        self.assertRaises(NoTransition, self.lifecycle.connect)
