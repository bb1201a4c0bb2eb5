"""Follow Marathon's event stream, reconnecting when it ends, stalls, or the leader changes."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Protocol

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from marathonlb.causes import Cause, CauseKind
from marathonlb.errors import SourceError
from marathonlb.marathon.events.base import Poke, ReconnectingEventSource
from marathonlb.marathon.events.hints import Hint, ended_tasks, hint_of, together
from marathonlb.marathon.events.sse import Oversized, SSEParser

ATTACH_GRACE = 1.0
"""Seconds after the response's head until the stream counts as attached though no event has come."""

STABLE_AFTER = 5.0
"""Seconds after which a byte resets the back-off; Marathon sends a heartbeat every 10 seconds."""


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

    async def _run(self) -> None:
        endpoints = list(self._client.endpoints)
        turn = endpoints.index(self._client.preferred)
        while True:
            endpoint = endpoints[turn % len(endpoints)]
            try:
                await _Attachment(self, endpoint).follow()
            except SourceError as error:
                problem = str(error)
            else:
                problem = f"{endpoint}: Marathon ended the event stream"
            turn += 1
            await self._failed(problem, len(endpoints))


class _Attachment:
    """One stream from its request to its end."""

    _log = Logger()

    def __init__(self, source: EventStream, endpoint: str) -> None:
        self._source = source
        self._clock = source._clock
        self._endpoint = endpoint
        self._parser = SSEParser()
        self._opened_at: float | None = None
        self._stall: IDelayedCall | None = None
        self._attach: IDelayedCall | None = None
        self._stalled = False

    async def follow(self) -> None:
        """
        Follow the stream until Marathon ends it.

        :raises SourceError: the stream could not be opened, broke or stalled.
        """
        stream = self._source._client.event_stream(self._endpoint, self._opened, self._received)
        self._stream = stream
        try:
            await stream
        except CancelledError:
            if not self._stalled:
                raise
            seconds = self._source._stall_timeout
            raise SourceError(
                url=self._endpoint,
                reason=f"the event stream is silent for {seconds:g} seconds; a proxy on the way may hold it back",
            ) from None
        finally:
            for call in (self._stall, self._attach):
                if call is not None and call.active():
                    call.cancel()

    def _opened(self, url: str) -> None:
        self._source.connected_to = url
        self._opened_at = self._clock.seconds()
        self._stall = self._clock.callLater(self._source._stall_timeout, self._give_up)
        self._attach = self._clock.callLater(ATTACH_GRACE, self._attached)
        self._log.info("Listening to the events of {url}", url=url)

    def _give_up(self) -> None:
        self._stalled = True
        self._stream.cancel()

    def _attached(self) -> None:
        """Ask for a full comparison at the first call: from now on Marathon sends every event."""
        attach, self._attach = self._attach, None
        if attach is not None:
            if attach.active():
                attach.cancel()
            self._source._look_at_everything(Cause(CauseKind.STREAM_ATTACHED))

    def _received(self, data: bytes) -> None:
        assert self._stall is not None
        assert self._opened_at is not None
        self._stall.reset(self._source._stall_timeout)
        now = self._clock.seconds()
        if now - self._opened_at >= STABLE_AFTER:
            self._source._succeeded()
        hints: list[Hint] = []
        for event in self._parser.feed(data):
            self._source.last_event_at = now
            self._attached()
            if isinstance(event, Oversized):
                self._source._look_at_everything(Cause(CauseKind.OVERSIZED_EVENT))
                continue
            ended = ended_tasks(event.data)
            hint = hint_of(event.data)
            if ended and hint is not None:
                self._source.ended(hint.apps or frozenset(), ended)
            if hint is not None:
                self._source._succeeded()
                hints.append(hint)
        if hints:
            self._source._poke(together(hints))
