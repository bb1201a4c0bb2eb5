"""The socket: who the client is, and whose the socket is."""

from __future__ import annotations

import os
import shutil
import socket
import struct
import tempfile
from typing import Any

from twisted.internet.address import IPv4Address, UNIXAddress
from twisted.internet.defer import Deferred
from twisted.internet.error import CannotListenError, ConnectionDone
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.protocols.haproxy._wrapper import HAProxyWrappingFactory
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from marathonlb.errors import PublishFailed
from marathonlb.web.access import Access
from marathonlb.web.connections import Times
from marathonlb.web.page import Answer, ClientRequest, Page, text
from marathonlb.web.router import LIMIT, PER_CLIENT, Route, Router
from marathonlb.web.server import RETRY_DELAY, PageSite, WebServer


class Echo(Page):
    """Says what it was asked."""

    also = "POST"

    async def answer(self, request: ClientRequest) -> Answer:
        return text(f"{request.client} {request.admin} {len(request.body)}")


ROOT = Router((Route("/", Echo()),), Access(("10.0.0.0/8", "fd00::/8")))
SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"
GET = b"GET / HTTP/1.1\r\nHost: lb\r\nX-Forwarded-For: 10.0.0.1\r\n\r\n"


def v2(family: int, *addresses: str) -> bytes:
    """A header of version 2 of the PROXY protocol, as HAProxy sends it."""
    packed = b"".join(socket.inet_pton(family, address) for address in addresses) + struct.pack(
        "!2H", 40000, 9090
    )
    return (
        SIGNATURE
        + bytes([0x21, 0x11 if family == socket.AF_INET else 0x21])
        + struct.pack("!H", len(packed))
        + packed
    )


ADMIN = v2(socket.AF_INET, "10.2.3.4", "10.0.0.9")
LOCAL = SIGNATURE + b"\x20\x00\x00\x00"


class Proxied(SynchronousTestCase):
    """What comes after a PROXY header."""

    def send(self, *pieces: bytes) -> bytes:
        """What is answered to these bytes on one connection."""
        self.clock = Clock()
        protocol = HAProxyWrappingFactory(PageSite(ROOT, self.clock)).buildProtocol(None)  # type: ignore[arg-type]
        assert protocol is not None
        self.transport = StringTransport(peerAddress=UNIXAddress(b""))
        protocol.makeConnection(self.transport)
        self.protocol = protocol
        for piece in pieces:
            protocol.dataReceived(piece)
        self.addCleanup(protocol.connectionLost, Failure(ConnectionDone()))
        return self.transport.value()

    def test_addresses(self) -> None:
        """The client's address is HAProxy's word, IPv4 and IPv6, and no header's."""
        for family, addresses, expected in (
            (socket.AF_INET, ("10.2.3.4", "10.0.0.9"), b"10.2.3.4 True 0"),
            (socket.AF_INET, ("192.168.0.1", "10.0.0.9"), b"192.168.0.1 False 0"),
            (socket.AF_INET6, ("fd00::7", "::1"), b"True 0"),
        ):
            self.assertTrue(self.send(v2(family, *addresses), GET).endswith(expected), expected)

    def test_one_piece(self) -> None:
        """Header and request may come together."""
        self.assertIn(b"10.2.3.4 True", self.send(v2(socket.AF_INET, "10.2.3.4", "10.0.0.9") + GET))

    def test_first_version(self) -> None:
        """The text form of the header is understood, too."""
        self.assertIn(b"10.2.3.4 True", self.send(b"PROXY TCP4 10.2.3.4 10.0.0.9 40000 9090\r\n", GET))

    def test_haproxy_itself(self) -> None:
        """HAProxy's own connections have no address, and are no admin's."""
        self.assertIn(b"an unknown address False", self.send(LOCAL, GET))
        self.assertEqual(self.send(LOCAL), b"")

    def test_no_header(self) -> None:
        """A connection without a header is closed unanswered."""
        self.assertEqual(self.send(GET), b"")
        self.assertTrue(self.transport.disconnecting)

    def test_too_big(self) -> None:
        """A body past the limit is refused, whatever length it claims; where it claims one, before it comes."""
        head = b"POST / HTTP/1.1\r\nHost: lb\r\nContent-Length: %d\r\n\r\n"
        self.assertIn(b"200 OK", self.send(ADMIN, head % LIMIT, b"x" * LIMIT)[:20])
        self.assertIn(b"413 ", self.send(ADMIN, head % (LIMIT + 1))[:20])
        chunked = b"POST / HTTP/1.1\r\nHost: lb\r\nTransfer-Encoding: chunked\r\n\r\n"
        piece = b"%x\r\n%s\r\n" % (LIMIT, b"x" * LIMIT)
        self.assertIn(b"413 ", self.send(ADMIN, chunked, piece, piece, b"0\r\n\r\n")[:20])

    def test_unwanted(self) -> None:
        """Who may change nothing is told so before the body, which is read away for a moment."""
        for head in (
            b"Content-Length: 500000",
            b"Content-Length: 5\r\nExpect: 100-continue",
            b"Transfer-Encoding: chunked",
        ):
            answer = self.send(LOCAL, b"POST / HTTP/1.1\r\nHost: lb\r\n%s\r\n\r\n" % head)
            self.assertTrue(answer.startswith(b"HTTP/1.1 403 Forbidden\r\n"), answer)
            self.assertIn(b"Connection: close\r\n", answer)
            self.assertIn(b"Cross-Origin-Resource-Policy: same-origin\r\n", answer)
            self.assertTrue(answer.endswith(b'is not in --admin-allow"}'), answer)
            for _ in range(20):
                self.protocol.dataReceived(b"GET / HTTP/1.1\r\nHost: lb\r\n\r\n" * 100)
            self.assertEqual(self.transport.value(), answer)
            self.assertFalse(self.transport.disconnected)
            self.clock.advance(Times().farewell)
            self.assertTrue(self.transport.disconnected)

    def test_no_disk(self) -> None:
        """A body needs no place for temporary files."""
        self.patch(tempfile, "tempdir", "/nonexistent")
        head = b"POST / HTTP/1.1\r\nHost: lb\r\nContent-Length: %d\r\n\r\n"
        self.assertIn(
            b" True %d" % LIMIT,
            self.send(v2(socket.AF_INET, "10.2.3.4", "10.0.0.9"), head % LIMIT, b"x" * LIMIT),
        )

    def test_forms(self) -> None:
        """A form is not taken apart, however wrong it is."""
        for kind in (b"multipart/form-data", b"application/x-www-form-urlencoded"):
            head = b"POST / HTTP/1.1\r\nHost: lb\r\nContent-Type: %s\r\nContent-Length: 3\r\n\r\n" % kind
            self.assertIn(b"200 OK", self.send(ADMIN, head, b"a=b")[:20])


class Waiting(Page):
    """Answers when it is let go."""

    def __init__(self) -> None:
        self.held: list[Deferred[None]] = []

    async def answer(self, request: ClientRequest) -> Answer:
        self.held.append(Deferred())
        await self.held[-1]
        return text("done")


class Busy(SynchronousTestCase):
    """Requests that take long."""

    def setUp(self) -> None:
        self.page = Waiting()
        self.site = PageSite(Router((Route("/", self.page),), Access(())), Clock())

    def ask(self, client: str) -> StringTransport:
        """A request from an address."""
        protocol = self.site.buildProtocol(None)
        transport = StringTransport(peerAddress=IPv4Address("TCP", client, 4000))
        assert protocol is not None
        protocol.makeConnection(transport)
        protocol.dataReceived(b"GET / HTTP/1.1\r\nHost: lb\r\n\r\n")
        self.addCleanup(protocol.connectionLost, Failure(ConnectionDone()))
        return transport

    def test_one_client(self) -> None:
        """One client cannot have everything answered at a time; the next is answered when one of them is."""
        waiting = [self.ask("10.0.0.1") for _ in range(PER_CLIENT)]
        self.assertIn(b"Retry-After: 1", self.ask("10.0.0.1").value())
        self.assertEqual(self.ask("10.0.0.2").value(), b"")
        self.page.held[0].callback(None)
        self.assertIn(b"done", waiting[0].value())
        self.assertEqual(self.ask("10.0.0.1").value(), b"")
        self.assertEqual(len(self.page.held), PER_CLIENT + 2)


class FakePort:
    """A port that removes its socket, as Twisted's does."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.bind(path)

    def stopListening(self) -> Deferred[None] | None:
        self._socket.close()
        os.unlink(self._path)
        return None


class FakeReactor(Clock):
    """Binds sockets, or does not."""

    def __init__(self) -> None:
        super().__init__()
        self.refuses: Exception | None = None
        self.modes: list[int] = []

    def listenUNIX(self, path: str, factory: Any, mode: int = 0o666) -> FakePort:
        if self.refuses is not None:
            raise self.refuses
        self.modes.append(mode)
        return FakePort(path)


class Listening(SynchronousTestCase):
    """The socket's place."""

    def setUp(self) -> None:
        self.directory = tempfile.mkdtemp(prefix="mlb-", dir="/tmp")
        self.addCleanup(shutil.rmtree, self.directory, ignore_errors=True)
        self.path = f"{self.directory}/web.sock"
        self.reactor = FakeReactor()

    def server(self) -> WebServer:
        """A server on the socket."""
        return WebServer(lambda: self.path, ROOT, self.reactor)

    def test_listens(self) -> None:
        """The socket is in its place while the service runs, and for our user and group alone."""
        server = self.server()
        server.startService()
        self.assertEqual(os.listdir(self.directory), ["web.sock"])
        self.assertEqual(self.reactor.modes, [0o660])
        self.successResultOf(server.stopService())
        self.assertEqual(os.listdir(self.directory), [])

    def test_left_behind(self) -> None:
        """What a controller that was killed left behind is replaced."""
        for name in ("web.sock", "web.sock.new"):
            with socket.socket(socket.AF_UNIX) as left:
                left.bind(f"{self.directory}/{name}")
        inode = os.stat(self.path).st_ino
        server = self.server()
        server.startService()
        self.assertEqual(os.listdir(self.directory), ["web.sock"])
        self.assertNotEqual(os.stat(self.path).st_ino, inode)
        self.successResultOf(server.stopService())

    def test_taken_over(self) -> None:
        """A socket that another controller has put in its place stays when this one stops."""
        first, second = self.server(), self.server()
        first.startService()
        second.startService()
        inode = os.stat(self.path).st_ino
        self.successResultOf(first.stopService())
        self.assertEqual(os.listdir(self.directory), ["web.sock"])
        self.assertEqual(os.stat(self.path).st_ino, inode)
        self.successResultOf(second.stopService())

    def test_tries_again(self) -> None:
        """A socket that cannot be bound is said and tried again."""
        self.reactor.refuses = CannotListenError(None, self.path, OSError(28, "No space left on device"))
        server = self.server()
        server.startService()
        self.assertEqual(os.listdir(self.directory), [])
        self.reactor.refuses = None
        self.reactor.advance(RETRY_DELAY)
        self.assertEqual(os.listdir(self.directory), ["web.sock"])
        self.successResultOf(server.stopService())

    def test_no_directory(self) -> None:
        """A state directory that cannot be used costs the pages alone, and stopping is still clean."""

        def path() -> str:
            raise PublishFailed(path=self.path, reason="longer than a socket's path may be")

        server = WebServer(path, ROOT, self.reactor)
        server.startService()
        self.successResultOf(server.stopService())
        self.assertEqual(self.reactor.getDelayedCalls(), [])
