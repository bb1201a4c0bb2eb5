"""A response's body as it comes, with an end that can be told from a breaking off."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IConsumer
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from twisted.web.client import ResponseDone
from twisted.web.http import PotentialDataLoss
from twisted.web.iweb import IBodyProducer, IResponse
from zope.interface import implementer


class TooBig(Exception):
    """A body is longer than anyone should send."""


@implementer(IBodyProducer)
class Content:
    """A body that is sent at once, without the global reactor's help that others take."""

    def __init__(self, content: bytes) -> None:
        self._content = content
        self.length = len(content)

    def startProducing(self, consumer: IConsumer) -> Deferred[None]:
        """Write it."""
        consumer.write(self._content)
        return succeed(None)

    def pauseProducing(self) -> None:
        """It is written already."""

    resumeProducing = stopProducing = pauseProducing


class BodyReader(Protocol):
    """
    Hands on a body as it comes.

    :param received: takes the bytes.
    :param limit: bytes after which it ends with `TooBig`; None for a stream without end.
    """

    def __init__(self, received: Callable[[bytes], object], limit: int | None = None) -> None:
        self._received = received
        self._left = limit
        self._finished: Deferred[None] | None = Deferred(self._cancelled)

    def read(self, response: IResponse) -> Deferred[None]:
        """Fires when the body is complete or ends with the connection; cancelling closes the connection."""
        finished = self._finished
        assert finished is not None
        response.deliverBody(self)
        return finished

    def refuse(self, response: IResponse) -> None:
        """Close the connection without reading."""
        self.read(response).addErrback(lambda _: None).cancel()

    def dataReceived(self, data: bytes) -> None:
        """Count and hand on."""
        if self._finished is None:
            return
        if self._left is not None:
            self._left -= len(data)
            if self._left < 0:
                self._close()
                self._finish(Failure(TooBig()))
                return
        self._received(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        The end, as HTTP sees it.

        Without a length HTTP cannot tell a whole body from one that was cut off; JSON can, so that is no error here.
        """
        whole = reason.check(ResponseDone, PotentialDataLoss) is not None
        self._finish(None if whole else reason)

    def _finish(self, result: Failure | None) -> None:
        finished, self._finished = self._finished, None
        if finished is None:
            return
        if result is None:
            finished.callback(None)
        else:
            finished.errback(result)

    def _cancelled(self, deferred: Deferred[None]) -> None:
        self._finished = None
        self._close()

    def _close(self) -> None:
        if self.transport is not None:
            self.transport.loseConnection()
