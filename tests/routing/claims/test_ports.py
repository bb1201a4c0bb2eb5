"""Ports of the load balancer itself, and ports that several services want."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from marathonlb.routing.claims.ports import own_ports
from marathonlb.routing.claims.settle import Settled, settle
from marathonlb.settings import Settings
from tests.routing.apps import service
from tests.routing.claims.test_settle import settled


def bound(outcome: Settled) -> dict[str, bool]:
    """Which app's service has its port."""
    return {each.app_id: each.binds_port for each in outcome.services}


class PortTests(SynchronousTestCase):
    """Service ports."""

    def test_same_port(self) -> None:
        """The older app keeps the port; the other one is served without it, and its problem names both."""
        outcome = settled(service("a", since="2021"), service("b", since="2020"))
        self.assertEqual(bound(outcome), {"/a": False, "/b": True})
        (problem,) = outcome.problems
        self.assertEqual((problem.app_id, problem.label, problem.value), ("/a", "HAPROXY_0_PORT", "10000"))
        self.assertIn("/b is older and keeps it", problem.reason)
        self.assertIn("/a", problem.reason)

    def test_tie(self) -> None:
        """Of two equally old apps the smaller id keeps it."""
        self.assertEqual(bound(settled(service("b"), service("a"))), {"/a": True, "/b": False})

    def test_addresses(self) -> None:
        """Every address overlaps all of them, and so does a name; two addresses are apart, however they are written."""
        table = (
            ("10.0.0.1", "10.0.0.2", True), ("10.0.0.1", "10.0.0.1", False), ("*", "0.0.0.0", False),
            ("*", "10.0.0.1", False), ("*", "[::1]", False), ("0.0.0.0", "[::]", False),
            ("[::]", "10.0.0.1", False), ("[::ffff:0.0.0.0]", "10.0.0.1", False), ("[::1]", "127.0.0.1", True),
            ("[::ffff:10.0.0.1]", "10.0.0.1", False), ("[::ffff:a00:1]", "10.0.0.1", False),
            ("localhost", "10.0.0.1", False), ("0x7f.1", "127.0.0.1", False), ("a.test", "b.test", False),
        )  # fmt: skip
        for pair in (table[0], *table):
            for first, second in (pair[:2], pair[1::-1]):
                outcome = settled(service("a", bind_addr=first), service("b", bind_addr=second))
                self.assertEqual(bound(outcome), {"/a": True, "/b": pair[2]}, (first, second))
                self.assertEqual(len(outcome.contested), 0 if pair[2] else 2)

    def test_loser_holds_nothing(self) -> None:
        """Who has lost a port keeps nobody else out of it."""
        outcome = settled(
            service("a", bind_addr="10.0.0.1"), service("b"), service("c", bind_addr="10.0.0.2"), service("d")
        )
        self.assertEqual(bound(outcome), {"/a": True, "/b": False, "/c": True, "/d": False})

    def test_own_ports(self) -> None:
        """A port of the load balancer's own is nobody else's, where the addresses meet."""
        table: tuple[tuple[int, str, dict[str, Any], bool], ...] = (
            (80, "*", {}, False),
            (443, "*", {}, False),
            (9090, "10.0.0.1", {}, False),
            (9091, "*", {}, False),
            (80, "*", {"bind_http": "10.0.0.1:80"}, False),
            (80, "10.0.0.2", {"bind_http": "10.0.0.1:80"}, True),
            (80, "10.0.0.1", {"bind_http": "10.0.0.1:80"}, False),
            (80, "10.0.0.9", {"bind_http": "0.0.0.0:80"}, False),
            (80, "10.0.0.2", {"bind_http": "10.0.0.1:80,10.0.0.2:80"}, False),
            (80, "10.0.0.2", {"bind_http": "10.0.0.1:80", "bind_https": "10.0.0.2:80"}, False),
            (80, "*", {"dont_bind_http_https": True}, True),
            (443, "*", {"ssl_certs": ()}, True),
            (8080, "*", {}, True),
            (80, "[::]", {"bind_http": "10.0.0.1:80"}, False),
            (80, "localhost", {"bind_http": "10.0.0.1:80"}, False),
            (80, "10.0.0.1", {"bind_http": "lb.example.com:80"}, False),
            (80, "10.0.0.2", {"bind_http": "[::ffff:10.0.0.1]:80"}, True),
            (80, "10.0.0.1", {"bind_http": "[::ffff:10.0.0.1]:80"}, False),
            (81, "10.0.0.1", {"bind_http": ":80-82"}, False),
            (80, "10.0.0.1", {"bind_http": "ipv4@:80 name a,ipv6@[::1]:81"}, False),
            (8404, "10.0.0.1", {"bind_stats": ":8404 ssl crt /a:80"}, False),
            (9090, "*", {"bind_stats": "unix@/run/x:9090"}, True),
            (8081, "10.0.0.1", {"mode": "event"}, False),
            (8081, "10.0.0.1", {"mode": "event", "listening": "tcp:8082"}, True),
            (8082, "10.0.0.1", {"mode": "event", "listening": "tcp6:port=8082:interface=\\:\\:1"}, False),
            (8081, "10.0.0.1", {}, True),
        )
        for port, address, options, wanted in table:
            outcome = settled(service("a", port, bind_addr=address), **options)
            self.assertEqual(bound(outcome), {"/a": wanted}, (port, address, options))
            self.assertEqual(len(outcome.problems), not wanted)

    def test_option_is_named(self) -> None:
        """The problem names the option that holds the port."""
        self.assertEqual(own_ports(Settings())[9090], [("*", "--bind-stats")])
        self.assertIn("--bind-stats", settled(service("a", 9090)).problems[0].reason)

    def test_written_ports(self) -> None:
        """What the operator's own text binds is nobody else's, either."""
        outcome = settle(
            [service("a", 8404, bind_addr="10.0.0.1")], Settings(), {8404: [("*", "HAPROXY_HEAD")]}
        )
        self.assertEqual(bound(outcome), {"/a": False})
        self.assertIn("(HAPROXY_HEAD)", outcome.problems[0].reason)
