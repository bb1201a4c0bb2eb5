"""The bodies of requests and responses."""

from __future__ import annotations

from typing import Any, cast

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectionLost
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.client import ResponseDone
from twisted.web.http import PotentialDataLoss
from twisted.web.iweb import IBodyProducer
from zope.interface.verify import verifyObject

from marathonlb.marathon.api.body import BodyReader, BytesBody, TooBig


class _Response:
    """A response whose body its test delivers."""

    def __init__(self) -> None:
        self.transport = StringTransport()
        self.buffered = b""

    def deliverBody(self, protocol: BodyReader) -> None:
        protocol.makeConnection(cast("Any", self.transport))
        if self.buffered:
            protocol.dataReceived(self.buffered)


class BytesBodyTests(SynchronousTestCase):
    """`BytesBody`."""

    def test_written(self) -> None:
        """The body is written at once, and its length is known before."""
        body, transport = BytesBody(b"{}"), StringTransport()
        self.assertTrue(verifyObject(IBodyProducer, body))
        self.assertEqual(2, body.length)
        self.successResultOf(body.startProducing(cast("Any", transport)))
        body.pauseProducing()
        body.stopProducing()
        self.assertEqual(b"{}", transport.value())


class BodyReaderTests(SynchronousTestCase):
    """`BodyReader`."""

    def setUp(self) -> None:
        self.response = _Response()
        self.received: list[bytes] = []

    def read(self, limit: int | None = None) -> Deferred[None]:
        """Begin to read."""
        self.reader = BodyReader(self.received.append, limit)
        return self.reader.read(cast("Any", self.response))

    def test_complete(self) -> None:
        """A body is complete when HTTP says so, and where HTTP cannot know."""
        for end in (ResponseDone(), PotentialDataLoss()):
            finished = self.read()
            self.reader.dataReceived(b"a")
            self.assertNoResult(finished)
            self.reader.connectionLost(Failure(end))
            self.successResultOf(finished)
        self.assertEqual([b"a", b"a"], self.received)

    def test_cut(self) -> None:
        """A body that ends with its connection, before its length, fails with the reason."""
        finished = self.read()
        self.reader.connectionLost(Failure(ConnectionLost()))
        self.failureResultOf(finished, ConnectionLost)

    def test_limit(self) -> None:
        """Past the limit the reading fails, the connection is closed, and no byte is passed on."""
        finished = self.read(limit=3)
        self.reader.dataReceived(b"abc")
        self.assertNoResult(finished)
        self.reader.dataReceived(b"d")
        self.failureResultOf(finished, TooBig)
        self.reader.dataReceived(b"e")
        self.assertEqual(([b"abc"], True), (self.received, self.response.transport.disconnecting))

    def test_cancel(self) -> None:
        """Cancelling closes the connection, and nothing is passed on afterwards."""
        finished = self.read()
        finished.cancel()
        self.failureResultOf(finished, CancelledError)
        self.reader.dataReceived(b"a")
        self.reader.connectionLost(Failure(ConnectionLost()))
        self.assertEqual(([], True), (self.received, self.response.transport.disconnecting))

    def test_refuse(self) -> None:
        """A body that is refused closes its connection, and what has come of it already is not passed on."""
        self.response.buffered = b"<html>"
        BodyReader(self.received.append).refuse(cast("Any", self.response))
        self.assertEqual(([], True), (self.received, self.response.transport.disconnecting))
