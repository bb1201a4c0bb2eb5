"""
``/api/events``: what happens, as it happens, as server-sent events.

Each event is an entry of the timeline, with its id; a client that comes back with ``Last-Event-ID`` is told what it
missed, as far as that is kept. One that reads too slowly misses entries, and is told so by an event ``missed``: it is
to look anew.
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
from marathonlb.web.page import Answer, Asked, Page, Refusal

EVENT_STREAM = "text/event-stream"

HEARTBEAT = 10.0
"""Seconds between two comments, which keep HAProxy's and others' time limits away."""

RETRY = 2000
"""Milliseconds that a browser is to wait before it comes back."""

MOST, PER_CLIENT = 200, 50
"""Maximum number of streams at a time, and of those of one client; each is a connection, of which pages need some."""


class EventsPage(Page):
    """What happens."""

    content_type = EVENT_STREAM
    summary = "What happens, as server-sent events: each an entry of the timeline"
    shape = Entry
    statuses = ((503, f"more than {MOST} clients follow already, or {PER_CLIENT} from this address"),)

    def __init__(self, context: WebContext) -> None:
        self._context = context
        self._open: dict[Follower, str] = {}
        self._most = min(MOST, fair_share() // 2)
        self._per_client = min(PER_CLIENT, self._most // 4)

    async def answer(self, asked: Asked) -> Answer:
        """Entries until the client leaves."""
        if len(self._open) >= self._most:
            raise Refusal(503, f"{self._most} clients follow already")
        if list(self._open.values()).count(asked.client) >= self._per_client:
            raise Refusal(503, f"{self._per_client} streams of {asked.client} are open already")
        last = (asked.headers.getRawHeaders("Last-Event-ID") or [""])[0]
        after = int(last) if last.isascii() and last.isdecimal() and len(last) < 19 else None

        async def stream(request: Request) -> None:
            follower = Follower(request, self._context.clock)
            self._open[follower] = asked.client
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
        """End every stream; the clients come back when there is a controller again."""
        for follower in tuple(self._open):
            follower.leave()


@implementer(IPushProducer)
class Follower:
    """
    One client.

    :ivar gone: fires when it is to be left, and is cancelled when it leaves.
    """

    def __init__(self, request: Request, clock: IReactorTime) -> None:
        self.gone: Deferred[None] = Deferred()
        self._request = request
        self._paused = False
        self._missed = False
        self._heart = LoopingCall(self._beat)
        self._heart.clock = clock

    def begin(self, entries: tuple[Entry, ...]) -> None:
        """Say what was missed, and go on from there."""
        self._request.registerProducer(self, True)
        self._request.write(b"retry: %d\n\n" % RETRY)
        for entry in entries:
            self.tell(entry)
        self._heart.start(HEARTBEAT, now=False).addErrback(lambda _: self.leave())

    def tell(self, entry: Entry) -> None:
        """Say one entry, or note that it could not be said."""
        if self._paused:
            self._missed = True
            return
        self._request.write(b"id: %d\nevent: timeline\ndata: %s\n\n" % (entry.id, msgspec.json.encode(entry)))

    def leave(self) -> None:
        """End this stream."""
        if not self.gone.called:
            self.gone.callback(None)

    def end(self) -> None:
        """Stop what goes on."""
        if self._heart.running:
            self._heart.stop()
        if self._request.channel is not None:  # a connection that is lost takes it along
            self._request.unregisterProducer()

    def _beat(self) -> None:
        if not self._paused:
            self._request.write(b": alive\n\n")

    def pauseProducing(self) -> None:
        """The client does not keep up."""
        self._paused = True

    def resumeProducing(self) -> None:
        """It does again."""
        self._paused = False
        if self._missed:
            self._missed = False
            self._request.write(b"event: missed\ndata: {}\n\n")

    def stopProducing(self) -> None:
        """It is gone."""
        self.leave()
