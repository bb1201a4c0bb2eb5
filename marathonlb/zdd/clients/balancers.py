"""Client of the load balancers: all addresses behind a name, and the statistics of each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import urlsplit

import treq.client
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.endpoints import HostnameEndpoint, wrapClientTLS
from twisted.internet.interfaces import IHostnameResolver, IReactorTime, IStreamClientEndpoint
from twisted.python.failure import Failure
from twisted.web.client import URI, Agent
from twisted.web.iweb import IAgent, IPolicyForHTTPS
from zope.interface import Interface, implementer

from marathonlb.base.endpoints import ChosenEndpointFactory
from marathonlb.errors import MarathonLBError, SourceError
from marathonlb.marathon.api.body import BodyReader, TooBig
from marathonlb.marathon.api.failures import FAILURES, AskedServer, failure
from marathonlb.marathon.api.unpack import UnpackingAgent
from marathonlb.marathon.dns import is_address, resolve
from marathonlb.zdd.clients.statistics import View, parse

STATISTICS = "/haproxy?stats;csv"
PROCESSES = "/_haproxy_getpids"

TIMEOUT = 10.0
"""Maximum seconds until a load balancer has answered."""

MAX_BODY = 256 * 1024 * 1024
"""Maximum bytes of an answer."""

CONNECT_TIMEOUT = 5.0
"""Maximum seconds until a connection is made."""

_BALANCER = AskedServer(
    "--marathon-lb",
    "marathon-lb",
    untrusted="its certificate has to be signed by one of the system's authorities",
    unknown_client="this tool has no client certificate for a load balancer",
)


class IBalancers(Interface):
    """The load balancers of a deployment."""

    def look() -> Deferred[tuple[View, ...]]:
        """
        Read the statistics of each, or why it cannot be read.

        Fails with `marathonlb.errors.SourceError` if their name cannot be resolved.
        """


MakeAgent = Callable[[str], IAgent]
"""Function of an address, which returns an agent that connects to it, whatever host a URL names."""


@implementer(IBalancers)
class Balancers:
    """
    The load balancers behind URLs, whose names are resolved at each read.

    Of a name only the IPv4 addresses are used, or the IPv6 ones if there are none, so no machine counts twice.

    :param urls: base URLs of the stats addresses.
    :param agent: returns an agent for an address.
    :param credentials: URL to user and password, for basic auth.
    """

    def __init__(
        self,
        urls: Sequence[str],
        agent: MakeAgent,
        resolver: IHostnameResolver,
        clock: IReactorTime,
        credentials: dict[str, tuple[str, str]] | None = None,
    ) -> None:
        self._urls = tuple(urls)
        self._agent = agent
        self._resolver = resolver
        self._clock = clock
        self._credentials = credentials or {}

    def look(self) -> Deferred[tuple[View, ...]]:
        """See `IBalancers.look`."""
        return Deferred.fromCoroutine(self._look())

    async def _look(self) -> tuple[View, ...]:
        views: list[Deferred[View]] = []
        for url in self._urls:
            for address in await self._addresses(url):
                views.append(Deferred.fromCoroutine(self._view(url, address)))
        return tuple(await gatherResults(views, consumeErrors=True))

    async def _addresses(self, url: str) -> list[str]:
        host = urlsplit(url).hostname or ""
        if is_address(host):
            return [host]
        resolved: Deferred[list[str]] = resolve(self._resolver, host)
        addresses = sorted(set(filter(is_address, await resolved)))
        if not addresses:
            raise SourceError(url=url, reason="its name cannot be resolved; check --marathon-lb")
        return [address for address in addresses if ":" not in address] or addresses

    async def _view(self, url: str, address: str) -> View:
        shown = _shown(url, address)
        try:
            table = await self._page(url, address, STATISTICS)
            pids = (await self._page(url, address, PROCESSES)).split()
            return View(shown, parse(table), len(pids))
        except MarathonLBError as error:
            return View(shown, problem=str(error))
        except ValueError as error:
            return View(shown, problem=f"{shown}: it answers, but {error}")

    async def _page(self, url: str, address: str, path: str) -> str:
        where = _shown(url, address) + path.partition("?")[0]

        def too_late(result: object, timeout: float) -> Failure:
            return Failure(SourceError(url=where, reason=f"no answer within {timeout:g} seconds"))

        asked = Deferred.fromCoroutine(self._fetch(url, address, path, where))
        return await asked.addTimeout(TIMEOUT, self._clock, onTimeoutCancel=too_late)

    async def _fetch(self, url: str, address: str, path: str, where: str) -> str:
        client = treq.client.HTTPClient(UnpackingAgent(self._agent(address)))
        body = bytearray()
        try:
            response = await client.get(
                url + path, auth=self._credentials.get(url), allow_redirects=False, unbuffered=True
            )
            await BodyReader(body.extend, MAX_BODY).read(response)
        except TooBig:
            raise SourceError(url=where, reason=f"the answer is longer than {MAX_BODY} bytes") from None
        except FAILURES as error:
            raise failure(where, error, server=_BALANCER) from None
        if response.code != 200:
            raise SourceError(
                url=where, reason=_STATUS.get(response.code, "no statistics"), status=response.code
            )
        return body.decode("utf-8", "replace")


_STATUS = {
    401: "it requires a user and a password; give them in --marathon-lb http://user:password@host:9090",
    403: "it refuses access",
    404: "there is no such page; --marathon-lb has to be the stats address of marathon-lb (--bind-stats)",
    503: "its controller does not answer",
}


def _shown(url: str, address: str) -> str:
    parts = urlsplit(url)
    host = f"[{address}]" if ":" in address else address
    return f"{parts.scheme}://{host}:{parts.port}"


def agents(reactor: Any, policy: IPolicyForHTTPS) -> MakeAgent:
    """
    Return a function that makes an agent for an address.

    :param policy: verifies certificates over https.
    """

    def make(address: str) -> IAgent:
        def endpoint_for(uri: URI) -> IStreamClientEndpoint:
            endpoint = HostnameEndpoint(reactor, address.encode(), uri.port, timeout=CONNECT_TIMEOUT)
            if uri.scheme == b"https":
                return wrapClientTLS(policy.creatorForNetloc(uri.host, uri.port), endpoint)
            return endpoint

        agent: IAgent = Agent.usingEndpointFactory(reactor, ChosenEndpointFactory(endpoint_for))
        return agent

    return make
