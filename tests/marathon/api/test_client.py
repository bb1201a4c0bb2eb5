"""What becomes of a request that is given up."""

from __future__ import annotations

from typing import Any

from twisted.internet.address import HostnameAddress
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectingCancelledError
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.iweb import IAgent
from zope.interface import implementer

from marathonlb.errors import SourceError
from marathonlb.marathon.api.client import MarathonClient


@implementer(IAgent)
class Connecting:
    """Connects for ever."""

    def request(self, *_: object) -> Deferred[Any]:
        """Ends as an endpoint does that is given up."""
        return Deferred(lambda d: d.errback(Failure(ConnectingCancelledError(HostnameAddress(b"x", 1)))))


class CancelTests(SynchronousTestCase):
    """Giving up while the connection is being made."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.client = MarathonClient(["http://x:1"], Connecting(), self.clock, timeout=5)

    def test_cancelled(self) -> None:
        """What we give up ourselves is no failure of Marathon's, nor a mistake."""
        for asked in (
            self.client.apps(),
            self.client.event_stream("http://x:1", lambda url: None, lambda data: None),
        ):
            asked.cancel()
            self.failureResultOf(asked, CancelledError)

    def test_too_late(self) -> None:
        """What takes too long is."""
        asked = self.client.apps()
        self.clock.advance(5)
        self.assertIn("within 5 seconds", str(self.failureResultOf(asked, SourceError).value))
