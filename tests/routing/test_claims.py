"""Who gets what two services want."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from marathonlb.routing.claims import Settled, own_ports, settle
from marathonlb.routing.services import Service
from marathonlb.settings import Settings
from tests.routing.apps import service


def settled(*services: Service, **options: Any) -> Settled:
    """The outcome under these settings."""
    return settle(services, Settings(**options))


def bound(outcome: Settled) -> dict[str, bool]:
    """Which service of which app has its port."""
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
        """One port on two addresses is no collision; every way to say "all" is one address."""
        table = (
            ("10.0.0.1", "10.0.0.2", True), ("10.0.0.1", "10.0.0.1", False), ("*", "0.0.0.0", False),
            ("*", "10.0.0.1", True), ("*", "[::1]", True),
        )  # fmt: skip
        for first, second, wanted in table:
            outcome = settled(service("a", bind_addr=first), service("b", bind_addr=second))
            self.assertEqual(bound(outcome), {"/a": True, "/b": wanted}, (first, second))

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
        )
        for port, address, options, wanted in table:
            outcome = settled(service("a", port, bind_addr=address), **options)
            self.assertEqual(bound(outcome), {"/a": wanted}, (port, address, options))
            self.assertEqual(len(outcome.problems), not wanted)

    def test_option_is_named(self) -> None:
        """The problem names the option that holds the port."""
        self.assertEqual(own_ports(Settings())[9090], [("*", "--bind-stats")])
        self.assertIn("--bind-stats", settled(service("a", 9090)).problems[0].reason)

    def test_backend_name(self) -> None:
        """Of two services whose backends would have one name the younger is out."""
        older = Service("/a/b", 0, 80, "a_b_80", "http", since="2020")
        younger = Service("/a_b", 0, 80, "a_b_80", "http", since="2021")
        outcome = settled(younger, older, bind_http="*:8080")
        self.assertEqual([each.app_id for each in outcome.services], ["/a/b"])
        self.assertEqual([problem.app_id for problem in outcome.problems], ["/a_b"])


class HostTests(SynchronousTestCase):
    """Virtual hosts and paths."""

    def test_same_path(self) -> None:
        """Of one host and path the older app keeps it, and the other keeps what else it has."""
        older = service("a", 1, hosts=("x.com",), paths=("/a", "/b"))
        younger = service("b", 2, hosts=("x.com", "y.com"), paths=("/b",), since="2021")
        outcome = settled(younger, older)
        self.assertEqual(outcome.lost, {("/b", 0): frozenset({("x.com", "/b")})})
        (problem,) = outcome.problems
        self.assertEqual((problem.label, problem.value), ("HAPROXY_0_VHOST", "x.com/b"))

    def test_weight(self) -> None:
        """The larger weight of the routing goes first here, too; a path's own weight counts."""
        table: tuple[tuple[dict[str, Any], dict[str, Any], str], ...] = (
            ({}, {"weight": 1}, "/a"),
            ({"weight": 2}, {"weight": 1}, "/b"),
            ({"paths": ("/x",)}, {"paths": ("/x",), "weight": 0}, "/b"),
            ({"paths": ("/x",)}, {"paths": ("/x",), "weight": 1}, "/b"),
            ({"paths": ("/x",)}, {"paths": ("/x",), "weight": 2}, "/a"),
        )
        for first, second, loser in table:
            outcome = settled(service("a", 1, hosts=("x",), **first), service("b", 2, hosts=("x",), **second))
            self.assertEqual([key[0] for key in outcome.lost], [loser], (first, second))

    def test_same_path_in_another_case(self) -> None:
        """Where one side ignores the case of paths, the younger app gets nothing of the older one's path."""
        table = (
            ("/cart", False, "/Cart", False, False),
            ("/cart", True, "/Cart", False, True),
            ("/cart", False, "/Cart", True, True),
            ("/cart", True, "/CART", True, True),
            ("/cart", True, "/carts", True, False),
            ("/\u00fc", True, "/\u00dc", True, False),  # HAProxy knows the letters of ASCII alone
        )
        for first, ignored, second, too, lost in table:
            older = service("z", 1, hosts=("x",), paths=(first,), ignore_path_case=ignored)
            younger = service("a", 2, hosts=("x",), paths=(second, "/b"), ignore_path_case=too, since="2021")
            wanted = {("/a", 0): frozenset({("x", second)})} if lost else {}
            outcome = settled(younger, older)
            self.assertEqual(outcome.lost, wanted, (first, second))
            self.assertEqual([problem.value for problem in outcome.problems], [f"x{second}"] * lost)

    def test_no_collision(self) -> None:
        """Other hosts, other paths, and a wildcard over a name are no collisions."""
        outcome = settled(
            service("a", 1, hosts=("x.com",)),
            service("b", 2, hosts=("x.com",), paths=("/",)),
            service("c", 3, hosts=("*.com",)),
            service("d", 4, hosts=("y.x.com",)),
        )
        self.assertEqual((outcome.lost, outcome.problems, outcome.contested), ({}, (), frozenset()))

    def test_contested(self) -> None:
        """Both sides of every collision are contested."""
        outcome = settled(service("a", 1, hosts=("x",)), service("b", 2, hosts=("x",)), service("c", 80))
        self.assertEqual(outcome.contested, {("/a", 0), ("/b", 0), ("/c", 0)})


MANY = st.lists(
    st.builds(
        lambda number, port, host, path, since, weight: service(
            f"app{number}", port, hosts=(host,), paths=path, since=since, weight=weight
        ),
        st.integers(0, 5),
        st.sampled_from((80, 10000, 10001)),
        st.sampled_from(("a.com", "b.com", "*.com")),
        st.sampled_from(((), ("/a",), ("/a", "/b"))),
        st.sampled_from(("2020", "2021")),
        st.sampled_from((None, 0, 3)),
    ),
    unique_by=lambda each: each.key,
    max_size=6,
)


class OrderTests(SynchronousTestCase):
    """Invariants."""

    @settings(max_examples=100, deadline=None)
    @given(MANY, st.randoms())
    def test_any_order(self, services: list[Service], chance: Any) -> None:
        """The outcome is the same in whatever order the services come."""
        first = settle(services, Settings())
        chance.shuffle(services)
        self.assertEqual(settle(services, Settings()), first)

    @settings(max_examples=100, deadline=None)
    @given(MANY)
    def test_one_owner(self, services: list[Service]) -> None:
        """Each host and path has one owner, each address and port too, and every loss has its problem."""
        outcome = settle(services, Settings())
        won = [
            (host, path)
            for each in outcome.services
            for host in each.hosts
            for path in each.paths or ("",)
            if (host, path) not in outcome.lost.get(each.key, frozenset())
        ]
        self.assertEqual(len(won), len(set(won)))
        ports = [each.service_port for each in outcome.services if each.binds_port]
        self.assertEqual(len(ports), len(set(ports)))
        losses = len(services) - len(outcome.services)
        losses += sum(not each.binds_port for each in outcome.services) + sum(map(len, outcome.lost.values()))
        self.assertEqual(losses, len(outcome.problems))
