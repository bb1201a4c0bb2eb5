"""Agents that send all requests to one endpoint."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import UNIXClientEndpoint
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.client import URI, Agent
from twisted.web.iweb import IAgentEndpointFactory
from zope.interface.verify import verifyObject

from marathonlb.base.endpoints import ChosenEndpointFactory


class ChosenEndpointFactoryTests(SynchronousTestCase):
    """`ChosenEndpointFactory`."""

    def setUp(self) -> None:
        self.reactor: Any = MemoryReactorClock()

    def endpoint(self, path: str) -> IStreamClientEndpoint:
        """Return the endpoint of a socket."""
        endpoint: IStreamClientEndpoint = UNIXClientEndpoint(self.reactor, path)
        return endpoint

    def test_fixed(self) -> None:
        """An agent's requests go to the fixed endpoint, no matter which URL they name."""
        factory = ChosenEndpointFactory.fixed(self.endpoint("/run/a.sock"))
        self.assertTrue(verifyObject(IAgentEndpointFactory, factory))
        agent = Agent.usingEndpointFactory(self.reactor, factory)
        for url in (b"http://haproxy/metrics", b"https://example.com:444/"):
            requested: Deferred[Any] = agent.request(b"GET", url)
            requested.addErrback(lambda _: None)
        self.assertEqual(["/run/a.sock"] * 2, [client[0] for client in self.reactor.unixClients])

    def test_chosen_by_url(self) -> None:
        """The function sees the URL of each request."""
        one, other = self.endpoint("/a"), self.endpoint("/b")
        factory = ChosenEndpointFactory(lambda uri: one if uri.port == 80 else other)
        self.assertIs(one, factory.endpointForURI(URI.fromBytes(b"http://x/")))
        self.assertIs(other, factory.endpointForURI(URI.fromBytes(b"http://x:81/")))
