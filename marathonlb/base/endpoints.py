"""HTTP agents whose requests all go to one place, no matter which host their URLs name."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.web.client import URI
from twisted.web.iweb import IAgentEndpointFactory
from zope.interface import implementer


@implementer(IAgentEndpointFactory)
class ChosenEndpointFactory:
    """
    The endpoint factory of a `twisted.web.client.Agent` that connects to the endpoints of its caller.

    :param choose: returns the endpoint for a URL, for example the same socket for every URL.
    """

    def __init__(self, choose: Callable[[URI], IStreamClientEndpoint]) -> None:
        self._choose = choose

    @classmethod
    def fixed(cls, endpoint: IStreamClientEndpoint) -> ChosenEndpointFactory:
        """Return a factory that connects every request over the same endpoint."""
        return cls(lambda uri: endpoint)

    def endpointForURI(self, uri: URI) -> IStreamClientEndpoint:
        """See `IAgentEndpointFactory`."""
        return self._choose(uri)
