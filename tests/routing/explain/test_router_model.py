"""The model of HAProxy's routing; tests.integration.test_routing_model compares it with a real HAProxy."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from marathonlb.routing.explain.router_model import matches, odd_host, plain_host, route, why_before
from tests.routing.explain.clusters import SHOPS, Cluster


class HostTests(SynchronousTestCase):
    """Host headers."""

    def test_plain(self) -> None:
        """Port, case and dots at the end do not count."""
        for header, host in (
            ("Shop.Example.com:8080", "shop.example.com"),
            ("a.test.", "a.test"),
            ("[::1]:80", "[::1]"),
            ("[::1]", "[::1]"),
        ):
            self.assertEqual(host, plain_host(header))

    def test_odd(self) -> None:
        """A header that no client sends for one host is answered 400."""
        for header in ("a.test,b.test", "a b", "a/b", "ü.test"):
            self.assertTrue(odd_host(header), header)
        for header in ("a.test", "a_b.test:80", "[::1]", "*.a.test"[2:]):
            self.assertFalse(odd_host(header), header)


class RouteTests(SynchronousTestCase):
    """`route`, `matches` and `why_before`."""

    def setUp(self) -> None:
        self.rules = Cluster(SHOPS).state().rules

    def test_order(self) -> None:
        """The longest path of the exact host goes first, then the host, then the wildcard."""
        found = matches(self.rules, "shop.example.com", "/cart/1")
        self.assertEqual(["/shop/cart", "/shop/web", "/all"], [match.service.app_id for match in found])
        self.assertEqual([False, False, True], [match.wildcard for match in found])
        self.assertEqual("the longer path goes first", why_before(found[0], found[1]))
        self.assertEqual("an exact name goes before a wildcard", why_before(found[1], found[2]))

    def test_route(self) -> None:
        """The first rule catches the request; without one, and for an odd host, there is none."""
        caught = route(self.rules, "other.example.com", "/")
        assert caught is not None
        self.assertEqual(("/all", "*.example.com"), (caught.service.app_id, caught.host))
        self.assertIsNone(route(self.rules, "example.org", "/"))
        self.assertIsNone(route(self.rules, "a.example.com,b.example.com", "/"))
