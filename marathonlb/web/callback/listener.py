"""The listener for Marathon's events; it retries while the port is taken."""

from __future__ import annotations

from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import CancelledError, Deferred, maybeDeferred
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IListeningPort, IProtocolFactory, IReactorTime, IStreamServerEndpoint
from twisted.internet.task import deferLater
from twisted.logger import Logger

RETRY_DELAY = 10.0
"""Seconds until a port that could not be bound is retried."""


class CallbackListener(Service):
    """
    Listens while it runs.

    If the port cannot be bound, only Marathon's events are missing: full comparisons go on. It is logged and retried.

    :param where: the endpoint's description, the value of ``--listening``.
    :param resync_interval: seconds between full comparisons, for the message.
    """

    name = "callback listener"
    _log = Logger()

    def __init__(
        self,
        endpoint: IStreamServerEndpoint,
        factory: IProtocolFactory,
        clock: IReactorTime,
        *,
        where: str,
        resync_interval: float,
    ) -> None:
        self._endpoint = endpoint
        self._factory = factory
        self._clock = clock
        self._where = where
        self._resync_interval = resync_interval
        self._port: IListeningPort | None = None
        self._listening: Deferred[None] | None = None

    def startService(self) -> None:
        """Listen; retry until it succeeds."""
        super().startService()  # type: ignore[no-untyped-call]
        self._listening = Deferred.fromCoroutine(self._listen())
        self._listening.addErrback(lambda reason: reason.trap(CancelledError) and None)

    def stopService(self) -> Deferred[Any]:
        """Stop listening; fires when it is done."""
        super().stopService()  # type: ignore[no-untyped-call]
        if self._listening is not None:
            self._listening.cancel()
        port, self._port = self._port, None
        return maybeDeferred(port.stopListening if port is not None else lambda: None)

    async def _listen(self) -> None:
        while True:
            try:
                self._port = await self._endpoint.listen(self._factory)
            except CannotListenError as error:
                self._log.error(
                    "Marathon's events cannot be received: {where} cannot be bound ({error}). Stop what uses "
                    "it, or choose another --listening; until then all apps are compared every {resync:g} s. Retrying "
                    "in {seconds:g} s",
                    where=self._where,
                    error=str(error.socketError),
                    resync=self._resync_interval,
                    seconds=RETRY_DELAY,
                )
                await deferLater(self._clock, RETRY_DELAY)
            else:
                return
