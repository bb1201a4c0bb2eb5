"""`EventStream`: attachments, events, stalls and back-off, on a clock that stands still."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from marathonlb.base.causes import CauseKind
from marathonlb.errors import SourceError
from marathonlb.marathon.events.hints import Hint
from marathonlb.marathon.events.stream import EventStream

ONE, TWO = "http://m1:8080", "http://m2:8080"
ATTACHED = b'data: {"eventType":"event_stream_attached","remoteAddress":"10.0.0.1"}\r\n\r\n'
KEEP_ALIVE = b"\r\n"


def event(app_id: str) -> bytes:
    """An event that names an app, as the stream sends it."""
    fields = {"eventType": "status_update_event", "appId": app_id, "taskStatus": "TASK_RUNNING"}
    return b"event: status_update_event\r\ndata: " + json.dumps(fields).encode() + b"\r\n\r\n"


def _only(hint: Hint) -> CauseKind:
    """The kind of a hint's only cause."""
    (cause,) = hint.causes
    return cause.kind


class Stream:
    """One opened stream, from Marathon's side."""

    def __init__(
        self, endpoint: str, opened: Callable[[str], object], received: Callable[[bytes], object]
    ) -> None:
        self.endpoint = endpoint
        self._opened = opened
        self.send = received
        self.cancelled = False
        self.ended: Deferred[None] = Deferred(self._cancel)

    def _cancel(self, ended: Deferred[None]) -> None:
        self.cancelled = True

    def open(self, url: str | None = None) -> None:
        """Receive the head of the answer."""
        self._opened(url or self.endpoint)

    def end(self) -> None:
        """End it, as Marathon does."""
        self.ended.callback(None)

    def fail(self, reason: str = "refused") -> None:
        """Fail to open it."""
        self.ended.errback(SourceError(url=self.endpoint, reason=reason))


class Streams:
    """A client of streams that its test drives."""

    def __init__(self, *endpoints: str) -> None:
        self.endpoints = endpoints
        self.preferred = endpoints[0]
        self.streams: list[Stream] = []

    def event_stream(
        self, endpoint: str, opened: Callable[[str], object], received: Callable[[bytes], object]
    ) -> Deferred[None]:
        """Open one more stream."""
        self.streams.append(Stream(endpoint, opened, received))
        return self.streams[-1].ended


class EventStreamTests(SynchronousTestCase):
    """`EventStream`."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.hints: list[Hint] = []

    def start(self, *endpoints: str, **more: Any) -> EventStream:
        """Return a source that was started."""
        self.client = Streams(*(endpoints or (ONE,)))
        self.source = EventStream(self.client, self.hints.append, self.clock, jitter=lambda: 1.0, **more)
        self.source.startService()
        self.addCleanup(self.source.stopService)
        return self.source

    @property
    def stream(self) -> Stream:
        """The last stream that was asked for."""
        return self.client.streams[-1]

    def looked_at(self) -> list[str]:
        """Return the apps that were looked at since the last call, or the cause where everything was."""
        hints, self.hints[:] = list(self.hints), []
        return [",".join(sorted(hint.apps)) if hint.apps is not None else _only(hint).value for hint in hints]

    def test_attachment(self) -> None:
        """The first event proves that the stream is attached, and then everything is compared, once."""
        self.start()
        self.stream.open()
        self.assertEqual(self.looked_at(), [])
        self.stream.send(ATTACHED)
        self.assertEqual(self.looked_at(), ["stream attached"])
        self.stream.send(event("/a"))
        self.clock.advance(10)
        self.assertEqual(self.looked_at(), ["/a"])
        self.assertEqual((self.source.connected_to, self.source.problem), (ONE, ""))

    def test_attachment_without_event(self) -> None:
        """After a stream without an event everything is compared all the same, a second later."""
        self.start()
        self.stream.open()
        self.clock.advance(1)
        self.assertEqual(self.looked_at(), ["stream attached"])
        self.stream.send(ATTACHED)
        self.assertEqual(self.looked_at(), [])

    def test_others_attachments(self) -> None:
        """The attachments of other streams lead to no comparison."""
        self.start()
        self.stream.open()
        self.stream.send(ATTACHED)
        self.looked_at()
        for _ in range(10):
            self.stream.send(ATTACHED)
        self.assertEqual(self.looked_at(), [])

    def test_events(self) -> None:
        """Events become hints in their order, however they are split, and the time of the last is known."""
        self.start()
        self.stream.open()
        self.stream.send(ATTACHED)
        self.looked_at()
        self.clock.advance(3)
        for byte in event("/a") + KEEP_ALIVE + event("/b"):
            self.stream.send(bytes([byte]))
        self.assertEqual(self.looked_at(), ["/a", "/b"])
        self.assertEqual(self.source.last_event_at, 3)

    def test_one_chunk_is_one_hint(self) -> None:
        """Events that arrive together ask once for all that they name, not for one app twice."""
        self.start()
        self.stream.open()
        self.stream.send(ATTACHED)
        self.looked_at()
        self.stream.send(event("/a") + event("/b") + event("/a"))
        self.assertEqual(self.looked_at(), ["/a,/b"])

    def test_ended(self) -> None:
        """A task that Marathon reports as killed is passed on at once, before the hint about its app."""
        self.start()
        told: list[object] = []
        self.source.ended = lambda apps, tasks: told.append((apps, tasks, len(self.hints)))
        self.stream.open()
        self.stream.send(ATTACHED)
        self.looked_at()
        killed = event("/a").replace(b"TASK_RUNNING", b"TASK_KILLED").replace(b'{"', b'{"taskId":"a.1","', 1)
        self.stream.send(event("/b") + killed)
        self.assertEqual(told, [(frozenset({"/a"}), frozenset({"a.1"}), 0)])
        self.assertEqual(self.looked_at(), ["/a,/b"])

    def test_oversized(self) -> None:
        """An event past the limit leads to one full comparison, and the next event is read."""
        self.start()
        self.stream.open()
        self.stream.send(ATTACHED)
        self.looked_at()
        for _ in range(20):
            self.stream.send(b"x" * (1 << 20))
        self.assertEqual(self.looked_at(), ["oversized event"])
        self.stream.send(b"\r\n\r\n" + event("/a"))
        self.assertEqual(self.looked_at(), ["/a"])

    def test_end(self) -> None:
        """A stream that ends is opened again, and everything is compared again."""
        self.start()
        self.stream.open()
        self.stream.send(ATTACHED + event("/a"))
        self.stream.end()
        self.assertIsNone(self.source.connected_to)
        self.assertIn("ended the event stream", self.source.problem)
        self.looked_at()
        self.clock.advance(1)
        self.assertEqual(len(self.client.streams), 2)
        self.stream.open()
        self.stream.send(ATTACHED)
        self.assertEqual(self.looked_at(), ["stream attached"])

    def test_stall(self) -> None:
        """A stream without a byte for the stall timeout is cancelled; a keep-alive counts as a byte."""
        self.start(stall_timeout=30)
        first = self.stream
        first.open()
        self.clock.pump([29])
        first.send(KEEP_ALIVE)
        self.clock.pump([29])
        self.assertFalse(first.cancelled)
        self.clock.advance(1)
        self.assertTrue(first.cancelled)
        self.assertIn("silent for 30 seconds", self.source.problem)
        self.clock.advance(1)
        self.assertIsNot(self.stream, first)

    def test_next_marathon(self) -> None:
        """Each failure leads to the next Marathon of the list, and round again."""
        self.start(ONE, TWO)
        for _ in range(4):
            self.stream.fail()
            self.clock.advance(10)
        self.assertEqual([stream.endpoint for stream in self.client.streams], [ONE, TWO, ONE, TWO, ONE])

    def test_preferred(self) -> None:
        """The Marathon that answered last is asked first."""
        client = Streams(ONE, TWO)
        client.preferred = TWO
        source = EventStream(client, self.hints.append, self.clock)
        source.startService()
        self.addCleanup(source.stopService)
        self.assertEqual(client.streams[0].endpoint, TWO)

    def test_backoff(self) -> None:
        """The delays double up to the maximum."""
        self.start(max_backoff=5)
        waited = []
        for _ in range(5):
            self.stream.fail()
            count, seconds = len(self.client.streams), 0
            while len(self.client.streams) == count:
                self.clock.advance(1)
                seconds += 1
            waited.append(seconds)
        self.assertEqual(waited, [1, 2, 4, 5, 5])
        self.assertEqual(self.source.attempts, 5)

    def test_several_marathons_share_a_delay(self) -> None:
        """The delay grows once each of several Marathons has failed."""
        self.start(ONE, TWO)
        waited = []
        for _ in range(6):
            self.stream.fail()
            count, seconds = len(self.client.streams), 0
            while len(self.client.streams) == count:
                self.clock.advance(1)
                seconds += 1
            waited.append(seconds)
        self.assertEqual(waited, [1, 1, 2, 2, 4, 4])

    def test_empty_streams(self) -> None:
        """A stream that is closed without an event is a failure like others: a standby does that."""
        self.start(max_backoff=300)
        for _ in range(6):
            self.stream.open()
            self.stream.send(ATTACHED)
            self.stream.end()
            self.clock.advance(40)
        self.assertEqual(self.source.attempts, 6)

    def test_proof(self) -> None:
        """An event, or a heartbeat after a while, resets the delays."""
        for proof in (event("/a"), KEEP_ALIVE):
            self.start()
            for _ in range(3):
                self.stream.fail()
                self.clock.advance(10)
            self.stream.open()
            self.clock.advance(10)
            self.assertEqual(self.source.attempts, 3)
            self.stream.send(proof)
            self.assertEqual((self.source.attempts, self.source.problem), (0, ""))

    def test_first_failure(self) -> None:
        """If no stream can be opened at first, everything is compared once all the same."""
        self.start()
        self.stream.fail()
        self.assertEqual(self.looked_at(), ["no events yet"])
        self.clock.advance(1)
        self.stream.fail()
        self.assertEqual(self.looked_at(), [])

    def test_resync(self) -> None:
        """Everything is compared at an interval, with a stream and without."""
        self.start(resync_interval=300)
        self.clock.advance(299)
        self.assertEqual(self.looked_at(), [])
        self.clock.advance(1)
        self.assertEqual(self.looked_at(), ["resync"])
        self.clock.advance(300)
        self.assertEqual(self.looked_at(), ["resync"])

    def test_stop(self) -> None:
        """A stop ends the stream and every timer, in whatever state it is."""
        for prepare in (
            lambda: None,
            lambda: self.stream.open(),
            lambda: (self.stream.open(), self.stream.send(ATTACHED)),
            lambda: self.stream.fail(),
        ):
            self.start()
            prepare()
            self.successResultOf(self.source.stopService())
            self.assertEqual(self.clock.getDelayedCalls(), [])
            self.assertTrue(self.stream.ended.called)
            self.hints.clear()
