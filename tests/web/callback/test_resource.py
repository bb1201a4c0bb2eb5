"""The event callback, through a real site without a socket."""

from __future__ import annotations

import errno
import json
from functools import partial
from pathlib import Path
from typing import IO

from twisted.internet.error import ConnectionDone
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from marathonlb.base.causes import Cause, CauseKind
from marathonlb.marathon.events.hints import Hint
from marathonlb.web.callback.resource import BoundedContent, CallbackSite
from tests.fakes.hints import event_hint
from tests.paths import data

EVENT = json.dumps({"eventType": "status_update_event", "appId": "/a", "taskStatus": "TASK_RUNNING"}).encode()


class Callback(SynchronousTestCase):
    """What is posted, what is answered, what is looked at."""

    def setUp(self) -> None:
        self.hints: list[Hint] = []
        self.east: list[Hint] = []
        self.answered_first: list[bool] = []
        self.clock = Clock()
        self.site = CallbackSite({"": self._poked, "east": self.east.append}, limit=1000, reactor=self.clock)

    def _poked(self, hint: Hint) -> None:
        self.hints.append(hint)
        self.answered_first.append(b"200 OK" in self.transport.value())

    def send(self, *pieces: bytes) -> int:
        """Send raw bytes on one connection; the status of the answer, 0 where there is none yet."""
        channel = self.site.buildProtocol(None)
        self.transport = StringTransport()
        channel.makeConnection(self.transport)
        for piece in pieces:
            channel.dataReceived(piece)
        self.addCleanup(channel.connectionLost, Failure(ConnectionDone()))
        head = self.transport.value().split(b"\r\n")[0].split(b" ")
        return int(head[1]) if len(head) > 1 else 0

    def post(self, body: bytes, kind: str = "application/json; charset=UTF-8", method: str = "POST") -> int:
        """Post a body with its length told."""
        head = f"{method} / HTTP/1.1\r\nHost: lb:8081\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n"
        return self.send(head.encode(), body)

    def test_event(self) -> None:
        """An event is answered with 200 at once, and leads to its app."""
        self.assertEqual(self.post(EVENT), 200)
        self.assertEqual(self.hints, [event_hint(["/a"])])
        self.assertEqual(self.answered_first, [True])

    def test_clusters(self) -> None:
        """An event is the cluster's whose name the URL has; of a cluster that nobody knows none is taken."""
        for target, status in (
            ("/?cluster=east", 200),
            ("/x?y=1&cluster=east", 200),
            ("/?cluster=west", 404),
        ):
            head = f"POST {target} HTTP/1.1\r\nHost: lb:8081\r\nContent-Length: {len(EVENT)}\r\n\r\n"
            self.assertEqual(self.send(head.encode(), EVENT), status)
        self.assertEqual(len(self.east), 2)
        self.assertEqual(self.hints, [])

    def test_types(self) -> None:
        """Whatever the content type says, an event is an event."""
        kinds = (
            "text/plain; charset=UTF-8",
            "application/x-www-form-urlencoded",
            "multipart/form-data",
            "",
            "ü",
        )
        for kind in kinds:
            self.assertEqual(self.post(EVENT, kind), 200, kind)
        self.assertEqual(len(self.hints), len(kinds))

    def test_quiet(self) -> None:
        """An event that changes nothing is welcome and leads nowhere."""
        self.assertEqual(self.post(b'{"eventType": "subscribe_event", "callbackUrl": "http://lb/"}'), 200)
        self.assertEqual(self.hints, [])

    def test_no_event(self) -> None:
        """What is no event is 400 and leads nowhere."""
        for body in (b"", b"x", b"{}", b"[]", b'{"event": 1}', EVENT[:-1], b"\xff\xfe", b"[" * 900):
            self.assertEqual(self.post(body), 400, body[:20])
        self.assertEqual(self.hints, [])

    def test_methods(self) -> None:
        """Anything but a POST is 405, and says what is allowed."""
        for method in ("GET", "PUT", "DELETE", "HEAD", "OPTIONS", "BREW"):
            self.assertEqual(self.post(EVENT, method=method), 405, method)
            self.assertIn(b"Allow: POST", self.transport.value())
        self.assertEqual(self.hints, [])

    def test_too_big(self) -> None:
        """A body past the limit is thanked for and leads to everything, whether its length is told or not."""
        big = EVENT + b" " * 1000
        self.assertEqual(self.post(big), 200)
        chunks = [b"%x\r\n%s\r\n" % (len(piece), piece) for piece in (big[:600], big[600:])]
        head = b"POST / HTTP/1.1\r\nHost: lb\r\nTransfer-Encoding: chunked\r\n\r\n"
        self.assertEqual(self.send(head, *chunks, b"0\r\n\r\n"), 200)
        self.assertEqual(self.hints, [Hint.of(None, Cause(CauseKind.OVERSIZED_EVENT))] * 2)

    def test_full_disk(self) -> None:
        """An event that a full disk does not take is thanked for all the same, and leads to everything."""
        self.site = CallbackSite(
            {"": self._poked}, temporary=partial(open, "/dev/full", "w+b"), reactor=self.clock
        )
        self.assertEqual(self.post(EVENT + b" " * 200_000), 200)
        self.assertEqual(self.hints, [Hint.of(None, Cause(CauseKind.LOST_EVENT))])
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_at_the_limit(self) -> None:
        """A body of just the limit is read."""
        self.assertEqual(self.post(EVENT + b" " * (1000 - len(EVENT))), 200)
        self.assertEqual(self.hints[0].apps, frozenset(["/a"]))

    def test_unfinished(self) -> None:
        """A body that never comes whole leads nowhere."""
        head = b"POST / HTTP/1.1\r\nHost: lb\r\nContent-Length: 500\r\n\r\n"
        self.assertEqual(self.send(head, EVENT), 0)
        self.assertEqual(self.hints, [])

    def test_everywhere(self) -> None:
        """The path says nothing."""
        head = f"POST /callback/x?y=z HTTP/1.1\r\nHost: lb\r\nContent-Length: {len(EVENT)}\r\n\r\n"
        self.assertEqual(self.send(head.encode() + EVENT), 200)
        self.assertEqual(len(self.hints), 1)


class Content(SynchronousTestCase):
    """What a body is written to."""

    def test_kept(self) -> None:
        """Up to the limit everything is kept, in memory or in a file."""
        for length in (10, 500_000, None):
            content = BoundedContent(length, 1_000_000)
            content.write(b"x" * 5)
            content.write(b"y" * 5)
            self.assertEqual(content.tell(), 10)
            content.seek(0)
            self.assertEqual(content.read(), b"xxxxxyyyyy")
            self.assertFalse(content.too_big)
            content.close()

    def test_full_disk(self) -> None:
        """What a disk does not take is read away, whether the file, a part or the rest of it finds no room."""

        def no_file() -> IO[bytes]:
            raise OSError(errno.ENOSPC, "No space left on device")

        for temporary in (no_file, partial(open, "/dev/full", "w+b", 0), partial(open, "/dev/full", "w+b")):
            content = BoundedContent(None, 1_000_000, temporary)
            content.write(EVENT)
            content.seek(0)
            self.assertIn("No space left on device", content.lost)
            self.assertFalse(content.too_big)
            content.write(EVENT)
            self.assertEqual(content.read(), b"")
            content.close()

    def test_past_the_limit(self) -> None:
        """Past it nothing is kept."""
        for length in (11, None):
            content = BoundedContent(length, 10)
            for _ in range(11):
                content.write(b"x")
            self.assertTrue(content.too_big)
            content.seek(0)
            self.assertEqual(content.read(), b"")
            content.close()


class EventFilesTests(SynchronousTestCase):
    """An event of each type, in the shape of each Marathon that sends it."""

    directory = data("events")

    def test_all(self) -> None:
        """Each is taken."""
        hints: list[Hint] = []
        site = CallbackSite({"": hints.append}, reactor=Clock())
        paths: list[Path] = sorted(self.directory.iterdir())
        for path in paths:
            body = path.read_bytes()
            channel, transport = site.buildProtocol(None), StringTransport()
            channel.makeConnection(transport)
            channel.dataReceived(
                b"POST / HTTP/1.1\r\nHost: lb\r\nContent-Length: %d\r\n\r\n" % len(body) + body
            )
            channel.connectionLost(Failure(ConnectionDone()))
            self.assertIn(b" 200 OK", transport.value(), path.name)
        self.assertGreater(len(hints), len(paths) / 2)
        self.assertGreater(len(paths), 50)
