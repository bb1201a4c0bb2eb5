"""Keeping the callback registered at ``/v2/eventSubscriptions``."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Protocol

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

from marathonlb.causes import Cause, CauseKind
from marathonlb.errors import SourceError
from marathonlb.marathon.events.base import Poke, Source
from marathonlb.marathon.events.hints import Hint
from marathonlb.timers import pause

FAREWELL = 5.0
"""Seconds that taking the callback away may take at the end."""


class SubscribingClient(Protocol):
    """What `Subscription` wants of `marathonlb.marathon.api.client.MarathonClient`."""

    def subscriptions(self) -> Deferred[tuple[str, ...]]:
        """The callbacks that are registered."""

    def subscribe(self, callback_url: str) -> Deferred[None]:
        """Register one."""

    def unsubscribe(self, callback_url: str) -> Deferred[None]:
        """Take one away."""


class Subscription(Source):
    """
    Keeps the callback registered (``--mode=event``); the events come to `marathonlb.web.callback.resource`.

    Marathon forgets subscribers with its state, and whoever starts after us may take them away; so it is checked.

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
        """Pass on what was posted to the callback, and remember when."""
        self.last_event_at = self._clock.seconds()
        self._poke(hint)

    async def _run(self) -> None:
        while True:
            try:
                await self._check()
            except SourceError as error:
                await self._failed(str(error))
                continue
            self._well()
            await pause(self._clock, self._check_interval)

    async def _check(self) -> None:
        known = await self._client.subscriptions()
        missing = self._callback_url not in known
        if missing:
            self._registered = True
            await self._client.subscribe(self._callback_url)
            self._log.info("Marathon posts its events to {url} from now on", url=self._callback_url)
        if missing or self.connected_to is None:
            self._registered = True
            self.connected_to = self._callback_url
            self._look_at_everything(Cause(CauseKind.CALLBACK_REGISTERED))

    async def _farewell(self) -> None:
        if not self._registered:
            return
        self._registered = False
        try:
            await self._client.unsubscribe(self._callback_url).addTimeout(
                FAREWELL, self._clock, onTimeoutCancel=_no_farewell
            )
        except SourceError as error:
            self._log.warn(
                "The callback {url} could not be taken away: {error}. Marathon goes on posting to it; "
                "DELETE /v2/eventSubscriptions?callbackUrl={url} ends that",
                url=self._callback_url,
                error=error,
            )


def _no_farewell(result: object, timeout: float) -> Failure:
    return Failure(SourceError(url="Marathon", reason=f"no answer within {timeout:g} seconds"))
