"""Keep the callback registered at Marathon's ``/v2/eventSubscriptions`` (``--mode=event``)."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Protocol

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

from marathonlb.base.causes import Cause, CauseKind
from marathonlb.errors import SourceError
from marathonlb.marathon.events.base import Poke, ReconnectingEventSource
from marathonlb.marathon.events.hints import Hint
from marathonlb.timers import pause

UNSUBSCRIBE_TIMEOUT = 5.0
"""Maximum number of seconds that removing the callback may take when the controller stops."""


class SubscribingClient(Protocol):
    """The part of `marathonlb.marathon.api.client.MarathonClient` that `Subscription` uses."""

    def subscriptions(self) -> Deferred[tuple[str, ...]]:
        """Return the URLs of the registered callbacks."""

    def subscribe(self, callback_url: str) -> Deferred[None]:
        """Register a callback."""

    def unsubscribe(self, callback_url: str) -> Deferred[None]:
        """Remove a callback."""


class Subscription(ReconnectingEventSource):
    """
    Keeps the callback registered; the events arrive at `marathonlb.web.callback.resource`.

    Marathon forgets callbacks with its state, and other clients may remove them; so the registration is checked.

    :param check_interval: seconds between the checks.
    """

    name = "event callback"

    def __init__(
        self,
        client: SubscribingClient,
        poke: Poke,
        clock: IReactorTime,
        callback_url: str,
        *,
        check_interval: float = 60,
        resync_interval: float = 300,
        max_backoff: float = 300,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        super().__init__(poke, clock, resync_interval, max_backoff, jitter)
        self._client = client
        self._callback_url = callback_url
        self._check_interval = check_interval
        self._registered = False

    def heard(self, hint: Hint) -> None:
        """Pass on a hint of an event that was posted to the callback, and note its time."""
        self.last_event_at = self._clock.seconds()
        self._poke(hint)

    async def _run(self) -> None:
        while True:
            try:
                await self._check()
            except SourceError as error:
                await self._failed(str(error))
                continue
            self._succeeded()
            await pause(self._clock, self._check_interval)

    async def _check(self) -> None:
        known = await self._client.subscriptions()
        missing = self._callback_url not in known
        if missing:
            self._registered = True
            await self._client.subscribe(self._callback_url)
            self._log.info("Registered the event callback {url} at Marathon", url=self._callback_url)
        if missing or self.connected_to is None:
            self._registered = True
            self.connected_to = self._callback_url
            self._look_at_everything(Cause(CauseKind.CALLBACK_REGISTERED))

    async def _clean_up(self) -> None:
        if not self._registered:
            return
        self._registered = False
        try:
            await self._client.unsubscribe(self._callback_url).addTimeout(
                UNSUBSCRIBE_TIMEOUT, self._clock, onTimeoutCancel=_no_answer
            )
        except SourceError as error:
            self._log.warn(
                "Removing the event callback {url} failed: {error}. Marathon keeps posting to it; remove it with "
                "DELETE /v2/eventSubscriptions?callbackUrl={url}",
                url=self._callback_url,
                error=error,
            )


def _no_answer(result: object, timeout: float) -> Failure:
    return Failure(SourceError(url="Marathon", reason=f"no answer within {timeout:g} seconds"))
