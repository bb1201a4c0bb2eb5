"""The event stream ``/v2/events``, with the framing and keep-alives of Marathon's Jetty servlet."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from attrs import define, field
from twisted.internet.interfaces import IDelayedCall, IPushProducer, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.http import Request
from twisted.web.http_headers import Headers
from zope.interface import implementer

from minimarathon.dialect import Dialect
from minimarathon.events import Bus, Event

#: Seconds between the two bytes of a keep-alive, which sends them in two TCP segments.
GAP = 0.01


@implementer(IPushProducer)
@define(eq=False)
class Stream:
    """
    The event stream of one client.

    A keep-alive is a CR and, in a separate segment, a LF; nothing is written between the two.

    :param kinds: the event types to send; empty means all.
    :param light: omit the whole cluster from deployment events.
    :param open: true until the connection is closed.
    """

    request: Request
    dialect: Dialect
    clock: IReactorTime
    kinds: frozenset[str]
    light: bool
    keep_alive: float
    _unsent: deque[bytes] = field(factory=deque)
    _paused: bool = False
    _half: bool = False
    open: bool = True
    _timer: IDelayedCall | None = None
    _log = Logger()

    def begin(self) -> None:
        """
        Send the response headers: no length and no chunks, since the connection's end is the body's end.

        `Request.write` would use chunks, so the headers are written to the channel directly.
        """
        headers = Headers(
            {
                "Content-Type": ["text/event-stream;charset=UTF-8"],
                "Connection": ["close"],
                "Cache-Control": ["no-cache, no-store, must-revalidate"],
                "Pragma": ["no-cache"],
                "Expires": ["0"],
            }
        )
        for name, values in self.request.responseHeaders.getAllRawHeaders():
            if not headers.hasHeader(name):
                headers.setRawHeaders(name, values)
        self.request.startedWriting = 1
        self.request.channel.writeHeaders(b"HTTP/1.1", b"200", b"OK", headers)
        self.request.registerProducer(self, True)
        self._timer = self.clock.callLater(self.keep_alive, self._beat)

    def send(self, event: Event) -> None:
        """Send an event of the selected types; a client that does not read loses events, or the connection (1.8+)."""
        if not self.open or (self.kinds and event.kind not in self.kinds):
            return
        if len(self._unsent) >= self.dialect.max_outstanding:
            if self.dialect.closes_slow_streams:
                behind = len(self._unsent)
                self._log.warn(
                    "closing an event stream: its client has not read {count} events; check the client",
                    count=behind,
                )
                self.close()
            return
        data = event.json(self.dialect.light_plans(self.light))
        self._unsent.append(b"event: %s\r\ndata: %s\r\n\r\n" % (event.kind.encode(), data))
        self._flush()

    def _flush(self) -> None:
        while self._unsent and self.open and not self._paused and not self._half:
            self.request.write(self._unsent.popleft())

    def _beat(self) -> None:
        self._half = True
        self.request.write(b"\r")
        self._timer = self.clock.callLater(GAP, self._beat_done)

    def _beat_done(self) -> None:
        self.request.write(b"\n")
        self._half = False
        self._timer = self.clock.callLater(self.keep_alive, self._beat)
        self._flush()

    def close(self) -> None:
        """Close the connection."""
        if self.open:
            self.closed()
            self.request.unregisterProducer()
            self.request.loseConnection()

    def closed(self) -> None:
        """Release the buffer and the timer after the connection was closed."""
        self.open = False
        self._unsent.clear()
        if self._timer is not None and self._timer.active():
            self._timer.cancel()

    def pauseProducing(self) -> None:
        """Pause writing: the client reads too slowly."""
        self._paused = True

    def resumeProducing(self) -> None:
        """Resume writing."""
        self._paused = False
        self._flush()

    def stopProducing(self) -> None:
        """Close the stream: the client disconnected."""
        self.closed()


@define(eq=False)
class Streams:
    """
    All open event streams.

    :param keep_alive: seconds between keep-alives.
    """

    bus: Bus
    dialect: Dialect
    clock: IReactorTime
    announce: Callable[..., Event]
    keep_alive: float = 10.0
    open: dict[Stream, Callable[[], None]] = field(factory=dict)

    def attach(self, request: Request, kinds: frozenset[str], light: bool, client: str) -> None:
        """Start a client's stream; all streams, including this one, receive ``event_stream_attached``."""
        stream = Stream(request, self.dialect, self.clock, kinds, light, self.keep_alive)
        stream.begin()
        self.open[stream] = self.bus.listen(stream.send)

        def detached(failure: Failure) -> None:
            stream.closed()
            self.open.pop(stream, lambda: None)()
            self.bus.publish([self.announce("event_stream_detached", remoteAddress=client)])

        request.notifyFinish().addErrback(detached)
        self.bus.publish([self.announce("event_stream_attached", remoteAddress=client)])

    def close(self) -> None:
        """End every stream, as a Marathon that lost its leadership does."""
        for stream, stop in tuple(self.open.items()):
            stop()
            stream.close()
