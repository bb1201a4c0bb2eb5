"""HTTP callbacks."""

from __future__ import annotations

import json
from typing import Any

from treq.testing import StringStubbingResource, StubTreq
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from minimarathon.api.callbacks import Callbacks
from minimarathon.events import Bus
from tests.minimarathon.clusters import Cluster


class Silent:
    """A client whose posts never get a response."""

    def __init__(self) -> None:
        self.posts: list[Deferred[None]] = []

    def post(self, url: str, **more: Any) -> Deferred[None]:
        self.posts.append(Deferred())
        return self.posts[-1]


class CallbackTests(SynchronousTestCase):
    """`Callbacks`."""

    def setUp(self) -> None:
        self.clock, self.bus = Clock(), Bus()
        self.statuses: list[int] = []
        self.posted: list[tuple[bytes, dict[str, Any]]] = []
        self.stub = StubTreq(StringStubbingResource(self.respond))
        self.callbacks = Callbacks(self.bus, self.stub, self.clock)
        self.callbacks.add("http://lb:8081/x")
        self.event = Cluster().state.announce.event("app_terminated_event", appId="/web")

    def respond(
        self, method: bytes, url: str, params: Any, headers: dict[bytes, list[bytes]], body: bytes
    ) -> tuple[int, dict[bytes, bytes], bytes]:
        self.assertEqual(b"POST", method)
        self.assertEqual([b"application/json"], headers[b"Accept"])
        self.posted.append((url.encode() if isinstance(url, str) else url, json.loads(body)))
        return (self.statuses.pop(0) if self.statuses else 200, {}, b"")

    def tell(self) -> int:
        """Publish an event; how many times it was posted."""
        before = len(self.posted)
        self.bus.publish([self.event])
        self.stub.flush()
        return len(self.posted) - before

    def test_posts(self) -> None:
        """A subscriber gets each event as JSON, once however often it subscribed, until it unsubscribes."""
        self.callbacks.add("http://lb:8081/x")
        self.assertEqual(1, self.tell())
        self.assertEqual("/web", self.posted[0][1]["appId"])
        self.callbacks.remove("http://lb:8081/x")
        self.callbacks.remove("http://lb:8081/x")
        self.assertEqual(0, self.tell())

    def test_failing_subscriber(self) -> None:
        """A failure is never repeated; the next events are lost for 2, then 4 seconds, and a success forgives."""
        self.statuses = [500, 500, 200, 500]
        for pause in (2, 4):
            self.assertEqual(1, self.tell())
            self.clock.advance(pause - 0.1)
            self.assertEqual(0, self.tell())
            self.clock.advance(0.2)
        self.assertEqual(1, self.tell())
        self.assertEqual(1, self.tell())
        self.clock.advance(2.1)
        self.assertEqual(1, self.tell())

    def test_slow_subscriber(self) -> None:
        """An answer that takes more than ten seconds is a failure, and a stop waits for nobody."""
        silent = Silent()
        callbacks = Callbacks(self.bus, silent, self.clock)
        callbacks.add("http://slow/")
        self.callbacks.remove("http://lb:8081/x")
        for seconds, posts in ((0, 1), (9.9, 2), (0.2, 2), (2.1, 3)):
            self.clock.advance(seconds)
            self.bus.publish([self.event])
            self.assertEqual(posts, len(silent.posts))
        self.assertIsNone(self.successResultOf(callbacks.stop()))
        self.assertEqual(([], []), (callbacks.urls(), self.clock.getDelayedCalls()))
