"""The bodies of requests and responses; a complete body is distinguished from one that breaks off."""

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
    """A body is longer than its limit."""


@implementer(IBodyProducer)
class BytesBody:
    """A body that is written at once; Twisted's own `FileBodyProducer` needs the global reactor."""

    def __init__(self, content: bytes) -> None:
        self._content = content
        self.length = len(content)

    def startProducing(self, consumer: IConsumer) -> Deferred[None]:
        """Write the whole body."""
        consumer.write(self._content)
        return succeed(None)

    def pauseProducing(self) -> None:
        """Do nothing, since all is written already."""

    resumeProducing = stopProducing = pauseProducing


class BodyReader(Protocol):
    """
    Passes on a body as it comes.

    :param received: takes the bytes.
    :param limit: maximum number of bytes, past which it ends with `TooBig`; None for an endless stream.
    """

    def __init__(self, received: Callable[[bytes], object], limit: int | None = None) -> None:
        self._received = received
        self._left = limit
        self._finished: Deferred[None] | None = Deferred(self._cancelled)

    def read(self, response: IResponse) -> Deferred[None]:
        """Return a Deferred that fires when the body is complete or the connection ends; cancelling closes it."""
        finished = self._finished
        assert finished is not None
        response.deliverBody(self)
        return finished

    def refuse(self, response: IResponse) -> None:
        """Close the connection without passing on any of the body, though a part of it may be here already."""
        self._received = lambda data: None
        self.read(response).addErrback(lambda _: None).cancel()

    def dataReceived(self, data: bytes) -> None:
        """Count the bytes and pass them on."""
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
        End the body, with an error if HTTP knows that a part is missing.

        Without a length HTTP cannot tell a complete body from a cut one; JSON can, so that is not an error here.
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
