"""
Unpacking compressed answers piece by piece, so that a few packed bytes cannot fill the memory.

treq unpacks each chunk of an answer as a whole, and once for each ``gzip`` that ``Content-Encoding`` names: 64 kB that
were packed three times are 64 GB at once. So the agent under treq unpacks first, in pieces that the reader of the body
counts, and refuses what was packed more than once.
"""

from __future__ import annotations

import zlib

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IProtocol
from twisted.internet.protocol import connectionDone
from twisted.python.components import proxyForInterface
from twisted.python.failure import Failure
from twisted.web.http_headers import Headers
from twisted.web.iweb import UNKNOWN_LENGTH, IAgent, IBodyProducer, IResponse
from zope.interface import implementer

PIECE = 64 * 1024
"""Maximum number of unpacked bytes that the reader of a body is given at once."""

_PACKED = frozenset({b"gzip", b"x-gzip"})


class UnpackError(Exception):
    """An answer is compressed in a way that is not accepted, or is not what its ``Content-Encoding`` says."""


@implementer(IAgent)
class UnpackingAgent:
    """
    Unpack the answers of another agent that are packed by gzip.

    A request fails with `UnpackError` if the answer is packed more than once. The reader of a body that is no gzip
    loses its connection for that reason.
    """

    def __init__(self, agent: IAgent) -> None:
        self._agent = agent

    def request(
        self,
        method: bytes,
        uri: bytes,
        headers: Headers | None = None,
        bodyProducer: IBodyProducer | None = None,
    ) -> Deferred[IResponse]:
        """See `IAgent.request`."""
        asked: Deferred[IResponse] = self._agent.request(method, uri, headers, bodyProducer)
        return asked.addCallback(_unpacked)


def _unpacked(response: IResponse) -> IResponse:
    listed = b",".join(response.headers.getRawHeaders(b"Content-Encoding", []))
    encodings = [name for name in (part.strip().lower() for part in listed.split(b",")) if name]
    packed = [name for name in encodings if name in _PACKED]
    if not packed:
        return response
    if len(encodings) > 1:
        response.deliverBody(_Refusing())
        shown = listed.decode("ascii", "replace")[:60]
        raise UnpackError(f"the answer is compressed more than once (Content-Encoding: {shown})")
    response.headers.removeHeader(b"Content-Encoding")
    return _Unpacked(response)


class _Refusing(proxyForInterface(IProtocol)):  # type: ignore[misc]
    """Closes the connection of an answer that is not read."""

    def __init__(self) -> None:
        pass

    def makeConnection(self, transport: object) -> None:
        """Close it at once."""
        transport.loseConnection()  # type: ignore[attr-defined]

    def dataReceived(self, data: bytes) -> None:
        """Read nothing."""

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Do nothing."""


class _Unpacked(proxyForInterface(IResponse)):  # type: ignore[misc]
    """A response whose body is unpacked on its way."""

    def __init__(self, response: IResponse) -> None:
        super().__init__(response)
        self.length = UNKNOWN_LENGTH

    def deliverBody(self, protocol: IProtocol) -> None:
        """See `IResponse.deliverBody`."""
        self.original.deliverBody(_Unpacker(protocol))


class _Unpacker(proxyForInterface(IProtocol)):  # type: ignore[misc]
    """Hand on unpacked bytes in pieces of `PIECE` at most."""

    def __init__(self, protocol: IProtocol) -> None:
        super().__init__(protocol)
        self._stream = zlib.decompressobj(16 + zlib.MAX_WBITS)
        self._transport: object = None
        self._wrong: Failure | None = None

    def makeConnection(self, transport: object) -> None:
        """See `IProtocol.makeConnection`."""
        self._transport = transport
        self.original.makeConnection(transport)

    def dataReceived(self, data: bytes) -> None:
        """See `IProtocol.dataReceived`."""
        while data and self._wrong is None:
            try:
                piece = self._stream.decompress(data, PIECE)
            except zlib.error:
                self._wrong = Failure(UnpackError("it is no gzip, though its Content-Encoding says so"))
                self._transport.loseConnection()  # type: ignore[attr-defined]
                return
            data = self._stream.unconsumed_tail
            if piece:
                self.original.dataReceived(piece)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """See `IProtocol.connectionLost`."""
        self.original.connectionLost(self._wrong or reason)
