"""
A minimal HTTP/2 client for testing a load balancer: concurrent requests, and GOAWAY.

No library is used: the usual one treats GOAWAY as the end of the connection, while earlier requests still get responses
(RFC 9113, 6.8).
"""

from __future__ import annotations

import asyncio
import ssl
import struct
from collections.abc import Mapping

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = 0, 1, 3, 4, 6, 7, 8, 9
END_STREAM, ACK, END_HEADERS = 1, 1, 4
LARGEST = 2**31 - 1
STATUS_200 = 0x88
"""The first byte of the headers of a response with status 200: an entry of the static table (RFC 7541, appendix A)."""


class NotAnswered(Exception):
    """A request got no response, or a status other than 200; the message has the details."""


class MovedOn(Exception):
    """The server did not process a request; it may be sent again on another connection."""


class Refused(MovedOn):
    """
    The server rejected a single request with ``REFUSED_STREAM``.

    HAProxy 2.6 does so, wrongly, if a task ends while it processes the request; later versions respond with 502.
    """


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    """Return a frame."""
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def headers(fields: Mapping[str, str]) -> bytes:
    """Return a header block of literal, never indexed fields without Huffman coding."""
    packed = b""
    for name, value in fields.items():
        texts = name.encode(), value.encode()
        if max(map(len, texts)) > 126:
            raise ValueError(f"{name} is too long for an encoder this small")
        packed += b"\x10" + b"".join(bytes([len(text)]) + text for text in texts)
    return packed


class Connection:
    """
    One connection; `ask` may be called concurrently.

    :ivar usable: True if new requests may be sent on it.
    """

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.usable = True
        self._reader = reader
        self._writer = writer
        self._next = 1
        self._answers: dict[int, asyncio.Future[bytes]] = {}
        self._bodies: dict[int, bytearray] = {}
        settings = struct.pack(">HIHI", 2, 0, 4, LARGEST)  # no push; windows as wide as can be
        window = struct.pack(">I", LARGEST - 65535)
        writer.write(PREFACE + frame(SETTINGS, 0, 0, settings) + frame(WINDOW_UPDATE, 0, 0, window))
        self._reading = asyncio.create_task(self._read())

    @classmethod
    async def open(
        cls, address: str, port: int, tls: ssl.SSLContext | None = None, host: str = ""
    ) -> Connection:
        """Connect with TLS, which must negotiate h2, or in clear text with prior knowledge."""
        named = {"ssl": tls, "server_hostname": host} if tls else {}
        reader, writer = await asyncio.open_connection(address, port, **named)  # type: ignore[arg-type]
        spoken = writer.get_extra_info("ssl_object")
        if spoken is not None and spoken.selected_alpn_protocol() != "h2":
            writer.close()
            raise NotAnswered(f"{spoken.selected_alpn_protocol()} was chosen and not h2")
        return cls(reader, writer)

    async def ask(self, method: str, host: str, path: str, body: bytes = b"") -> bytes:
        """
        Send one request; return the response's body.

        Raise `NotAnswered`, or `MovedOn` if any request, whatever its method, may be sent again elsewhere.
        """
        stream, self._next = self._next, self._next + 2
        self._answers[stream] = asyncio.get_running_loop().create_future()
        self._bodies[stream] = bytearray()
        block = headers(
            {
                ":method": method,
                ":scheme": "http",
                ":authority": host,
                ":path": path,
                "content-length": str(len(body)),
            }
        )
        asked = frame(HEADERS, END_HEADERS | (0 if body else END_STREAM), stream, block)
        self._writer.write(asked + (frame(DATA, END_STREAM, stream, body) if body else b""))
        try:
            return await self._answers[stream]
        finally:
            del self._answers[stream], self._bodies[stream]

    async def close(self) -> None:
        """Close the connection."""
        self.usable = False
        self._reading.cancel()
        self._writer.close()
        await asyncio.gather(self._reading, return_exceptions=True)

    async def _read(self) -> None:
        try:
            while True:
                start = await self._reader.readexactly(9)
                length = int.from_bytes(start[:3], "big")
                payload = await self._reader.readexactly(length)
                self._heard(start[3], start[4], int.from_bytes(start[5:], "big") & LARGEST, payload)
        except (OSError, asyncio.IncompleteReadError) as error:
            self._over(f"the connection ended: {type(error).__name__}")
        finally:
            self.usable = False

    def _heard(self, kind: int, flags: int, stream: int, payload: bytes) -> None:
        if kind == SETTINGS and not flags & ACK:
            self._writer.write(frame(SETTINGS, ACK, 0))
        elif kind == PING and not flags & ACK:
            self._writer.write(frame(PING, ACK, 0, payload))
        elif kind == GOAWAY:
            self._go_away(int.from_bytes(payload[:4], "big") & LARGEST, payload[4:8])
        elif stream in self._answers:
            self._answered(kind, flags, stream, payload)

    def _answered(self, kind: int, flags: int, stream: int, payload: bytes) -> None:
        if kind == RST_STREAM:
            refused = payload == struct.pack(">I", 7)  # REFUSED_STREAM
            self._fail(
                stream, Refused() if refused else NotAnswered(f"the stream was reset: {payload.hex()}")
            )
            return
        if kind == DATA:
            self._bodies[stream] += payload
        elif kind == HEADERS and payload[:1] != bytes([STATUS_200]):
            self._fail(stream, NotAnswered(f"another status than 200: {payload[:8]!r}"))
            return
        answer = self._answers[stream]
        if flags & END_STREAM and kind in (DATA, HEADERS) and not answer.done():
            answer.set_result(bytes(self._bodies[stream]))

    def _go_away(self, last: int, code: bytes) -> None:
        """Handle GOAWAY: requests after `last` were not processed; earlier ones still get responses."""
        self.usable = False
        for stream in tuple(self._answers):
            if stream > last:
                self._fail(stream, MovedOn())
        if code != bytes(4):
            self._over(f"GOAWAY with the error {code.hex()}")

    def _fail(self, stream: int, error: Exception) -> None:
        if not self._answers[stream].done():
            self._answers[stream].set_exception(error)

    def _over(self, why: str) -> None:
        for stream in tuple(self._answers):
            self._fail(stream, NotAnswered(why))
