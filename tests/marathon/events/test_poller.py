"""What says "look again", with a clock that stands still."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from marathonlb.causes import Cause, CauseKind
from marathonlb.errors import SourceError
from marathonlb.marathon.events.hints import Hint
from marathonlb.marathon.events.poller import EventStream, Poller, Subscription
from tests.fakes.hints import event_hint

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
        """The head of the answer is in."""
        self._opened(url or self.endpoint)

    def end(self) -> None:
        """Marathon closes it."""
        self.ended.callback(None)

    def fail(self, reason: str = "refused") -> None:
        """It cannot be had."""
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
        """One more."""
        self.streams.append(Stream(endpoint, opened, received))
        return self.streams[-1].ended


class Sse(SynchronousTestCase):
    """The event stream."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.hints: list[Hint] = []

    def start(self, *endpoints: str, **more: Any) -> EventStream:
        """A source that has begun."""
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
        """The first event proves that we are attached, and then everything is compared, once."""
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
        """A stream that says nothing at first is compared all the same, a second later."""
        self.start()
        self.stream.open()
        self.clock.advance(1)
        self.assertEqual(self.looked_at(), ["stream attached"])
        self.stream.send(ATTACHED)
        self.assertEqual(self.looked_at(), [])

    def test_others_attachments(self) -> None:
        """That other streams come is no reason to look at anything."""
        self.start()
        self.stream.open()
        self.stream.send(ATTACHED)
        self.looked_at()
        for _ in range(10):
            self.stream.send(ATTACHED)
        self.assertEqual(self.looked_at(), [])

    def test_events(self) -> None:
        """Events become hints in their order, split as they may be, and the time of the last is known."""
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
        """A task that Marathon's stream says is killed is told at once, before the hint that asks about its app."""
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
        """An event without an end is a reason to look at everything, once, and the next is heard."""
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
        """A stream that ends is opened anew, and everything is compared again."""
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
        """A stream without a byte for the stall timeout is given up; a keep-alive counts as a byte."""
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
        """The pauses double up to the most there may be."""
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
        """The pause grows once each of several Marathons has failed."""
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
        """An event, or a heartbeat after a while, proves that all is well, and the pauses begin anew."""
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
        """Where no stream can be had at first, everything is looked at once all the same."""
        self.start()
        self.stream.fail()
        self.assertEqual(self.looked_at(), ["no events yet"])
        self.clock.advance(1)
        self.stream.fail()
        self.assertEqual(self.looked_at(), [])

    def test_resync(self) -> None:
        """Everything is compared every so often, with a stream and without."""
        self.start(resync_interval=300)
        self.clock.advance(299)
        self.assertEqual(self.looked_at(), [])
        self.clock.advance(1)
        self.assertEqual(self.looked_at(), ["resync"])
        self.clock.advance(300)
        self.assertEqual(self.looked_at(), ["resync"])

    def test_stop(self) -> None:
        """A stop ends the stream and every clock, in whatever state it is."""
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


class Subscribing:
    """A Marathon with subscriptions."""

    def __init__(self, *urls: str) -> None:
        self.urls = set(urls)
        self.asked: list[str] = []
        self.problem: str | None = None
        self.silent = False

    def _answer(self, what: str, answer: Any = None) -> Deferred[Any]:
        self.asked.append(what)
        if self.silent:
            return Deferred()
        if self.problem is not None:
            return fail(SourceError(url=ONE, reason=self.problem))
        return succeed(answer)

    def subscriptions(self) -> Deferred[tuple[str, ...]]:
        """The list."""
        return self._answer("list", tuple(self.urls))

    def subscribe(self, callback_url: str) -> Deferred[None]:
        """One more."""
        if self.problem is None and not self.silent:
            self.urls.add(callback_url)
        return self._answer("subscribe")

    def unsubscribe(self, callback_url: str) -> Deferred[None]:
        """One less."""
        if self.problem is None and not self.silent:
            self.urls.discard(callback_url)
        return self._answer("unsubscribe")


LB = "http://lb:8081/"


class Callbacks(SynchronousTestCase):
    """The callback's registration."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.hints: list[Hint] = []
        self.client = Subscribing("http://other/")
        self.source = Subscription(
            self.client, self.hints.append, self.clock, LB, check_interval=60, jitter=lambda: 1.0
        )
        self.addCleanup(self.source.stopService)

    def test_register(self) -> None:
        """The callback is registered at the start, and then everything is compared."""
        self.source.startService()
        self.assertEqual(self.client.urls, {"http://other/", LB})
        self.assertEqual([_only(hint).value for hint in self.hints], ["callback registered"])
        self.assertEqual((self.source.connected_to, self.source.problem), (LB, ""))

    def test_registered_before(self) -> None:
        """A callback that is still registered is left so, and everything is compared once."""
        self.client.urls.add(LB)
        self.source.startService()
        self.clock.pump([60, 60])
        self.assertEqual(self.client.asked, ["list"] * 3)
        self.assertEqual(len(self.hints), 1)

    def test_renew(self) -> None:
        """A callback that Marathon forgot is registered anew, and everything is compared."""
        self.source.startService()
        self.client.urls.clear()
        self.hints.clear()
        self.clock.advance(60)
        self.assertEqual(self.client.urls, {LB})
        self.assertEqual(len(self.hints), 1)

    def test_failure(self) -> None:
        """A failure is told, tried again with back-off, and followed by a comparison."""
        self.client.problem = "use --mode=sse"
        self.source.startService()
        self.assertIn("--mode=sse", self.source.problem)
        self.assertEqual([_only(hint).value for hint in self.hints], ["no events yet"])
        self.clock.pump([1, 2])
        self.assertEqual((self.source.attempts, len(self.client.asked)), (3, 3))
        self.client.problem = None
        self.clock.advance(4)
        self.assertEqual((self.source.attempts, self.source.problem), (0, ""))
        self.assertEqual([_only(hint).value for hint in self.hints[1:]], ["callback registered"])

    def test_stop(self) -> None:
        """A stop takes the callback away."""
        self.source.startService()
        self.successResultOf(self.source.stopService())
        self.assertEqual(self.client.urls, {"http://other/"})
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_stop_unregistered(self) -> None:
        """What was never registered is not taken away."""
        self.client.problem = "down"
        self.source.startService()
        self.successResultOf(self.source.stopService())
        self.assertNotIn("unsubscribe", self.client.asked)

    def test_stop_with_a_silent_marathon(self) -> None:
        """A Marathon that does not answer holds the stop up for a few seconds at most."""
        self.source.startService()
        self.client.silent = True
        stopped = self.source.stopService()
        self.assertNoResult(stopped)
        self.clock.advance(5)
        self.successResultOf(stopped)

    def test_heard(self) -> None:
        """What is posted to the callback is passed on, and its time remembered."""
        self.source.startService()
        self.clock.advance(7)
        hint = event_hint(["/a"])
        self.source.heard(hint)
        self.assertIs(self.hints[-1], hint)
        self.assertEqual(self.source.last_event_at, 7)


class Polls(SynchronousTestCase):
    """The clock."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.hints: list[Hint] = []

    def test_interval(self) -> None:
        """Everything is looked at at once and then every interval."""
        poller = Poller(self.hints.append, self.clock, 60)
        poller.startService()
        self.clock.pump([60, 60])
        self.assertEqual(self.hints, [Hint.of(None, Cause(CauseKind.POLL))] * 3)
        self.successResultOf(poller.stopService())  # type: ignore[arg-type]
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_slow(self) -> None:
        """While an answer is awaited there is no other poll."""
        waiting: list[Deferred[object]] = []

        def idle() -> Deferred[object]:
            waiting.append(Deferred())
            return waiting[-1]

        poller = Poller(self.hints.append, self.clock, 60, idle)
        poller.startService()
        self.clock.pump([60] * 5)
        self.assertEqual(len(self.hints), 1)
        waiting[0].callback(None)
        self.clock.advance(60)
        self.assertEqual(len(self.hints), 2)
        self.successResultOf(poller.stopService())  # type: ignore[arg-type]
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_failure(self) -> None:
        """What fails behind it is logged and does not end the polling."""
        poller = Poller(self.hints.append, self.clock, 60, lambda: fail(ValueError("x")))
        poller.startService()
        self.clock.advance(60)
        self.assertEqual(len(self.hints), 2)
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 2)
        self.successResultOf(poller.stopService())  # type: ignore[arg-type]
