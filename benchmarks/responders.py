"""
The tasks of all apps: a process that listens at every place of a `benchmarks.cluster.Shape` and says which it is.

Most places are shared by tasks of many apps and stay. A place of a task's own comes with ``/bench/begin?PLACE`` and
goes with ``/bench/end?PLACE``, as a process does: nobody listens there any more, and its connections are cut.

It runs until its standard input ends, so it never outlives the one who started it.
"""

from __future__ import annotations

import resource
import sys
from collections.abc import Callable, Iterable
from typing import Any

from twisted.internet.protocol import Protocol, ServerFactory
from twisted.internet.stdio import StandardIO

from benchmarks.cluster import Shape


class Answer(Protocol):
    """Answers each request, whatever it is, with ``host:port`` of the place it came to."""

    def __init__(self, place: Place) -> None:
        self._place = place

    def connectionMade(self) -> None:
        """One more connection of this place."""
        self._place.open.add(self)

    def connectionLost(self, reason: object = None) -> None:
        """One less."""
        self._place.open.discard(self)

    def dataReceived(self, data: bytes) -> None:
        """Answer a request without a body, or several; one that comes in pieces ends with its last piece."""
        assert self.transport is not None
        if data.startswith(b"GET /bench/"):
            self._place.told(data.split()[1].decode())
        self.transport.write(self._place.answer * data.count(b"\r\n\r\n"))

    def cut(self) -> None:
        """Close the connection: the task has ended."""
        assert self.transport is not None
        self.transport.abortConnection()  # type: ignore[attr-defined]


class Place(ServerFactory):
    """
    One place.

    :param told: what is done with a path of ``/bench``.
    """

    noisy = False

    def __init__(self, host: str, port: int, told: Callable[[str], None]) -> None:
        self.told = told
        self.open: set[Answer] = set()
        body = f"{host}:{port}"
        head = f"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {len(body)}\r\n\r\n"
        self.answer = (head + body).encode()

    def buildProtocol(self, address: object) -> Protocol:
        """Return a protocol for a connection."""
        return Answer(self)


class Places:
    """All places of a shape that are there."""

    def __init__(self, shape: Shape, reactor: Any) -> None:
        self._shape = shape
        self._reactor = reactor
        self._own: dict[int, tuple[Any, Place]] = {}

    def shared(self) -> list[tuple[Place, str, int]]:
        """Those that stay."""
        return [(Place(host, port, self.told), host, port) for host, port in self._shape.places]

    def told(self, path: str) -> None:
        """``/bench/begin?PLACE`` or ``/bench/end?PLACE``."""
        what, _, number = path.partition("?")
        if what == "/bench/begin":
            self.begin(int(number))
        elif what == "/bench/end":
            self.end(int(number))

    def begin(self, number: int) -> None:
        """Listen at a place of a task's own."""
        host, port = self._shape.place(number)
        place = Place(host, port, self.told)
        self._own[number] = self._reactor.listenTCP(port, place, backlog=1024, interface=host), place

    def end(self, number: int) -> None:
        """Be gone from it."""
        listening, place = self._own.pop(number)
        listening.stopListening()
        for answer in tuple(place.open):
            answer.cut()


class UntilInputEnds(Protocol):
    """Stops the reactor when whoever started us is gone."""

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor

    def connectionLost(self, reason: object = None) -> None:
        """Stop: standard input has ended."""
        if self._reactor.running:
            self._reactor.stop()


def serve(reactor: Any, factories: Iterable[tuple[Any, str, int]]) -> None:
    """
    Listen, say ``ready`` on standard output, and run until standard input ends.

    :param factories: each with its address and its port.
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
