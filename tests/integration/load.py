"""
Clients that ask without a pause and forgive nothing: ``python -m tests.integration.load PLAN``.

The plan is JSON, see `Plan`. They ask until standard input ends, finish what they have begun, and tell in JSON on
standard output what they asked and what had no good answer, see `Report`. A client uses a connection again only where
it was not told or shown before that the connection ends, and sends nothing twice: whatever is lost counts, also where
a browser would have asked again and nobody would have noticed.
"""

from __future__ import annotations

import asyncio
import os
import ssl
import sys
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from time import time
from typing import Any

import msgspec

from tests.integration.http2 import Connection, MovedOn, NotAnswered, Refused

LIMIT = 20.0
"""Seconds that one exchange may take, however long the load balancer tries again."""

STREAMS = 3
"""Requests at once on a connection of HTTP/2."""


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """
    What is asked.

    :param address: of everything that is asked.
    :param http: the port of the http frontend; `https` likewise, `tcp` that of an echo.
    :param hosts: the virtual hosts that are asked in turn.
    :param clients: how many of each kind, by the names of `KINDS`.
    :param pause: seconds between two exchanges of a client.
    :param pieces: tenths of a second that a download takes.
    """

    address: str = "127.0.0.1"
    http: int
    https: int = 0
    tcp: int = 0
    hosts: tuple[str, ...]
    clients: dict[str, int]
    pause: float = 0.005
    pieces: int = 20


class Lost(msgspec.Struct, frozen=True):
    """One exchange that had no good answer: when it began (seconds since the epoch), how long it took, and why."""

    kind: str
    began: float
    seconds: float
    why: str


class Report(msgspec.Struct):
    """
    What came of it.

    :param asked: exchanges, by kind.
    :param slowest: the longest time that a good answer took, in seconds, by kind.
    :param connections: those that were opened, by kind.
    """

    asked: dict[str, int]
    slowest: dict[str, float]
    connections: dict[str, int]
    lost: list[Lost]


class Client:
    """
    One client of a kind; `once` is one exchange.

    :param number: of the client, among all.
    :param opened: is called for each connection.
    :cvar rest: seconds between two exchanges, beyond the plan's.
    """

    rest = 0.0

    def __init__(self, plan: Plan, number: int, opened: Callable[[], object]) -> None:
        self.plan = plan
        self.number = number
        self.count = 0
        self.opened = opened
        self.reader: asyncio.StreamReader
        self.writer: asyncio.StreamWriter | None = None

    @property
    def host(self) -> str:
        """The virtual host whose turn it is."""
        return self.plan.hosts[(self.number + self.count) % len(self.plan.hosts)]

    async def once(self) -> int:
        """One exchange, or as many as are returned. Raises `NotAnswered`, `OSError`, `asyncio.IncompleteReadError`."""
        raise NotImplementedError

    async def connect(self, port: int) -> asyncio.StreamWriter:
        """A connection that is there and not closed by the other side as far as this side knows."""
        if self.writer is not None and (self.reader.at_eof() or self.reader.exception()):
            await self.close()
        if self.writer is None:
            self.opened()
            self.reader, self.writer = await asyncio.open_connection(self.plan.address, port)
        return self.writer

    async def close(self) -> None:
        """End the connection."""
        if self.writer is not None:
            writer, self.writer = self.writer, None
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()


class Http(Client):
    """HTTP/1.1; `keep` uses the connection again, and sends back the cookie that it was given."""

    keep = False
    method = "GET"

    def __init__(self, plan: Plan, number: int, opened: Callable[[], object]) -> None:
        super().__init__(plan, number, opened)
        self.cookies: dict[str, str] = {}

    async def once(self) -> int:
        """One request."""
        await self.ask(self.host)
        return 1

    async def ask(self, host: str, path: str = "/") -> bytes:
        """The body of an answer."""
        writer = await self.connect(self.plan.http)
        body = f"{os.getpid()}-{self.number}-{self.count}" if self.method != "GET" else ""
        more = "" if self.keep else "Connection: close\r\n"
        if host in self.cookies:
            more += f"Cookie: {self.cookies[host]}\r\n"
        head = f"{self.method} {path} HTTP/1.1\r\nHost: {host}\r\nContent-Length: {len(body)}\r\n{more}\r\n"
        writer.write((head + body).encode())
        status, fields = await self.read_head()
        if status != 200:
            raise NotAnswered(f"status {status}")
        answer = await self.reader.readexactly(int(fields["content-length"]))
        if self.keep and "set-cookie" in fields:
            self.cookies[host] = fields["set-cookie"].partition(";")[0]
        if not self.keep or fields.get("connection") == "close":
            await self.close()
        return answer

    async def read_head(self) -> tuple[int, dict[str, str]]:
        """The status and the fields of an answer."""
        lines = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        pairs = (line.partition(":") for line in lines[1:] if line)
        return int(lines[0].split()[1]), {name.lower(): value.strip() for name, _, value in pairs}


class KeepAlive(Http):
    """GET after GET on a connection."""

    keep = True


class Idle(KeepAlive):
    """GET after GET on a connection that is idle for most of the time."""

    rest = 0.7


class Post(Http):
    """POST, each on a connection of its own."""

    method = "POST"


class PostKeepAlive(Post):
    """POST after POST on a connection."""

    keep = True


class Slow(KeepAlive):
    """GET whose answer takes a while."""

    async def once(self) -> int:
        """One request."""
        await self.ask(self.host, "/slow?0.2")
        return 1


class SlowPut(Slow):
    """PUT in the same way."""

    method = "PUT"


class SlowPost(Slow):
    """POST in the same way."""

    method = "POST"


class Download(Http):
    """A long answer, whole and in order."""

    async def once(self) -> int:
        """One download."""
        whole(await self.ask(self.host, f"/download?{self.plan.pieces}"), self.plan.pieces)
        return 1


def whole(body: bytes, pieces: int) -> None:
    """Raise `NotAnswered` where a download is not what was sent."""
    if body != b"".join(bytes([number % 256]) * 10_000 for number in range(pieces)):
        raise NotAnswered("a download is not what was sent")


class WebSocket(Http):
    """A WebSocket that stays open; an exchange is a message that comes back."""

    async def once(self) -> int:
        """One message."""
        if self.writer is None:
            await self._open()
        assert self.writer is not None
        said = f"{self.count:06d}".encode()
        self.writer.write(bytes([0x81, 0x80 | len(said), 0, 0, 0, 0]) + said)
        heard = await self.reader.readexactly(2 + len(said))
        if heard[2:] != said:
            raise NotAnswered(f"{said!r} came back as {heard!r}")
        return 1

    async def _open(self) -> None:
        writer = await self.connect(self.plan.http)
        head = f"GET /socket HTTP/1.1\r\nHost: {self.host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        writer.write(
            f"{head}Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n\r\n".encode()
        )
        status, _ = await self.read_head()
        if status != 101:
            raise NotAnswered(f"status {status} for a WebSocket")


class Tcp(Client):
    """A line to an echo, each on a connection of its own."""

    keep = False

    async def once(self) -> int:
        """One line."""
        writer = await self.connect(self.plan.tcp)
        said = f"{self.number} {self.count}\n".encode()
        writer.write(said)
        if await self.reader.readexactly(len(said)) != said:
            raise NotAnswered("the echo is another one")
        if not self.keep:
            await self.close()
        return 1


class TcpLong(Tcp):
    """Line after line to an echo."""

    keep = True


class Http2(Client):
    """Some requests at once on a connection that stays, in the clear."""

    method = "GET"

    def __init__(self, plan: Plan, number: int, opened: Callable[[], object]) -> None:
        super().__init__(plan, number, opened)
        self._connections: list[Connection] = []
        self._opening = asyncio.Lock()

    async def once(self) -> int:
        """Some requests."""
        answers = await asyncio.gather(*(self._one(str(n)) for n in range(STREAMS)), return_exceptions=True)
        for answer in answers:
            if isinstance(answer, BaseException):
                raise answer
        for old in self._connections[:-1]:
            await old.close()
        del self._connections[:-1]
        return STREAMS

    async def _one(self, number: str) -> None:
        body = f"{os.getpid()}-{self.number}-{self.count}-{number}" if self.method == "POST" else ""
        while True:
            connection = await self._usable()
            try:
                await connection.ask(self.method, self.host, "/", body.encode())
            except MovedOn as moved:
                if self.method == "POST" and isinstance(moved, Refused):  # it may have been carried out
                    raise NotAnswered("it was refused") from None
            else:
                return

    async def _usable(self) -> Connection:
        async with self._opening:
            if not self._connections or not self._connections[-1].usable:
                self.opened()
                self._connections.append(await self.open())
            return self._connections[-1]

    async def open(self) -> Connection:
        """A new connection."""
        return await Connection.open(self.plan.address, self.plan.http)

    async def close(self) -> None:
        """End the connection."""
        while self._connections:
            await self._connections.pop().close()


class Http2Post(Http2):
    """POST in the same way."""

    method = "POST"


class Http2Idle(Http2):
    """Some requests now and then."""

    rest = 0.7


class Http2Download(Http2):
    """Long answers side by side, whole and in order."""

    async def _one(self, number: str) -> None:
        while True:
            connection = await self._usable()
            with suppress(MovedOn):
                whole(
                    await connection.ask("GET", self.host, f"/download?{self.plan.pieces}"), self.plan.pieces
                )
                return


class Http2Tls(Http2):
    """The same with TLS."""

    async def open(self) -> Connection:
        """A new connection."""
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.set_alpn_protocols(["h2"])
        return await Connection.open(self.plan.address, self.plan.https, context, self.plan.hosts[0])


KINDS: dict[str, type[Client]] = {
    "get": Http,
    "keep-alive": KeepAlive,
    "idle": Idle,
    "post": Post,
    "post-keep-alive": PostKeepAlive,
    "slow": Slow,
    "slow-put": SlowPut,
    "slow-post": SlowPost,
    "download": Download,
    "websocket": WebSocket,
    "tcp": Tcp,
    "tcp-long": TcpLong,
    "h2": Http2,
    "h2-post": Http2Post,
    "h2-idle": Http2Idle,
    "h2-download": Http2Download,
    "h2-tls": Http2Tls,
}


class Load:
    """All clients of a plan, and what came of what they asked."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._stop = asyncio.Event()
        self._asked: Counter[str] = Counter()
        self._slowest: dict[str, float] = {}
        self._connections: Counter[str] = Counter()
        self._lost: list[Lost] = []

    async def run(self, end: asyncio.Future[Any]) -> Report:
        """Ask until the end."""
        kinds = [kind for kind, count in self._plan.clients.items() for _ in range(count)]
        clients = [asyncio.create_task(self._client(kind, number)) for number, kind in enumerate(kinds)]
        await end
        self._stop.set()
        await asyncio.gather(*clients)
        return Report(dict(self._asked), self._slowest, dict(self._connections), self._lost)

    async def _client(self, kind: str, number: int) -> None:
        client = KINDS[kind](self._plan, number, lambda: self._connections.update([kind]))
        while not self._stop.is_set():
            await self._once(kind, client)
            client.count += 1
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stop.wait(), self._plan.pause + client.rest)
        await client.close()

    async def _once(self, kind: str, client: Client) -> None:
        loop = asyncio.get_running_loop()
        began, epoch = loop.time(), time()
        try:
            async with asyncio.timeout(LIMIT):
                done = await client.once()
        except (NotAnswered, OSError, asyncio.IncompleteReadError) as error:
            self._asked[kind] += 1
            self._lost.append(
                Lost(kind, epoch, round(loop.time() - began, 4), f"{type(error).__name__}: {error}")
            )
            await client.close()
        else:
            self._asked[kind] += done
            self._slowest[kind] = max(self._slowest.get(kind, 0.0), round(loop.time() - began, 4))


async def main(plan: Plan) -> Report:
    """Ask until standard input ends."""
    loop = asyncio.get_running_loop()
    end: asyncio.Future[bytes] = asyncio.ensure_future(loop.run_in_executor(None, sys.stdin.buffer.read))
    return await Load(plan).run(end)


if __name__ == "__main__":
    report = asyncio.run(main(msgspec.json.decode(sys.argv[1], type=Plan)))
    sys.stdout.buffer.write(msgspec.json.encode(report))
