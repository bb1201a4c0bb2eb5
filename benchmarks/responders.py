"""
The tasks of all apps: a process that listens at every place of a `benchmarks.cluster.Shape`.

To each request it responds with the address of the place.

Most places are shared by tasks of many apps and stay open. A separate place of a task opens with
``/bench/begin?PLACE`` and closes with ``/bench/end?PLACE``, like a process: its port and its connections are closed.

It runs until its standard input ends, so it ends with the process that started it.
"""

from __future__ import annotations

import resource
import sys
from collections.abc import Callable, Iterable
from typing import Any

from twisted.internet.protocol import Protocol, ServerFactory
from twisted.internet.stdio import StandardIO

from benchmarks.cluster import Shape


class Responder(Protocol):
    """Responds to each request with ``host:port`` of its place."""

    def __init__(self, place: Place) -> None:
        self._place = place

    def connectionMade(self) -> None:
        """Add the connection to its place."""
        self._place.open.add(self)

    def connectionLost(self, reason: object = None) -> None:
        """Remove the connection from its place."""
        self._place.open.discard(self)

    def dataReceived(self, data: bytes) -> None:
        """Respond to each request that ends in the data; requests have no bodies."""
        assert self.transport is not None
        if data.startswith(b"GET /bench/"):
            self._place.command(data.split()[1].decode())
        self.transport.write(self._place.answer * data.count(b"\r\n\r\n"))

    def cut(self) -> None:
        """Close the connection: the task has ended."""
        assert self.transport is not None
        self.transport.abortConnection()  # type: ignore[attr-defined]


class Place(ServerFactory):
    """
    A place.

    :param command: handles a path below ``/bench``.
    """

    noisy = False

    def __init__(self, host: str, port: int, command: Callable[[str], None]) -> None:
        self.command = command
        self.open: set[Responder] = set()
        body = f"{host}:{port}"
        head = f"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {len(body)}\r\n\r\n"
        self.answer = (head + body).encode()

    def buildProtocol(self, address: object) -> Protocol:
        """Return a protocol for a connection."""
        return Responder(self)


class Places:
    """The open places of a shape."""

    def __init__(self, shape: Shape, reactor: Any) -> None:
        self._shape = shape
        self._reactor = reactor
        self._own: dict[int, tuple[Any, Place]] = {}

    def shared(self) -> list[tuple[Place, str, int]]:
        """Return the shared places, which stay open."""
        return [(Place(host, port, self.command), host, port) for host, port in self._shape.places]

    def command(self, path: str) -> None:
        """Handle ``/bench/begin?PLACE`` or ``/bench/end?PLACE``."""
        name, _, number = path.partition("?")
        if name == "/bench/begin":
            self.begin(int(number))
        elif name == "/bench/end":
            self.end(int(number))

    def begin(self, number: int) -> None:
        """Open the separate place of a task."""
        host, port = self._shape.place(number)
        place = Place(host, port, self.command)
        self._own[number] = self._reactor.listenTCP(port, place, backlog=1024, interface=host), place

    def end(self, number: int) -> None:
        """Close the separate place of a task."""
        listening, place = self._own.pop(number)
        listening.stopListening()
        for responder in tuple(place.open):
            responder.cut()


class UntilInputEnds(Protocol):
    """Stops the reactor when the process that started this one has ended."""

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor

    def connectionLost(self, reason: object = None) -> None:
        """Stop: standard input has ended."""
        if self._reactor.running:
            self._reactor.stop()


def serve(reactor: Any, factories: Iterable[tuple[Any, str, int]]) -> None:
    """
    Listen, write ``ready`` to standard output, and run until standard input ends.

    :param factories: each with its address and port.
    """
    for factory, host, port in factories:
        reactor.listenTCP(port, factory, backlog=1024, interface=host)
    StandardIO(UntilInputEnds(reactor))
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    reactor.run()


def main() -> None:
    """``python -m benchmarks.responders APPS TASKS NETWORK MORTAL``."""
    from twisted.internet import reactor

    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))  # each place takes a file descriptor
    apps, tasks, network, mortal = sys.argv[1:]
    shape = Shape(int(apps), int(tasks), network=network, mortal=int(mortal))
    places = Places(shape, reactor)
    for number in range(shape.own):
        places.begin(len(shape.places) + number)
    serve(reactor, places.shared())


if __name__ == "__main__":
    main()
