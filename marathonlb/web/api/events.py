"""
``/api/events``: the timeline as server-sent events.

Each event is an entry of the timeline, with its id. A client that reconnects with ``Last-Event-ID`` gets the entries
that it missed, as far as they are kept. A client that reads too slowly misses entries, and gets an event ``missed``: it
has to fetch the state again.
"""

from __future__ import annotations

import msgspec
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IPushProducer, IReactorTime
from twisted.internet.task import LoopingCall
from twisted.web.server import Request
from zope.interface import implementer

from marathonlb.controller.timeline import Entry
from marathonlb.web.connections import fair_share
from marathonlb.web.context import WebContext
from marathonlb.web.page import Answer, ClientRequest, Page, Refusal

EVENT_STREAM = "text/event-stream"

HEARTBEAT = 10.0
"""Seconds between two comments, which keep idle time limits of HAProxy and other proxies from ending the stream."""

RETRY = 2000
"""Milliseconds that a browser waits before it reconnects."""

MOST, PER_CLIENT = 200, 50
"""Maximum number of open streams, and of those of one client; pages need connections, too."""


class EventsPage(Page):
    """The stream of timeline entries."""

    content_type = EVENT_STREAM
    summary = "New entries of the timeline as server-sent events"
    shape = Entry
    statuses = ((503, f"more than {MOST} open streams, or {PER_CLIENT} of this client"),)

    def __init__(self, context: WebContext) -> None:
        self._context = context
        self._open: dict[Follower, str] = {}
        self._most = min(MOST, fair_share() // 2)
        self._per_client = min(PER_CLIENT, self._most // 4)

    async def answer(self, request: ClientRequest) -> Answer:
        """Stream entries until the client leaves."""
        if len(self._open) >= self._most:
            raise Refusal(503, f"{self._most} streams are already open")
        if list(self._open.values()).count(request.client) >= self._per_client:
            raise Refusal(503, f"{request.client} already has {self._per_client} open streams")
        last = (request.headers.getRawHeaders("Last-Event-ID") or [""])[0]
        after = int(last) if last.isascii() and last.isdecimal() and len(last) < 19 else None

        async def stream(response: Request) -> None:
            follower = Follower(response, self._context.clock)
            self._open[follower] = request.client
            timeline = self._context.recorder.timeline
            stop = timeline.follow(follower.tell)
            try:
                follower.begin(timeline.entries(after) if after is not None else ())
                await follower.gone
            finally:
                stop()
                follower.end()
                self._open.pop(follower, None)

        return Answer(content_type=EVENT_STREAM, headers={"X-Accel-Buffering": "no"}, stream=stream)

    def close(self) -> None:
        """End every stream; clients reconnect to the next controller."""
        for follower in tuple(self._open):
            follower.leave()


@implementer(IPushProducer)
class Follower:
    """
    One client of the stream.

    :ivar gone: fires when the stream is to end, and is cancelled when the client leaves.
    """

    def __init__(self, request: Request, clock: IReactorTime) -> None:
        self.gone: Deferred[None] = Deferred()
        self._request = request
        self._paused = False
        self._missed = False
        self._heart = LoopingCall(self._beat)
        self._heart.clock = clock

    def begin(self, entries: tuple[Entry, ...]) -> None:
        """Send the entries that the client missed, and start the heartbeat."""
        self._request.registerProducer(self, True)
        self._request.write(b"retry: %d\n\n" % RETRY)
        for entry in entries:
            self.tell(entry)
        self._heart.start(HEARTBEAT, now=False).addErrback(lambda _: self.leave())

    def tell(self, entry: Entry) -> None:
        """Send one entry, or note that it was missed."""
        if self._paused:
            self._missed = True
            return
        self._request.write(b"id: %d\nevent: timeline\ndata: %s\n\n" % (entry.id, msgspec.json.encode(entry)))

    def leave(self) -> None:
        """End this stream."""
        if not self.gone.called:
            self.gone.callback(None)

    def end(self) -> None:
        """Stop the heartbeat and unregister from the connection."""
        if self._heart.running:
            self._heart.stop()
        if self._request.channel is not None:  # a lost connection has unregistered it already
            self._request.unregisterProducer()

    def _beat(self) -> None:
        if not self._paused:
            self._request.write(b": alive\n\n")

    def pauseProducing(self) -> None:
        """Stop sending: the client does not keep up."""
        self._paused = True

    def resumeProducing(self) -> None:
        """Send again; say if entries were missed."""
        self._paused = False
        if self._missed:
            self._missed = False
            self._request.write(b"event: missed\ndata: {}\n\n")

    def stopProducing(self) -> None:
        """End the stream: the client is gone."""
        self.leave()
