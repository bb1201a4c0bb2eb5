"""
A Marathon on a real socket that can violate the protocol.

It writes raw HTTP, so it can close connections, stop responding or send half a line. Each path has a `Script` that gets
the connection and the request and writes the response.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

from attrs import frozen
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import SSL4ServerEndpoint, TCP4ServerEndpoint
from twisted.internet.interfaces import IListeningPort, IProtocolFactory
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer


@frozen
class Request:
    """The head of a request; header names are in lower case."""

    method: str
    path: str
    query: dict[str, list[str]]
    headers: dict[str, list[str]]


class Connection(Protocol):
    """A connection with one request; the script closes it."""

    def __init__(self, server: HTTPMarathon) -> None:
        self._server = server
        self._head = b""
        self._asked = False

    def connectionMade(self) -> None:
        """Track the connection, to reset it at the end."""
        self._server.connections.append(self)

    def dataReceived(self, data: bytes) -> None:
        """Read the head of the request; bodies are ignored."""
        if self._asked:
            return
        self._head += data
        if b"\r\n\r\n" not in self._head:
            return
        self._asked = True
        lines = self._head.partition(b"\r\n\r\n")[0].decode("latin-1").split("\r\n")
        method, target, _ = lines[0].split(" ", 2)
        headers: dict[str, list[str]] = {}
        for line in lines[1:]:
            name, _, value = line.partition(":")
            headers.setdefault(name.strip().lower(), []).append(value.strip())
        parts = urlsplit(target)
        request = Request(method, parts.path, parse_qs(parts.query), headers)
        self._server.requests.append(request)
        self._server.script_for(request)(self, request)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Stop tracking the connection."""
        self._server.connections.remove(self)

    def write(self, data: bytes) -> None:
        """Send bytes as they are."""
        assert self.transport is not None
        self.transport.write(data)

    def close(self) -> None:
        """Close the connection."""
        assert self.transport is not None
        self.transport.loseConnection()

    def abort(self) -> None:
        """Reset the connection."""
        assert self.transport is not None
        self.transport.abortConnection()  # type: ignore[attr-defined]

    def head(self, status: int, *headers: str, length: int | None = None) -> None:
        """Send the head of a response; without a length the body ends with the connection."""
        lines = [f"HTTP/1.1 {status} Whatever", "Connection: close", *headers]
        if length is not None:
            lines.append(f"Content-Length: {length}")
        self.write("\r\n".join([*lines, "", ""]).encode())


Script = Callable[[Connection, Request], object]


def body(content: bytes, status: int = 200, *headers: str) -> Script:
    """Return a script that sends a complete response."""

    def script(connection: Connection, request: Request) -> None:
        connection.head(status, *headers, length=len(content))
        connection.write(content)
        connection.close()

    return script


def json_body(document: Any, status: int = 200, *headers: str) -> Script:
    """Return a script that sends a complete JSON response."""
    return body(json.dumps(document).encode(), status, "Content-Type: application/json", *headers)


def message(status: int, text: str) -> Script:
    """Return a script that sends an error in Marathon's format."""
    return json_body({"message": text}, status)


def html(status: int) -> Script:
    """Return a script that sends an HTML page, like Jetty or a proxy."""
    return body(b"<html><title>Error</title></html>", status, "Content-Type: text/html")


def zipped(document: Any) -> Script:
    """Return a script that sends a compressed response."""
    content = gzip.compress(json.dumps(document).encode())
    return body(content, 200, "Content-Type: application/json", "Content-Encoding: gzip")


def cut_off(content: bytes, length: int | None, *headers: str) -> Script:
    """Return a script that closes the connection before the response is complete."""

    def script(connection: Connection, request: Request) -> None:
        connection.head(200, "Content-Type: application/json", *headers, length=length)
        connection.write(content)
        connection.close()

    return script


def redirect(status: int, location: str, *headers: str) -> Script:
    """Return a script that redirects; ``{query}`` stands for the query of the request."""

    def script(connection: Connection, request: Request) -> None:
        query = "&".join(f"{name}={value}" for name, values in request.query.items() for value in values)
        connection.head(status, f"Location: {location.format(query=query)}", *headers, length=0)
        connection.close()

    return script


def silence(connection: Connection, request: Request) -> None:
    """Never respond."""


def hang_up(connection: Connection, request: Request) -> None:
    """Reset the connection without a response."""
    connection.abort()


def stream(*chunks: bytes, end: bool = False) -> Script:
    """Return a script that sends an event stream; it stays open unless ``end`` is set."""

    def script(connection: Connection, request: Request) -> None:
        connection.head(200, "Content-Type: text/event-stream;charset=UTF-8")
        for chunk in chunks:
            connection.write(chunk)
        if end:
            connection.close()

    return script


@implementer(IProtocolFactory)
class HTTPMarathon(Factory):
    """
    A server on an ephemeral port of the loopback.

    :ivar scripts: the scripts by path; other paths are unknown pages.
    :ivar requests: all requests, in order.
    """

    noisy = False

    def __init__(self) -> None:
        self.scripts: dict[str, Script] = {}
        self.requests: list[Request] = []
        self.connections: list[Connection] = []
        self.unknown: Script = message(404, "URI not found")
        self._port: IListeningPort | None = None

    def buildProtocol(self, addr: object) -> Connection:
        """Return the protocol of a connection."""
        return Connection(self)

    def script_for(self, request: Request) -> Script:
        """Return the script for a request."""
        return self.scripts.get(request.path, self.unknown)

    async def start(self, reactor: Any, context: Any = None, port: int = 0) -> None:
        """Listen on a free port or on this one, with TLS if a context factory is given."""
        if context is None:
            endpoint: Any = TCP4ServerEndpoint(reactor, port, interface="127.0.0.1")
        else:
            endpoint = SSL4ServerEndpoint(reactor, 0, context, interface="127.0.0.1")
        self._port = await endpoint.listen(self)

    @property
    def port(self) -> int:
        """The port."""
        assert self._port is not None
        return int(self._port.getHost().port)

    @property
    def url(self) -> str:
        """The base URL, without TLS."""
        return f"http://127.0.0.1:{self.port}"

    async def stop(self) -> None:
        """Stop listening, and reset the connections that are open."""
        if self._port is not None:
            port, self._port = self._port, None
            await (port.stopListening() or Deferred.fromCoroutine(_nothing()))
        for connection in list(self.connections):
            connection.abort()

    def paths(self) -> list[str]:
        """Return the paths of all requests."""
        return [request.path for request in self.requests]


async def _nothing() -> None:
    """There was nothing to wait for."""
