"""How load balancers are found and asked."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from OpenSSL import SSL
from treq.testing import RequestTraversalAgent
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionRefusedError
from twisted.internet.interfaces import IHostnameResolver, IResolutionReceiver
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.iweb import IAgent
from twisted.web.resource import Resource
from zope.interface import implementer

from marathonlb.errors import SourceError
from marathonlb.zdd.clients.balancers import TIMEOUT, Balancers
from marathonlb.zdd.clients.statistics import View
from tests.zdd.clients.test_statistics import TABLE

PAGES = {"/haproxy": (200, TABLE), "/_haproxy_getpids": (200, "17 18")}


class Stats(Resource):
    """A stats address."""

    isLeaf = True

    def __init__(self, pages: dict[str, tuple[int, str]]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.pages = pages
        self.asked: list[tuple[str, str, str]] = []

    def render(self, request: Any) -> bytes:
        """One page."""
        user = request.getUser() + b":" + request.getPassword()
        self.asked.append((request.uri.decode(), request.getHeader("host"), user.decode()))
        status, text = self.pages.get(request.path.decode(), (404, ""))
        request.setResponseCode(status)
        return text.encode()


@implementer(IHostnameResolver)
class Names:
    """A name service."""

    def __init__(self, **names: str) -> None:
        self.names = names

    def resolveHostName(self, receiver: IResolutionReceiver, name: str, *more: Any, **most: Any) -> Any:
        """All addresses of a name."""
        for address in self.names.get(name, "").split():
            kind = IPv6Address if ":" in address else IPv4Address
            receiver.addressResolved(kind("TCP", address, 0))
        receiver.resolutionComplete()


@implementer(IAgent)
class Failing:
    """Never gets as far as a request."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def request(self, *more: Any) -> Deferred[Any]:
        """No."""
        failing: Deferred[Any] = Deferred()
        failing.errback(Failure(self.error))
        return failing


@implementer(IAgent)
class Silent:
    """Somebody who never answers."""

    def request(self, *arguments: Any, **more: Any) -> Deferred[Any]:
        """Wait."""
        return Deferred()


class LookTests(SynchronousTestCase):
    """One look."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.stats = Stats(dict(PAGES))
        self.connected: list[str] = []
        self.agents: Callable[[], IAgent] = lambda: RequestTraversalAgent(self.stats)

    def agent(self, address: str) -> IAgent:
        """Connects to an address."""
        self.connected.append(address)
        return self.agents()

    def balancers(self, *urls: str, names: Names | None = None, **more: Any) -> Balancers:
        """Those behind these URLs."""
        return Balancers(urls, self.agent, names or Names(), self.clock, **more)

    def look(self, *urls: str, **more: Any) -> tuple[View, ...]:
        """What they show."""
        return self.successResultOf(self.balancers(*urls, **more).look())

    def test_shown(self) -> None:
        """The servers and the number of processes."""
        (view,) = self.look("http://10.0.0.1:9090")
        self.assertEqual(
            ("http://10.0.0.1:9090", 2, 2, ""), (view.address, len(view.rows), view.workers, view.problem)
        )

    def test_every_address(self) -> None:
        """Of a name every IPv4 address is asked, each under the name; those of IPv6 where there is no other."""
        names = Names(lb="10.0.0.2 fd00::1 10.0.0.1", six="fd00::2")
        views = self.look("http://lb:9090", "http://six:9091", names=names)
        self.assertEqual(
            ["http://10.0.0.1:9090", "http://10.0.0.2:9090", "http://[fd00::2]:9091"],
            [view.address for view in views],
        )
        self.assertEqual({"10.0.0.1", "10.0.0.2", "fd00::2"}, set(self.connected))
        self.assertEqual({"lb:9090", "six:9091"}, {host for _, host, _ in self.stats.asked})
        self.assertIn("/haproxy?stats;csv", [path for path, _, _ in self.stats.asked])

    def test_unknown_name(self) -> None:
        """A name that cannot be resolved is no empty answer."""
        failure = self.failureResultOf(self.balancers("http://nowhere:9090").look(), SourceError)
        self.assertIn("cannot be resolved", str(failure.value))

    def test_credentials(self) -> None:
        """A user and a password go to the address that they are for, alone."""
        self.look(
            "http://10.0.0.1:1", "http://10.0.0.2:2", credentials={"http://10.0.0.1:1": ("me", "secret")}
        )
        users = {host: user for _, host, user in self.stats.asked}
        self.assertEqual({"10.0.0.1:1": "me:secret", "10.0.0.2:2": ":"}, users)

    def test_problems(self) -> None:
        """Whoever gives no whole answer is a problem with its address."""
        for path, answer, words in (
            ("/haproxy", (200, "<html>"), "not with HAProxy's statistics"),
            ("/haproxy", (404, ""), "has to be the stats address"),
            ("/haproxy", (401, ""), "requires a user"),
            ("/_haproxy_getpids", (503, ""), "its controller does not answer"),
        ):
            self.stats.pages = {**PAGES, path: answer}
            (view,) = self.look("http://10.0.0.1:9090")
            self.assertIn(words, view.problem)
            self.assertIn("http://10.0.0.1:9090", view.problem)

    def test_silence(self) -> None:
        """Whoever says nothing for too long is a problem, too."""
        self.agents = Silent
        looked = self.balancers("http://10.0.0.1:9090").look()
        self.assertNoResult(looked)
        self.clock.advance(TIMEOUT)
        (view,) = self.successResultOf(looked)
        self.assertIn("no answer within 10 seconds", view.problem)

    def test_below_http(self) -> None:
        """A connection that is refused, or whose TLS is, is told with this tool's option, not with Marathon's."""
        for error, words in (
            (ConnectionRefusedError(), "check --marathon-lb, and that marathon-lb runs there"),
            (
                SSL.Error([("", "", "certificate verify failed")]),
                "has to be signed by one of the system's authorities",
            ),
        ):
            self.agents = partial(Failing, error)
            (view,) = self.look("http://10.0.0.1:9090")
            self.assertIn(words, view.problem)
            self.assertNotIn("--marathon-ca-cert", view.problem)

    def test_cancelled(self) -> None:
        """A look can be broken off."""
        self.agents = Silent
        looked = self.balancers("http://10.0.0.1:9090").look()
        looked.addErrback(lambda _: None)
        looked.cancel()
        self.assertIsNone(self.successResultOf(looked))
        self.assertEqual([], [call for call in self.clock.getDelayedCalls() if call.active()])
