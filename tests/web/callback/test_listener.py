"""Listening for what Marathon posts."""

from __future__ import annotations

from attrs import define, field
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IListeningPort, IProtocolFactory, IStreamServerEndpoint
from twisted.internet.protocol import Factory
from twisted.internet.task import Clock
from twisted.logger import LogEvent, formatEvent, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from marathonlb.web.callback.listener import RETRY_DELAY, CallbackListener


@implementer(IListeningPort)
class FakePort:
    """A port, bound until it is told to stop."""

    bound = True

    def startListening(self) -> None:
        """It does from the start."""

    def stopListening(self) -> Deferred[None]:
        """Let go."""
        self.bound = False
        return succeed(None)

    def getHost(self) -> None:
        """Nobody asks."""


@implementer(IStreamServerEndpoint)
@define
class FakeEndpoint:
    """An endpoint that is taken so many times before it is free."""

    taken: int = 0
    ports: list[FakePort] = field(factory=list)

    def listen(self, protocolFactory: IProtocolFactory) -> Deferred[IListeningPort]:
        """Bind, or not."""
        if self.taken:
            self.taken -= 1
            return fail(CannotListenError("", 8081, OSError(98, "Address already in use")))
        self.ports.append(FakePort())
        return succeed(self.ports[-1])


class ListenerTests(SynchronousTestCase):
    """`CallbackListener` with a clock that stands still."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.said: list[str] = []

        def observe(event: LogEvent) -> None:
            if event.get("log_namespace", "").endswith("CallbackListener"):
                self.said.append(formatEvent(event))

        globalLogPublisher.addObserver(observe)
        self.addCleanup(globalLogPublisher.removeObserver, observe)

    def listener(self, endpoint: FakeEndpoint) -> CallbackListener:
        """One that has been started."""
        made = CallbackListener(endpoint, Factory(), self.clock, where="tcp:8081", resync_interval=300)
        made.startService()
        return made

    def test_listens(self) -> None:
        """It listens from its start to its stop, in silence."""
        endpoint = FakeEndpoint()
        self.assertTrue(
            verifyObject(IStreamServerEndpoint, endpoint) and verifyObject(IListeningPort, FakePort())
        )
        listener = self.listener(endpoint)
        self.assertTrue(endpoint.ports[0].bound)
        self.successResultOf(listener.stopService())
        self.assertFalse(endpoint.ports[0].bound)
        self.assertEqual(self.said, [])

    def test_taken(self) -> None:
        """A port that is taken is said in one line with what to do, and bound when it is free."""
        endpoint = FakeEndpoint(taken=2)
        listener = self.listener(endpoint)
        (line,) = self.said
        for word in ("tcp:8081", "Address already in use", "--listening", "every 300 s"):
            self.assertIn(word, line)
        self.clock.pump([RETRY_DELAY, RETRY_DELAY])
        self.assertTrue(endpoint.ports[0].bound)
        self.successResultOf(listener.stopService())
        self.assertFalse(endpoint.ports[0].bound)

    def test_stopped_while_it_waits(self) -> None:
        """A stop ends the trying."""
        endpoint = FakeEndpoint(taken=9)
        self.successResultOf(self.listener(endpoint).stopService())
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.clock.advance(RETRY_DELAY)
        self.assertEqual(endpoint.ports, [])
