"""
Follow Marathon's event stream, and reconnect when it ends, stalls, or the leader changes.

The states of the stream are in `marathonlb.marathon.events.stream_lifecycle`::

    waiting ──→ connecting ──→ opened ──→ attached     each ends in waiting, a silent stream through stalled
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Protocol

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from marathonlb.base.causes import Cause, CauseKind
from marathonlb.errors import SourceError
from marathonlb.marathon.events.base import Poke, ReconnectingEventSource
from marathonlb.marathon.events.hints import Hint, ended_tasks, hint_of, together
from marathonlb.marathon.events.sse import Oversized, ServerSentEvent, SSEParser
from marathonlb.marathon.events.stream_lifecycle import ATTACH_GRACE, StreamRecord, new_stream_lifecycle


class StreamingClient(Protocol):
    """The part of `marathonlb.marathon.api.client.MarathonClient` that `EventStream` uses."""

    @property
    def endpoints(self) -> Sequence[str]:
        """The base URLs of the Marathons."""

    @property
    def preferred(self) -> str:
        """The base URL of the Marathon that answered last."""

    def event_stream(
        self, endpoint: str, opened: Callable[[str], object], received: Callable[[bytes], object]
    ) -> Deferred[None]:
        """See `marathonlb.marathon.api.client.MarathonClient.event_stream`."""


class EventStream(ReconnectingEventSource):
    """
    Follows ``/v2/events`` (``--mode=sse``).

    A full comparison follows each attachment, since Marathon does not replay the events from before it. Later events
    ``event_stream_attached`` are ignored: each stream receives those of all others.

    :param stall_timeout: seconds without a byte after which the stream is reopened.
    :param jitter: returns a number from 0 to 1.
    :ivar ended: called with the ids of the apps and of their tasks that Marathon reports as killed, before the hint
        about them.
    """

    name = "event stream"

    def __init__(
        self,
        client: StreamingClient,
        poke: Poke,
        clock: IReactorTime,
        *,
        stall_timeout: float = 30,
        resync_interval: float = 300,
        max_backoff: float = 300,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        super().__init__(poke, clock, resync_interval, max_backoff, jitter)
        self.ended: Callable[[frozenset[str], frozenset[str]], object] = lambda apps, tasks: None
        self._client = client
        self._stall_timeout = stall_timeout
        self._lifecycle = new_stream_lifecycle(StreamRecord())

    async def _run(self) -> None:
        endpoints = list(self._client.endpoints)
        turn = endpoints.index(self._client.preferred)
        while True:
            endpoint = endpoints[turn % len(endpoints)]
            problem = await self._follow(endpoint)
            turn += 1
            await self._failed(problem, len(endpoints))

    async def _follow(self, endpoint: str) -> str:
        """Follow one stream; return the reason of its end. Cancelling it raises `CancelledError`."""
        self._lifecycle.connect()
        reader = _StreamReader(self, endpoint)
        try:
            await reader.stream
        except (SourceError, CancelledError) as error:
            if self._lifecycle.ended():
                seconds = f"{self._stall_timeout:g} seconds"
                return f"{endpoint}: the event stream is silent for {seconds}; a proxy may be buffering it"
            if isinstance(error, SourceError):
                return str(error)
            raise
        finally:
            reader.cancel_timers()
        self._lifecycle.ended()
        return f"{endpoint}: Marathon ended the event stream"


class _StreamReader:
    """
    Reads one stream, from its request to its end.

    :ivar stream: fires when Marathon ends the stream, and fails as `StreamingClient.event_stream` does.
    """

    _log = Logger()

    def __init__(self, source: EventStream, endpoint: str) -> None:
        self._source = source
        self._lifecycle = source._lifecycle
        self._clock = source._clock
        self._parser = SSEParser()
        self._stall: IDelayedCall | None = None
        self._grace: IDelayedCall | None = None
        self.stream = source._client.event_stream(endpoint, self._opened, self._received)

    def cancel_timers(self) -> None:
        """Cancel the timers of a stream that has ended."""
        for call in (self._stall, self._grace):
            if call is not None and call.active():
                call.cancel()

    def _opened(self, url: str) -> None:
        self._lifecycle.opened(self._clock.seconds())
        self._source.connected_to = url
        self._stall = self._clock.callLater(self._source._stall_timeout, self._silent)
        self._grace = self._clock.callLater(ATTACH_GRACE, self._attached)
        self._log.info("Listening to the events of {url}", url=url)

    def _silent(self) -> None:
        if self._lifecycle.silent():
            self.stream.cancel()

    def _attached(self) -> None:
        if self._lifecycle.attached():
            self._source._look_at_everything(Cause(CauseKind.STREAM_ATTACHED))

    def _received(self, data: bytes) -> None:
        assert self._stall is not None
        self._stall.reset(self._source._stall_timeout)
        now = self._clock.seconds()
        if self._source.attempts and self._lifecycle.received(now):
            self._source._succeeded()
        events = self._parser.feed(data)
        if not events:
            return
        self._source.last_event_at = now
        self._attached()
        hints = [hint for event in events if (hint := self._hint(event)) is not None]
        if hints:
            self._source._poke(together(hints))

    def _hint(self, event: ServerSentEvent | Oversized) -> Hint | None:
        """Return the hint of one event; report ended tasks at once."""
        if isinstance(event, Oversized):
            self._source._look_at_everything(Cause(CauseKind.OVERSIZED_EVENT))
            return None
        hint = hint_of(event.data)
        if hint is None:
            return None
        if ended := ended_tasks(event.data):
            self._source.ended(hint.apps or frozenset(), ended)
        self._source._succeeded()
        return hint
