"""
The tasks of all apps: a process that listens at every place of a `benchmarks.cluster.Shape` and says which it is.

It runs until its standard input ends, so it never outlives the one who started it.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any

from twisted.internet.protocol import Protocol, ServerFactory
from twisted.internet.stdio import StandardIO

from benchmarks.cluster import Shape


class Answer(Protocol):
    """Answers each request, whatever it is, with ``host:port`` of the place it came to."""

    def __init__(self, answer: bytes) -> None:
        self._answer = answer

    def dataReceived(self, data: bytes) -> None:
        """A request without a body, or several; one that comes in pieces ends with its last piece."""
        assert self.transport is not None
        self.transport.write(self._answer * data.count(b"\r\n\r\n"))


class Place(ServerFactory):
    """One place."""

    noisy = False

    def __init__(self, host: str, port: int) -> None:
        body = f"{host}:{port}"
        head = f"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {len(body)}\r\n\r\n"
        self._answer = (head + body).encode()

    def buildProtocol(self, address: object) -> Protocol:
        """A connection."""
        return Answer(self._answer)


class UntilInputEnds(Protocol):
    """Stops the reactor when whoever started us is gone."""

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor

    def connectionLost(self, reason: object = None) -> None:
        """Standard input has ended."""
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
    """``python -m benchmarks.responders NETWORK``."""
    from twisted.internet import reactor

    places = Shape(0, 0, network=sys.argv[1]).places
    serve(reactor, [(Place(host, port), host, port) for host, port in places])


if __name__ == "__main__":
    main()
