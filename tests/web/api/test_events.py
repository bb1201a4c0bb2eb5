"""Events for those who follow."""

from __future__ import annotations

import resource

import msgspec
from twisted.internet.address import IPv4Address, UNIXAddress
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IAddress
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure

from marathonlb.controller.timeline import Entry, Kind
from marathonlb.web.api.events import HEARTBEAT, MOST, PER_CLIENT
from marathonlb.web.server import PageSite
from tests.reconciling import web
from tests.web.contexts import PagesTestCase


class Following(PagesTestCase):
    """A client of /api/events, on a connection of its own."""

    peer: IAddress = UNIXAddress(b"")

    def follow(self, headers: str = "") -> StringTransport:
        """Begin to follow; what is heard is in the transport."""
        self.protocol = PageSite(self.root, self.clock).buildProtocol(None)
        transport = StringTransport(peerAddress=self.peer)
        self.protocol.makeConnection(transport)
        self.protocol.dataReceived(f"GET /api/events HTTP/1.1\r\nHost: lb\r\n{headers}\r\n".encode())
        return transport

    def leave(self) -> None:
        """The client goes."""
        self.protocol.connectionLost(Failure(ConnectionDone()))

    def test_entries(self) -> None:
        """What happens is told as it happens, with its id."""
        transport = self.follow()
        self.assertIn(b"Content-Type: text/event-stream", transport.value())
        self.assertIn(b"retry: 2000", transport.value())
        transport.clear()
        self.serve(web("shop"))
        heard = transport.value()
        self.assertIn(b"id: 1\nevent: timeline\ndata: {", heard)
        data = heard.split(b"data: ")[1].split(b"\n\n")[0]
        self.assertEqual(msgspec.json.decode(data, type=Entry).kind, Kind.CONVERGED)
        self.leave()

    def test_alive(self) -> None:
        """A comment now and then keeps the connection, and ends with it."""
        transport = self.follow()
        transport.clear()
        self.clock.advance(HEARTBEAT)
        self.assertIn(b": alive\n\n", transport.value())
        self.leave()
        transport.clear()
        self.clock.advance(HEARTBEAT)
        self.serve(web("shop"))
        self.assertEqual(transport.value(), b"")
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_comes_back(self) -> None:
        """A client that comes back is told what it missed, and nothing twice."""
        self.serve(web("shop"))
        self.serve(web("shop"), web("cart", 10001))
        transport = self.follow("Last-Event-ID: 1\r\n")
        self.assertNotIn(b"id: 1\n", transport.value())
        self.assertIn(b"id: 2\n", transport.value())
        self.leave()

    def test_first_time(self) -> None:
        """A client that comes for the first time, or says nonsense, is told from now on."""
        self.serve(web("shop"))
        for headers in ("", "Last-Event-ID: x\r\n", "Last-Event-ID: -1\r\n"):
            self.assertNotIn(b"id: ", self.follow(headers).value())
            self.leave()

    def test_too_slow(self) -> None:
        """A client that does not keep up costs no memory, and is told that it missed something."""
        transport = self.follow()
        assert transport.producer is not None
        transport.producer.pauseProducing()  # type: ignore[attr-defined]
        transport.clear()
        self.serve(web("shop"))
        self.clock.advance(HEARTBEAT)
        self.assertEqual(transport.value(), b"")
        transport.producer.resumeProducing()  # type: ignore[attr-defined]
        self.assertIn(b"event: missed\n", transport.value())
        self.leave()

    def test_many(self) -> None:
        """More clients than are welcome are refused; one that leaves makes room."""
        protocols = []
        for number in range(MOST):
            self.peer = IPv4Address("TCP", f"10.0.0.{number % 10}", 4000)
            self.follow()
            protocols.append(self.protocol)
        self.assertIn(b" 503 ", self.follow().value())
        self.leave()
        self.protocol = protocols.pop()
        self.leave()
        self.assertIn(b" 200 ", self.follow().value())
        self.leave()
        for self.protocol in protocols:
            self.leave()

    def test_many_of_one(self) -> None:
        """One client cannot take the streams of all."""
        self.peer = IPv4Address("TCP", "10.0.0.1", 4000)
        protocols = []
        for _ in range(PER_CLIENT):
            self.follow()
            protocols.append(self.protocol)
        self.assertIn(b" 503 ", self.follow().value())
        self.leave()
        self.peer = IPv4Address("TCP", "10.0.0.2", 4000)
        self.assertIn(b" 200 ", self.follow().value())
        self.leave()
        for self.protocol in protocols:
            self.leave()

    def test_few_descriptors(self) -> None:
        """Where there are few descriptors, streams leave half of the connections to the pages."""
        self.patch(resource, "getrlimit", lambda _: (80, 80))
        self.make(self.settings)
        protocols, answers = [], []
        for number in range(12):
            self.peer = IPv4Address("TCP", f"10.0.0.{number}", 4000)
            answers.append(self.follow().value()[:12])
            protocols.append(self.protocol)
        self.assertEqual(answers, [b"HTTP/1.1 200"] * 10 + [b"HTTP/1.1 503"] * 2)
        for self.protocol in protocols:
            self.leave()

    def test_stop(self) -> None:
        """When the controller stops, every stream ends."""
        transport = self.follow()
        self.root.close()
        self.assertTrue(transport.value().endswith(b"0\r\n\r\n"))
        self.leave()
        self.assertEqual([call for call in self.clock.getDelayedCalls() if call.active()], [])

    def test_head(self) -> None:
        """HEAD has no body and no end to wait for."""
        self.assertEqual(self.ask("HEAD", "/api/events")[:2], (200, ""))
