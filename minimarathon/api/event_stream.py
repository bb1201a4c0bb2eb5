"""``/v2/events``: the stream of events, framed and kept alive as Jetty's servlet does it below Marathon."""

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

#: Seconds between the two bytes of a keep-alive, so that they are two segments.
GAP = 0.01


@implementer(IPushProducer)
@define(eq=False)
class Stream:
    """
    One client that listens.

    A keep-alive is a CR and, in a segment of its own, a LF; nothing comes between the two.

    :param kinds: the types it wants to hear of; empty means all.
    :param light: deployments without the whole cluster.
    :param open: the connection is there.
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
        Send the head: a body that ends with the connection, without length and without chunks.

        `Request.write` would chunk it, so the head is written below it.
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

    def hear(self, event: Event) -> None:
        """Send an event, if it is wanted; a client that does not read loses events, or the connection (1.8+)."""
        if not self.open or (self.kinds and event.kind not in self.kinds):
            return
        if len(self._unsent) >= self.dialect.max_outstanding:
            if self.dialect.closes_slow_streams:
                behind = len(self._unsent)
                self._log.warn("an event stream is closed: its client is {count} events behind", count=behind)
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
        """End the stream from our side."""
        if self.open:
            self.closed()
            self.request.unregisterProducer()
            self.request.loseConnection()

    def closed(self) -> None:
        """Forget the connection, which was closed."""
        self.open = False
        self._unsent.clear()
        if self._timer is not None and self._timer.active():
            self._timer.cancel()

    def pauseProducing(self) -> None:
        """Stop writing: the client does not read as fast as we write."""
        self._paused = True

    def resumeProducing(self) -> None:
        """Write again: the client reads."""
        self._paused = False
        self._flush()

    def stopProducing(self) -> None:
        """Close the stream: the client is gone."""
        self.closed()


@define(eq=False)
class Streams:
    """
    Every open stream.

    :param keep_alive: seconds between keep-alives.
    """

    bus: Bus
    dialect: Dialect
    clock: IReactorTime
    announce: Callable[..., Event]
    keep_alive: float = 10.0
    open: dict[Stream, Callable[[], None]] = field(factory=dict)

    def attach(self, request: Request, kinds: frozenset[str], light: bool, client: str) -> None:
        """Stream to a client from now on; everybody hears ``event_stream_attached``, itself first of all."""
        stream = Stream(request, self.dialect, self.clock, kinds, light, self.keep_alive)
        stream.begin()
        self.open[stream] = self.bus.listen(stream.hear)

        def detached(failure: Failure) -> None:
            stream.closed()
            self.open.pop(stream, lambda: None)()
            self.bus.publish([self.announce("event_stream_detached", remoteAddress=client)])

        request.notifyFinish().addErrback(detached)
        self.bus.publish([self.announce("event_stream_attached", remoteAddress=client)])

    def close(self) -> None:
        """End every stream, as a Marathon that is no leader any more does."""
        for stream, stop in tuple(self.open.items()):
            stop()
            stream.close()
