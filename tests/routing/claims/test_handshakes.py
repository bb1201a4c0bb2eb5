"""TLS that is passed through: which service has a name that several want."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from marathonlb.routing.claims.ports import own_ports
from marathonlb.routing.claims.settle import settle
from marathonlb.routing.services.model import Service
from marathonlb.settings import Settings
from tests.routing.apps import service

PASSING = service("b", 2, mode="tcp", passthrough=("a.test",), since="2020")


class HandshakeTests(SynchronousTestCase):
    """Who gets a name that several want."""

    def outcome(self, *services: Service) -> tuple[dict[str, tuple[str, ...]], list[tuple[str, bool]]]:
        """What each may have passed through, and the problems: whose, and whether they are fatal."""
        orders = []
        for order in (services, services[::-1]):
            got = settle(order, Settings())
            passing = {each.app_id: each.passthrough for each in got.services}
            orders.append((passing, [(problem.app_id, problem.fatal) for problem in got.problems]))
            if got.problems:
                self.assertEqual({each.key for each in services}, got.contested)
        self.assertEqual(orders[0], orders[1])
        return orders[0]

    def test_two_that_pass(self) -> None:
        """The older app keeps a name; the other one keeps its other names."""
        old = service("old", 1, mode="tcp", passthrough=("a.test",), since="1")
        new = service("new", 2, mode="tcp", passthrough=("a.test", "b.test"), since="2")
        self.assertEqual(
            ({"/old": ("a.test",), "/new": ("b.test",)}, [("/new", True)]), self.outcome(old, new)
        )

    def test_taken_over(self) -> None:
        """A younger app cannot take the TLS of a host away from the older one that serves it."""
        old = service("old", 1, hosts=("a.test",), since="1")
        new = service("new", 2, mode="tcp", passthrough=("a.test",), since="2")
        self.assertEqual(({"/old": (), "/new": ()}, [("/new", True)]), self.outcome(old, new))

    def test_joined(self) -> None:
        """A younger one that serves a host which is passed through serves it over http, and is told so."""
        old = service("old", 1, mode="tcp", passthrough=("a.test",), since="1")
        new = service("new", 2, hosts=("a.test",), since="2")
        self.assertEqual(({"/old": ("a.test",), "/new": ()}, [("/new", False)]), self.outcome(old, new))

    def test_one_app(self) -> None:
        """One app may answer http on one port and TLS on another."""
        one = service("one", 1, hosts=("a.test",))
        two = service("one", 2, mode="tcp", passthrough=("a.test",), port_index=1)
        got = settle([one, two], Settings())
        self.assertEqual((("a.test",), ()), (got.services[1].passthrough, got.problems))

    def test_own_port(self) -> None:
        """The https port is the load balancer's also where nothing but passed connections uses it."""
        settings = Settings(ssl_certs=())
        self.assertNotIn(443, own_ports(settings))
        self.assertIn(443, own_ports(settings, passing=True))
        young = service("a", 443, since="2021")
        self.assertFalse(settle([young, PASSING], settings).services[0].binds_port)

    def test_port_of_an_older_app(self) -> None:
        """Who has the https port because nothing else was there keeps it: nothing younger is passed through."""
        settings = Settings(ssl_certs=())
        for old in (service("a", 443), service("a", 443, bind_addr="10.0.0.1")):
            got = settle([old, PASSING], settings)
            self.assertEqual(
                [(each.binds_port, each.passthrough) for each in got.services], [(True, ()), (True, ())]
            )
            (problem,) = got.problems
            self.assertEqual(
                (problem.app_id, problem.label, problem.value), ("/b", "HAPROXY_0_VHOST", "a.test")
            )
            self.assertEqual(got.contested, {("/a", 0), ("/b", 0)})
        own = settle([service("a", 443), PASSING], Settings())
        self.assertEqual([each.passthrough for each in own.services], [(), ("a.test",)])
