"""Unpacking compressed answers: in pieces, once, and honestly about what is none."""

from __future__ import annotations

import gzip

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IProtocol
from twisted.internet.protocol import Protocol, connectionDone
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.client import ResponseDone
from twisted.web.http_headers import Headers
from twisted.web.iweb import UNKNOWN_LENGTH, IAgent, IResponse
from zope.interface import implementer
from zope.interface.verify import verifyObject

from marathonlb.marathon.api.unpack import PIECE, UnpackError, UnpackingAgent


@implementer(IResponse)
class Packed:
    """A response whose body is given by the test."""

    version, code, phrase, length, request, previousResponse = (b"HTTP", 1, 1), 200, b"OK", 5, None, None

    def __init__(self, encoding: str) -> None:
        self.headers = Headers({"Content-Encoding": [encoding]} if encoding else {})
        self.transport = StringTransport()
        self.reader: IProtocol | None = None

    def deliverBody(self, protocol: IProtocol) -> None:
        self.reader = protocol
        protocol.makeConnection(self.transport)

    def setPreviousResponse(self, response: IResponse) -> None:
        raise NotImplementedError


@implementer(IAgent)
class Giving:
    """Gives one response to every request."""

    def __init__(self, response: IResponse) -> None:
        self.response = response

    def request(
        self, method: bytes, uri: bytes, headers: object = None, bodyProducer: object = None
    ) -> Deferred:
        return succeed(self.response)


class Reader(Protocol):
    """Keeps the pieces, and why they ended."""

    def __init__(self) -> None:
        self.pieces: list[bytes] = []
        self.reason: Failure | None = None

    def dataReceived(self, data: bytes) -> None:
        self.pieces.append(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.reason = reason


class UnpackingTests(SynchronousTestCase):
    """What a reader is given of a packed answer."""

    def ask(self, encoding: str) -> tuple[Packed, Deferred]:
        packed = Packed(encoding)
        agent = UnpackingAgent(Giving(packed))
        verifyObject(IAgent, agent)
        return packed, agent.request(b"GET", b"http://m/")

    def read(self, encoding: str, data: bytes, step: int = 1 << 16) -> tuple[Reader, Packed]:
        packed, asked = self.ask(encoding)
        reader = Reader()
        self.successResultOf(asked).deliverBody(reader)
        assert packed.reader is not None
        for start in range(0, len(data), step):
            packed.reader.dataReceived(data[start : start + step])
        packed.reader.connectionLost(Failure(ResponseDone()))
        return reader, packed

    def test_pieces(self) -> None:
        """No piece is larger than the limit, however much a packed chunk holds, and nothing is lost."""
        content = bytes(20 << 20)
        reader, _ = self.read("gzip", gzip.compress(content))
        self.assertLessEqual(max(map(len, reader.pieces)), PIECE)
        self.assertEqual(b"".join(reader.pieces), content)
        assert reader.reason is not None
        self.assertIsInstance(reader.reason.value, ResponseDone)

    def test_byte_by_byte(self) -> None:
        """The answer is the same however the network cuts it."""
        content = b"some words, and more words" * 50
        reader, _ = self.read("x-gzip", gzip.compress(content), step=1)
        self.assertEqual(b"".join(reader.pieces), content)

    def test_plain(self) -> None:
        """What is not packed, or in a way that was not asked for, is left as it is."""
        for encoding in ("", "identity", "br"):
            reader, packed = self.read(encoding, b"plain")
            self.assertEqual(reader.pieces, [b"plain"], encoding)
            self.assertEqual(packed.headers.hasHeader("Content-Encoding"), bool(encoding))

    def test_unpacked_once(self) -> None:
        """The answer is not unpacked again, and its length is not the packed one."""
        _, asked = self.ask("GZIP")
        response = self.successResultOf(asked)
        self.assertFalse(response.headers.hasHeader("Content-Encoding"))
        self.assertEqual(response.length, UNKNOWN_LENGTH)

    def test_more_than_once(self) -> None:
        """What was packed more than once is refused unread, and its connection closed."""
        for encoding in ("gzip, gzip", "gzip,identity", "br, x-gzip"):
            packed, asked = self.ask(encoding)
            self.failureResultOf(asked, UnpackError)
            self.assertTrue(packed.transport.disconnecting, encoding)

    def test_no_gzip(self) -> None:
        """What is no gzip ends the reading with that as its reason."""
        reader, packed = self.read("gzip", b"{}" * 100, step=50)
        self.assertEqual(reader.pieces, [])
        self.assertTrue(packed.transport.disconnecting)
        assert reader.reason is not None
        self.assertIsInstance(reader.reason.value, UnpackError)
