"""The event stream and the callback over real sockets, from the bytes to the hints."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred, succeed
from twisted.internet.endpoints import TCP4ServerEndpoint
from twisted.trial.unittest import TestCase
from twisted.web.client import Agent
from twisted.web.iweb import IBodyProducer
from zope.interface import implementer

from marathonlb.base.causes import CauseKind
from marathonlb.marathon.api.agent import make_agent
from marathonlb.marathon.api.client import MarathonClient
from marathonlb.marathon.events.hints import Hint
from marathonlb.marathon.events.stream import EventStream
from marathonlb.marathon.events.subscription import Subscription
from marathonlb.settings import Settings
from marathonlb.web.callback.resource import LIMIT, CallbackSite
from tests.fakes import http_marathon as http
from tests.fakes.http_marathon import Connection, HTTPMarathon, Request
from tests.paths import data

ATTACHED = b'event: event_stream_attached\r\ndata: {"eventType":"event_stream_attached"}\r\n\r\n'


def event(app_id: str) -> bytes:
    """An event that names an app, as the stream sends it."""
    fields = {"eventType": "status_update_event", "appId": app_id}
    return b"event: status_update_event\r\ndata: " + json.dumps(fields).encode() + b"\r\n\r\n"


class Base(TestCase):
    """Servers and sources that end with the test."""

    timeout = 120

    def setUp(self) -> None:
        self.hints: list[Hint] = []

    async def server(self, **scripts: http.Script) -> HTTPMarathon:
        """A Marathon that listens."""
        server = HTTPMarathon()
        server.scripts = {"/v2/" + name: script for name, script in scripts.items()}
        await server.start(reactor)
        self.addCleanup(lambda: Deferred.fromCoroutine(server.stop()))
        return server

    def client(self, *servers: HTTPMarathon) -> MarathonClient:
        """A client of these."""
        agent = make_agent(Settings(), reactor)  # type: ignore[arg-type]
        return MarathonClient([server.url for server in servers], agent, reactor, timeout=5)  # type: ignore[arg-type]

    def follow(self, *servers: HTTPMarathon, **more: Any) -> EventStream:
        """A source that follows these, with short pauses."""
        source = EventStream(
            self.client(*servers),
            self.hints.append,
            reactor,  # type: ignore[arg-type]
            **{"max_backoff": 0.01, "stall_timeout": 5, **more},
        )
        source.startService()
        self.addCleanup(source.stopService)
        return source

    async def until(self, true: Callable[[], object]) -> None:
        """Let the reactor turn until something is true."""
        for _ in range(5000):
            if true():
                return
            turn: Deferred[None] = Deferred()
            reactor.callLater(0.002, turn.callback, None)  # type: ignore[attr-defined]
            await turn
        raise AssertionError(f"it never came true; the hints are {self.hints}")

    def count(self, kind: CauseKind) -> int:
        """Return the number of hints with a cause."""
        return [cause.kind for hint in self.hints for cause in hint.causes].count(kind)

    def apps(self) -> list[str]:
        """The apps that were hinted at, in order."""
        return [app for hint in self.hints for app in sorted(hint.apps or ())]


class Follow(Base):
    """The behaviour of an event stream."""

    async def test_events(self) -> None:
        """Events come as hints."""
        source = self.follow(
            await self.server(events=http.stream(ATTACHED, event("/a"), b"\r", b"\n", event("/b")))
        )
        await self.until(lambda: self.apps() == ["/a", "/b"])
        self.assertEqual(self.count(CauseKind.STREAM_ATTACHED), 1)
        self.assertEqual(source.problem, "")

    async def test_dies(self) -> None:
        """A stream that breaks in the middle of an event is opened again, and everything is compared again."""
        server = await self.server(events=http.stream(ATTACHED, event("/a"), event("/never")[:-10], end=True))
        self.follow(server)
        await self.until(lambda: self.count(CauseKind.STREAM_ATTACHED) >= 3)
        self.assertNotIn("/never", self.apps())

    async def test_reset(self) -> None:
        """A stream that is reset is opened again."""
        server = await self.server(events=http.stream(ATTACHED))
        self.follow(server)
        for attached in (1, 2, 3):
            await self.until(lambda attached=attached: self.count(CauseKind.STREAM_ATTACHED) == attached)
            for connection in list(server.connections):
                connection.abort()

    async def test_stalls(self) -> None:
        """A stream that falls silent is opened again."""
        server = await self.server(events=http.stream(ATTACHED))
        self.follow(server, stall_timeout=0.05)
        await self.until(lambda: self.count(CauseKind.STREAM_ATTACHED) >= 3)
        await self.until(lambda: len(server.connections) <= 1)

    async def test_next(self) -> None:
        """A Marathon without a stream leads to the next."""
        for script in (
            http.html(401),
            http.html(404),
            http.html(500),
            http.html(200),
            http.hang_up,
            http.stream(end=True),
        ):
            bad = await self.server(events=script)
            good = await self.server(events=http.stream(ATTACHED))
            source = self.follow(bad, good)
            await self.until(lambda source=source, good=good: source.connected_to == good.url)
            await source.stopService()

    async def test_without_newline(self) -> None:
        """A hundred megabytes without a newline are read away, and everything is looked at once."""
        server = await self.server(events=_flood)
        self.follow(server)
        await self.until(lambda: self.apps() == ["/after"])
        self.assertEqual(self.count(CauseKind.OVERSIZED_EVENT), 1)

    async def test_stop(self) -> None:
        """A stop closes the stream."""
        server = await self.server(events=http.stream(ATTACHED))
        source = self.follow(server)
        await self.until(lambda: self.hints)
        await source.stopService()
        await self.until(lambda: not server.connections)


def _flood(connection: Connection, request: Request) -> None:
    """100 MiB without a newline, then an event."""
    http.stream(ATTACHED)(connection, request)
    left = [100]

    def resume() -> None:
        if connection.transport is None or not connection.transport.connected:  # type: ignore[attr-defined]
            return
        if left[0]:
            left[0] -= 1
            connection.write(b"x" * (1 << 20))
            reactor.callLater(0, resume)  # type: ignore[attr-defined]
        else:
            connection.write(b"\r\n\r\n" + event("/after"))

    resume()


class StreamFilesTests(Base):
    """Streams as Marathons write them on the wire."""

    directory = data("streams")
    about = frozenset({"/shop/web", "/shop/api"})

    async def test_streams(self) -> None:
        """A stream leads to the apps that it is about."""
        for path in sorted(self.directory.glob("*.bin")):
            self.hints.clear()
            source = self.follow(await self.server(events=http.stream(path.read_bytes())))
            await self.until(lambda: len(self.hints) > 1)
            self.assertLessEqual(set(self.apps()), self.about)
            await source.stopService()


@implementer(IBodyProducer)
class Blanks:
    """A long body that is produced in parts."""

    def __init__(self, start: bytes, length: int) -> None:
        self.length = length
        self._start = start

    def startProducing(self, consumer: Any) -> Deferred[None]:
        """All of it, as fast as it is taken."""
        consumer.write(self._start)
        left = self.length - len(self._start)
        while left > 0:
            consumer.write(b" " * min(left, 1 << 20))
            left -= 1 << 20
        return succeed(None)

    def pauseProducing(self) -> None:
        """It is all under way."""

    def stopProducing(self) -> None:
        """It is all under way."""

    def resumeProducing(self) -> None:
        """It is all under way."""


class Callback(Base):
    """The callback, from its registration to its removal."""

    async def test_callback(self) -> None:
        """The callback is registered, takes events of any size, and is taken away at the end."""
        port = await TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1").listen(
            CallbackSite({"": self.hints.append})
        )
        self.addCleanup(port.stopListening)
        url = f"http://127.0.0.1:{port.getHost().port}/"
        server = await self.server(eventSubscriptions=http.json_body({"callbackUrls": []}))
        source = Subscription(self.client(server), self.hints.append, reactor, url)  # type: ignore[arg-type]
        source.startService()
        await self.until(lambda: self.count(CauseKind.CALLBACK_REGISTERED))
        self.assertEqual(server.requests[-1].query, {"callbackUrl": [url]})
        agent = Agent(reactor)
        start = b'{"eventType": "app_terminated_event", "appId": "/a"}'
        for length in (len(start), LIMIT, LIMIT + 1):
            response = await agent.request(b"POST", url.encode(), None, Blanks(start, length))
            self.assertEqual(response.code, 200)
        await self.until(lambda: len(self.hints) == 4)
        self.assertEqual([hint.apps for hint in self.hints[1:]], [frozenset(["/a"])] * 2 + [None])
        await source.stopService()
        self.assertEqual(server.requests[-1].method, "DELETE")

    async def test_no_such_page(self) -> None:
        """A Marathon of 1.5 or later leads to ``--mode=sse``."""
        source = Subscription(self.client(await self.server()), self.hints.append, reactor, "http://lb/")  # type: ignore[arg-type]
        source.startService()
        await self.until(lambda: source.problem)
        self.assertIn("--mode=sse", source.problem)
        await source.stopService()
