"""HTTP callbacks (``--event_subscriber http_callback``, until 1.4): each event is posted once, without retries."""

from __future__ import annotations

from attrs import define, field
from treq.client import HTTPClient
from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.http_headers import Headers

from minimarathon.events import Bus, Event

#: Maximum number of seconds for a subscriber's response.
TIMEOUT = 10.0


@define
class _Subscriber:
    """One subscriber; after n consecutive failures it receives no events for 2^n seconds."""

    failures: int = 0
    silent_until: float = 0


@define(eq=False)
class Callbacks:
    """Posts events to subscribers."""

    bus: Bus
    client: HTTPClient
    clock: IReactorTime
    _subscribers: dict[str, _Subscriber] = field(factory=dict)
    _posting: set[Deferred[None]] = field(factory=set)
    _log = Logger()

    def __attrs_post_init__(self) -> None:
        self.bus.listen(self._publish)

    def urls(self) -> list[str]:
        """Return the subscribers' URLs."""
        return list(self._subscribers)

    def add(self, url: str) -> None:
        """Add a subscriber; an existing one is kept."""
        self._subscribers.setdefault(url, _Subscriber())

    def remove(self, url: str) -> None:
        """Remove a subscriber, if it exists."""
        self._subscribers.pop(url, None)

    def stop(self) -> Deferred[None]:
        """Stop posting; the Deferred fires when all requests have ended."""
        self._subscribers.clear()
        posting = tuple(self._posting)
        for request in posting:
            request.cancel()
        return DeferredList(posting).addCallback(lambda _: None)

    def _publish(self, event: Event) -> None:
        for url, subscriber in tuple(self._subscribers.items()):
            if self.clock.seconds() >= subscriber.silent_until:
                self._post(url, subscriber, event)

    def _post(self, url: str, subscriber: _Subscriber, event: Event) -> None:
        posting: Deferred[None] = Deferred.fromCoroutine(self._send(url, event))
        posting.addTimeout(TIMEOUT, self.clock)
        self._posting.add(posting)

        def succeeded(_: None) -> None:
            subscriber.failures = 0

        def failed(failure: Failure) -> None:
            subscriber.failures += 1
            pause = 2.0**subscriber.failures
            subscriber.silent_until = self.clock.seconds() + pause
            self._log.warn(
                "{url}: posting {event} failed: {reason}; pausing it for {seconds} s, check that the subscriber runs",
                url=url, event=event.kind, reason=failure.getErrorMessage(), seconds=pause,
            )  # fmt: skip

        posting.addCallbacks(succeeded, failed)
        posting.addBoth(lambda _: self._posting.discard(posting))

    async def _send(self, url: str, event: Event) -> None:
        headers = Headers(
            {"Accept": ["application/json"], "Content-Type": ["application/json; charset=UTF-8"]}
        )
        response = await self.client.post(url, data=event.json(), headers=headers)
        await response.content()
        if not 200 <= response.code < 300:
            raise ValueError(f"HTTP status {response.code}")
