"""
Bounds what clients can hold of the controller: connections, and the time that a request may take to arrive.

A listener never takes more than its share of the descriptors that a process may have, so that Marathon, HAProxy and
files always find some. If its share is used up, a new connection replaces one that waits for its client: the oldest of
the address that has most of them. So a client that opens thousands loses its own.
"""

from __future__ import annotations

import resource
from collections import Counter
from typing import TYPE_CHECKING, Any

from attrs import frozen
from twisted.internet.interfaces import IDelayedCall
from twisted.python.failure import Failure
from twisted.web.http import HTTPChannel, Request

if TYPE_CHECKING:
    from twisted.internet.interfaces import IReactorTime

LARGEST = 1000
"""Maximum number of connections of a listener, however many descriptors there are."""

SHARE = 4
"""A listener may use the descriptors of the process divided by this number."""


def fair_share() -> int:
    """Return the number of connections that a listener may have, by the descriptors that this process may open."""
    descriptors, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return LARGEST if descriptors == resource.RLIM_INFINITY else max(8, min(LARGEST, descriptors // SHARE))


@frozen(kw_only=True)
class Times:
    """
    Seconds that a client is given.

    :param headers: for the headers of its first request.
    :param body: for the whole body of a request.
    :param idle: between two requests on one connection, the headers of the second one included.
    :param farewell: to read an answer that was given before its body came.
    """

    headers: float = 10.0
    body: float = 60.0
    idle: float = 60.0
    farewell: float = 2.0


class Connections:
    """
    The connections of one listener.

    :param most: maximum number of them.
    """

    def __init__(self, most: int, times: Times | None = None) -> None:
        self.most = most
        self.times = times or Times()
        self._open: dict[BoundedChannel, None] = {}

    def __len__(self) -> int:
        return len(self._open)

    def opened(self, channel: BoundedChannel) -> None:
        """Count a connection in; if there are too many, end one that waits for its client."""
        self._open[channel] = None
        if len(self._open) > self.most:
            self._victim().cut()

    def closed(self, channel: BoundedChannel) -> None:
        """Count a connection out."""
        self._open.pop(channel, None)

    def _victim(self) -> BoundedChannel:
        """Return the oldest waiting connection of the client that has most of them; the newest one if none waits."""
        waiting = [channel for channel in self._open if channel.waiting]
        clients = Counter(channel.client for channel in waiting)
        most = max(clients.values())
        return next(channel for channel in waiting if clients[channel.client] == most)


class BoundedChannel(HTTPChannel):
    """
    An HTTP connection whose requests have to arrive in time, however slowly their bytes come.

    :ivar waiting: true while something is still to come from the client, so that ending it loses no answer.
    :ivar refused: true if the answer was sent before the body; the rest of the request is discarded.
    """

    timeOut = None  # Twisted's own begins again with each byte
    site: Any

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.waiting = True
        self.refused = False
        self._deadline: IDelayedCall | None = None

    @property
    def client(self) -> str:
        """Return the client's address; empty if it has none."""
        return str(getattr(self.transport.getPeer(), "host", "")) if self.transport is not None else ""

    @property
    def _connections(self) -> Connections:
        connections: Connections = self.site.connections
        return connections

    def connectionMade(self) -> None:
        """Start the time limit for the headers."""
        self.timeOut = None
        super().connectionMade()  # type: ignore[no-untyped-call]
        self._allow(self._connections.times.headers)
        self._connections.opened(self)

    def allHeadersReceived(self) -> None:
        """Start the time limit for the body."""
        self._allow(self._connections.times.body)
        super().allHeadersReceived()  # type: ignore[no-untyped-call]
        if self.refused:
            self._allow(self._connections.times.farewell)

    def allContentReceived(self) -> None:
        """End the time limit: the request is complete, and the answer may take its time."""
        if self.refused:
            self.loseConnection()  # type: ignore[no-untyped-call]
            return
        self.waiting = False
        self._allow(None)
        super().allContentReceived()  # type: ignore[no-untyped-call]

    def rawDataReceived(self, data: bytes) -> None:
        """Discard the rest of a refused request."""
        if not self.refused:
            super().rawDataReceived(data)

    def requestDone(self, request: Request) -> None:
        """Start the time limit for the next request."""
        self.waiting = True
        self._allow(self._connections.times.idle)
        super().requestDone(request)  # type: ignore[no-untyped-call]

    def refuse(self, request: Request, answer: bytes) -> None:
        """
        Answer before the body has come, and close the connection once the client has had time to read that.

        :param answer: complete, with ``Connection: close``.
        """
        self.refused = True
        self.persistent = False
        request.requestHeaders.removeHeader(b"Expect")  # the client waits for 100 before it sends the body
        assert self.transport is not None
        self.transport.write(answer)

    def cut(self) -> None:
        """End the connection at once."""
        self._allow(None)
        self._connections.closed(self)  # its descriptor is free in the next round of the reactor
        if self.transport is not None:
            self.transport.abortConnection()  # type: ignore[attr-defined]

    def connectionLost(self, reason: Failure) -> None:  # type: ignore[override]
        """Count the connection out."""
        self._allow(None)
        self._connections.closed(self)
        super().connectionLost(reason)  # type: ignore[no-untyped-call]

    def _allow(self, seconds: float | None) -> None:
        """Give the client this many seconds from now; None means no limit."""
        if self._deadline is not None and self._deadline.active():
            self._deadline.cancel()
        reactor: IReactorTime = self.site.reactor
        self._deadline = None if seconds is None else reactor.callLater(seconds, self.cut)
