"""What clients can hold: connections, and time."""

from __future__ import annotations

import resource

from twisted.internet.address import IPv4Address
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from marathonlb.base.causes import Cause, CauseKind
from marathonlb.marathon.events.hints import Hint
from marathonlb.web.callback.resource import CallbackSite
from marathonlb.web.connections import LARGEST, BoundedChannel, Connections, Times, fair_share

EVENT = b'{"eventType": "status_update_event", "appId": "/a", "taskStatus": "TASK_RUNNING"}'
HEAD = b"POST / HTTP/1.1\r\nHost: lb\r\nContent-Length: %d\r\n\r\n" % len(EVENT)


class Client(StringTransport):
    """A client's end; a connection that is cut is lost at once."""

    protocol: BoundedChannel

    def abortConnection(self) -> None:
        super().abortConnection()
        self.protocol.connectionLost(Failure(ConnectionAbortedError()))


class Bounded(SynchronousTestCase):
    """The callback with room for four connections."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.hints: list[Hint] = []
        self.connections = Connections(4, Times(headers=10, body=60, idle=30, farewell=2))
        self.site = CallbackSite({"": self.hints.append}, reactor=self.clock, connections=self.connections)

    def connect(self, address: str = "10.0.0.1") -> Client:
        """A connection from an address."""
        client = Client(peerAddress=IPv4Address("TCP", address, 4000))
        protocol = self.site.buildProtocol(client.getPeer())
        assert isinstance(protocol, BoundedChannel)
        client.protocol = protocol
        protocol.makeConnection(client)
        return client

    def slowly(self, client: Client, data: bytes, seconds: float) -> float:
        """Send bytes one by one; the time after which the connection was cut, or the last one was sent."""
        began = self.clock.seconds()
        for byte in data:
            if client.disconnected:
                break
            client.protocol.dataReceived(bytes([byte]))
            self.clock.advance(seconds)
        return self.clock.seconds() - began

    def test_slow_headers(self) -> None:
        """Headers that come byte by byte get no more time than those that do not come at all."""
        silent, slow = self.connect(), self.connect()
        self.assertLess(self.slowly(slow, HEAD, 1), 12)
        self.assertTrue(silent.disconnected and slow.disconnected)
        self.assertEqual((len(self.connections), self.clock.getDelayedCalls()), (0, []))

    def test_slow_body(self) -> None:
        """Nor does a body that comes byte by byte."""
        client = self.connect()
        client.protocol.dataReceived(HEAD)
        self.assertLess(self.slowly(client, EVENT, 1), 62)
        self.assertTrue(client.disconnected)
        self.assertEqual(self.hints, [])

    def test_idle(self) -> None:
        """A connection is kept for the next request, for a while."""
        client = self.connect()
        for _ in range(3):
            client.protocol.dataReceived(HEAD + EVENT)
            self.clock.advance(29)
        self.assertEqual(len(self.hints), 3)
        self.assertFalse(client.disconnected)
        self.clock.advance(1)
        self.assertTrue(client.disconnected)

    def test_full(self) -> None:
        """Whoever opens too many loses his own, the oldest first, and others are heard."""
        marathon = self.connect("10.0.0.9")
        flood = [self.connect() for _ in range(50)]
        self.assertEqual(len(self.connections), 4)
        self.assertEqual([client.disconnected for client in flood[-3:]], [False] * 3)
        self.assertTrue(all(client.disconnected for client in flood[:-3]))
        marathon.protocol.dataReceived(HEAD + EVENT)
        late = self.connect("10.0.0.8")
        late.protocol.dataReceived(HEAD + EVENT)
        self.assertEqual(len(self.hints), 2)

    def test_spread(self) -> None:
        """Many addresses with one connection each do not keep a new one out."""
        for number in range(50):
            self.connect(f"10.0.1.{number}")
        self.connect("10.0.0.9").protocol.dataReceived(HEAD + EVENT)
        self.assertEqual(len(self.hints), 1)
        self.assertEqual(len(self.connections), 4)

    def test_bodies(self) -> None:
        """All bodies together take a bounded room; the one that finds none leads to everything."""
        self.site.room.left = len(EVENT) + 10
        one, two = self.connect(), self.connect()
        one.protocol.dataReceived(HEAD + EVENT[:-1])
        two.protocol.dataReceived(HEAD + EVENT)
        self.assertEqual(self.hints, [Hint.of(None, Cause(CauseKind.LOST_EVENT))])
        one.protocol.dataReceived(EVENT[-1:])
        self.assertEqual(self.hints[1].apps, frozenset(["/a"]))
        for client in (one, two):
            client.protocol.connectionLost(Failure(ConnectionAbortedError()))
        self.assertEqual(self.site.room.left, len(EVENT) + 10)


class Shares(SynchronousTestCase):
    """How many connections there may be."""

    def test_share(self) -> None:
        """Two full listeners leave half of the descriptors to the controller's own work."""
        for limit, share in (
            *((1024, 256), (100, 25), (8, 8), (1_000_000, LARGEST), (resource.RLIM_INFINITY, LARGEST)),
        ):
            self.patch(resource, "getrlimit", lambda _, limit=limit: (limit, limit))
            self.assertEqual(fair_share(), share)
