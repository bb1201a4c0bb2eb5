"""
Clients that send requests without pause and report every failure: ``python -m tests.integration.load PLAN``.

The plan is JSON, see `Plan`. They send requests until standard input ends, complete the current ones, and write a
`Report` in JSON to standard output. A client reuses a connection only if the server has not announced or shown its end,
and sends nothing twice: every lost request counts, also where a browser would have retried it unnoticed.
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
"""Maximum number of seconds of one exchange, including the load balancer's retries."""

STREAMS = 3
"""Number of concurrent requests on an HTTP/2 connection."""


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """
    The load to generate.

    :param address: the address of all ports.
    :param http: the port of the HTTP frontend; `https` likewise, `tcp` that of an echo server.
    :param hosts: the virtual hosts, which are requested in turn.
    :param clients: the number of clients by kind, see `KINDS`.
    :param pause: seconds between two exchanges of a client.
    :param pieces: duration of a download, in tenths of a second.
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
    """A failed exchange: its start (seconds since the epoch), its duration in seconds, and the reason."""

    kind: str
    began: float
    seconds: float
    why: str


class Report(msgspec.Struct):
    """
    The results.

    :param asked: number of exchanges by kind.
    :param slowest: duration of the slowest successful exchange in seconds, by kind.
    :param connections: number of opened connections by kind.
    """

    asked: dict[str, int]
    slowest: dict[str, float]
    connections: dict[str, int]
    lost: list[Lost]


class Client:
    """
    One client; `once` runs one exchange.

    :param number: number of the client among all.
    :param opened: called for each new connection.
    :cvar rest: seconds between two exchanges, in addition to the plan's.
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
        """The virtual host of the current exchange."""
        return self.plan.hosts[(self.number + self.count) % len(self.plan.hosts)]

    async def once(self) -> int:
        """Run exchanges; return their number. Raise `NotAnswered`, `OSError` or `asyncio.IncompleteReadError`."""
        raise NotImplementedError

    async def connect(self, port: int) -> asyncio.StreamWriter:
        """Return an open connection: the current one if the server has not closed it, otherwise a new one."""
        if self.writer is not None and (self.reader.at_eof() or self.reader.exception()):
            await self.close()
        if self.writer is None:
            self.opened()
            self.reader, self.writer = await asyncio.open_connection(self.plan.address, port)
        return self.writer

    async def close(self) -> None:
        """Close the connection."""
        if self.writer is not None:
            writer, self.writer = self.writer, None
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()


class Http(Client):
    """HTTP/1.1 requests; with `keep` on one connection and with the received cookie."""

    keep = False
    method = "GET"

    def __init__(self, plan: Plan, number: int, opened: Callable[[], object]) -> None:
        super().__init__(plan, number, opened)
        self.cookies: dict[str, str] = {}

    async def once(self) -> int:
        """Send one request."""
        await self.ask(self.host)
        return 1

    async def ask(self, host: str, path: str = "/") -> bytes:
        """Send a request; return the response's body."""
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
        """Return the status and the header fields of a response."""
        lines = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        pairs = (line.partition(":") for line in lines[1:] if line)
        return int(lines[0].split()[1]), {name.lower(): value.strip() for name, _, value in pairs}


class KeepAlive(Http):
    """GET requests on one connection."""

    keep = True


class Idle(KeepAlive):
    """GET requests on one connection that is mostly idle."""

    rest = 0.7


class Post(Http):
    """POST requests, each on a new connection."""

    method = "POST"


class PostKeepAlive(Post):
    """POST requests on one connection."""

    keep = True


class Slow(KeepAlive):
    """GET requests with slow responses."""

    async def once(self) -> int:
        """Send one request."""
        await self.ask(self.host, "/slow?0.2")
        return 1


class SlowPut(Slow):
    """PUT requests with slow responses."""

    method = "PUT"


class SlowPost(Slow):
    """POST requests in the same way."""

    method = "POST"


class Download(Http):
    """A long download, which must be complete and in order."""

    async def once(self) -> int:
        """Download once."""
        whole(await self.ask(self.host, f"/download?{self.plan.pieces}"), self.plan.pieces)
        return 1


def whole(body: bytes, pieces: int) -> None:
    """Raise `NotAnswered` if a download differs from the sent data."""
    if body != b"".join(bytes([number % 256]) * 10_000 for number in range(pieces)):
        raise NotAnswered("a download differs from the sent data")


class WebSocket(Http):
    """An open WebSocket; an exchange is an echoed message."""

    async def once(self) -> int:
        """Send one message, and read its echo."""
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
    """Lines to an echo server, each on a new connection."""

    keep = False

    async def once(self) -> int:
        """Send one line, and read its echo."""
        writer = await self.connect(self.plan.tcp)
        said = f"{self.number} {self.count}\n".encode()
        writer.write(said)
        if await self.reader.readexactly(len(said)) != said:
            raise NotAnswered("the echo differs from the sent line")
        if not self.keep:
            await self.close()
        return 1


class TcpLong(Tcp):
    """Lines to an echo server on one connection."""

    keep = True


class Http2(Client):
    """Concurrent requests on one HTTP/2 connection in clear text."""

    method = "GET"

    def __init__(self, plan: Plan, number: int, opened: Callable[[], object]) -> None:
        super().__init__(plan, number, opened)
        self._connections: list[Connection] = []
        self._opening = asyncio.Lock()

    async def once(self) -> int:
        """Send concurrent requests."""
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
        """Open a connection."""
        return await Connection.open(self.plan.address, self.plan.http)

    async def close(self) -> None:
        """Close the connection."""
        while self._connections:
            await self._connections.pop().close()


class Http2Post(Http2):
    """POST requests in the same way."""

    method = "POST"


class Http2Idle(Http2):
    """Concurrent requests with long pauses."""

    rest = 0.7


class Http2Download(Http2):
    """Concurrent long downloads, which must be complete and in order."""

    async def _one(self, number: str) -> None:
        while True:
            connection = await self._usable()
            with suppress(MovedOn):
                whole(
                    await connection.ask("GET", self.host, f"/download?{self.plan.pieces}"), self.plan.pieces
                )
                return


class Http2Tls(Http2):
    """Concurrent requests on one HTTP/2 connection with TLS."""

    async def open(self) -> Connection:
        """Open a connection."""
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
    """The clients of a plan, and the results of their exchanges."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._stop = asyncio.Event()
        self._asked: Counter[str] = Counter()
        self._slowest: dict[str, float] = {}
        self._connections: Counter[str] = Counter()
        self._lost: list[Lost] = []

    async def run(self, end: asyncio.Future[Any]) -> Report:
        """Run the clients until `end`."""
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
    """Run the clients until standard input ends."""
    loop = asyncio.get_running_loop()
    end: asyncio.Future[bytes] = asyncio.ensure_future(loop.run_in_executor(None, sys.stdin.buffer.read))
    return await Load(plan).run(end)


if __name__ == "__main__":
    report = asyncio.run(main(msgspec.json.decode(sys.argv[1], type=Plan)))
    sys.stdout.buffer.write(msgspec.json.encode(report))
