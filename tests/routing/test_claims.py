"""Who gets what two services want."""

from __future__ import annotations

from typing import Any

from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from marathonlb.routing import precedence
from marathonlb.routing.claims import Settled, own_ports, settle
from marathonlb.routing.names import backend_name, distinct_backend_name, plain_backend
from marathonlb.routing.services.model import Service
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


class NameTests(SynchronousTestCase):
    """Names of backends."""

    def test_alike(self) -> None:
        """Of services whose backends would have one name the oldest has it, and the others a digest; all are served."""
        made = [
            Service(app_id, index, 80, backend_name(app_id, 80), "http", since=since)
            for app_id, index, since in (
                ("/a_b", 0, "2021"), ("/a/b", 0, "2020"), ("/a~b", 0, "2022"), ("/a/b", 1, "2020"),
                ("//a/b", 0, "2023"), ("a__b:/x", 0, "1"), ("/a//b/x", 0, "2"),
            )
        ]  # fmt: skip
        outcome = settled(*made, bind_http="*:8080")
        names = {each.key: each.backend for each in outcome.services}
        self.assertEqual(len(set(names.values())), len(made))
        self.assertEqual(names["/a/b", 0], "a_b_80")
        for key in (("/a_b", 0), ("/a~b", 0), ("/a/b", 1), ("//a/b", 0)):
            self.assertRegex(names[key], r"\Aa_b:[0-9a-f]{8}_80\Z")
            self.assertEqual(plain_backend(names[key]), "a_b_80")
            self.assertEqual(outcome.renamed[key], names[key])
        told = [each for each in outcome.problems if each.value == "a_b_80"]
        self.assertEqual({(each.app_id, each.fatal) for each in told} - {("/a/b", False)}, {
            ("/a_b", False), ("/a~b", False), ("//a/b", False),
        })  # fmt: skip

    def test_forged(self) -> None:
        """No id makes the name that a digest has given, and a digest that was found by trying grows."""
        first = distinct_backend_name("a_b_80", ("/a_b", 0), ())
        self.assertNotIn(":", backend_name(f"/{first}", 80))
        longer = distinct_backend_name("a_b_80", ("/a_b", 0), {first})
        self.assertEqual((len(longer), plain_backend(longer)), (len("a_b:_80") + 64, "a_b_80"))

    def test_shared_names(self) -> None:
        """No service has the name of anything of the load balancer's, nor a frontend that of a backend."""
        ids = (
            "/marathon/http/in",
            "/marathon_http_in",
            "/stats",
            "/marathon/lb",
            "/marathon_lb/backend",
            "/x_80/in",
        )
        for app_id in ids:
            name = backend_name(app_id, 65535)
            self.assertRegex(name, r"_65535\Z")
            self.assertRegex(Service(app_id, 0, 65535, name, "http").frontend, r"_65535_in\Z")


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
        """Of one owner's apps the one with the larger weight has a path that both want; a path's own weight counts."""
        table: tuple[tuple[dict[str, Any], dict[str, Any], str], ...] = (
            ({}, {"weight": 1}, "/a"),
            ({"weight": 2}, {"weight": 1}, "/b"),
            ({"paths": ("/x",)}, {"paths": ("/x",), "weight": 0}, "/b"),
            ({"paths": ("/x",)}, {"paths": ("/x",), "weight": 1}, "/b"),
            ({"paths": ("/x",)}, {"paths": ("/x",), "weight": 2}, "/a"),
        )
        for first, second, loser in table:
            for older, loses in (("t/a", f"/t{loser}"), ("a", "/t/b")):
                outcome = settled(
                    service(older, 1, hosts=("x",), since="2019", **first),
                    service("t/b", 2, hosts=("x",), **second),
                )
                self.assertEqual([key[0] for key in outcome.lost], [loses], (first, second))

    def test_whole_host(self) -> None:
        """The path / is every path: it takes nothing from an older app that has the host, nor the other way round."""
        for first, second in (
            ((), ("/",)),
            (("/",), ()),
            (("/",), ("/",)),
            ((), ("/x", "/")),
            (("/a", "/"), ("/",)),
        ):
            for more in ({}, {"weight": 9}, {"ignore_path_case": True}):
                outcome = settled(
                    service("old", 1, hosts=("x.com",), paths=first, since="2019"),
                    service("new", 2, hosts=("x.com",), paths=second, **more),
                )
                wanted = frozenset({("x.com", "/" if "/" in second else "")})
                self.assertEqual(outcome.lost, {("/new", 0): wanted}, (first, second, more))

    def test_weight_of_a_younger_app(self) -> None:
        """A weight takes nothing from an older app of another owner: it is not used, and the reason names both."""
        table: tuple[tuple[dict[str, Any], dict[str, Any], bool], ...] = (
            ({"hosts": ("www.x.com",)}, {"hosts": ("*.x.com",), "weight": 5}, False),
            ({"hosts": ("www.x.com",)}, {"hosts": ("*.com",), "weight": 0}, True),
            ({"hosts": ("www.x.com",)}, {"hosts": ("*.com",), "weight": -1}, True),
            ({"hosts": ("*.x.com",)}, {"hosts": ("*.com",), "weight": 1}, False),
            ({"hosts": ("*.x.com",)}, {"hosts": ("www.x.com",), "weight": 1}, True),
            ({"hosts": ("x.com",), "paths": ("/cart",)}, {"hosts": ("x.com",), "weight": 2}, False),
            ({"hosts": ("x.com",), "paths": ("/cart",)}, {"hosts": ("x.com",), "weight": 1}, True),
            ({"hosts": ("x.com",), "paths": ("/cart",)}, {"hosts": ("x.com",), "paths": ("/c",), "weight": 2}, False),
            ({"hosts": ("x.com",), "paths": ("/cart",)}, {"hosts": ("x.com",), "paths": ("/d",), "weight": 2}, True),
            ({"hosts": ("x.com",), "paths": ("/Cart",)},
             {"hosts": ("x.com",), "paths": ("/c",), "ignore_path_case": True, "weight": 2}, False),
            ({"hosts": ("x.com",)}, {"hosts": ("x.com",), "paths": ("/c",), "weight": 9}, True),
            ({"hosts": ("x.com",), "weight": 5}, {"hosts": ("x.com",), "paths": ("/c",), "weight": 9}, False),
            ({"hosts": ("x.com",), "paths": ("/c",), "weight": -5}, {"hosts": ("x.com",), "weight": -1}, True),
            ({"hosts": ("y.com",)}, {"hosts": ("x.com",), "weight": 9}, True),
        )  # fmt: skip
        for first, second, used in table:
            old = service("old", 1, since="2019", **first)
            new = service("new", 2, **second)
            outcome = settled(new, old)
            kept = next(each for each in outcome.services if each.app_id == "/new")
            self.assertEqual(kept.weight, second["weight"] if used else None, (first, second))
            told = [(p.app_id, p.label, p.fatal) for p in outcome.problems]
            self.assertEqual(told, [] if used else [("/new", "HAPROXY_0_BACKEND_WEIGHT", False)])
            if not used:
                self.assertIn("requests from /old, which is older", outcome.problems[0].reason)
                self.assertEqual(outcome.contested, {old.key, new.key})
                for mine in (evolve(old, since="2021"), evolve(old, app_id="/t/old")):
                    younger = evolve(new, app_id="/t/new") if mine.app_id == "/t/old" else new
                    again = settled(mine, younger)
                    self.assertEqual([p.label for p in again.problems], [], (first, second))
                self.assertEqual(settled(evolve(old, since="2021"), new).contested, {old.key, new.key})

    def test_weights_of_equally_old_apps(self) -> None:
        """Of apps that are equally old weights order the paths of one host, and take no other host."""
        for mine, used in (
            ((("x.com",), ("/c",)), True),
            ((("x.com",), ()), True),
            ((("*.com",), ()), False),
        ):
            old = service("a", 1, hosts=("x.com",), paths=("/cart",))
            new = service("b", 2, hosts=mine[0], paths=mine[1], weight=9)
            told = [problem.label for problem in settled(old, new).problems]
            self.assertEqual(told, [] if used else ["HAPROXY_0_BACKEND_WEIGHT"])

    def test_younger_rules_without_end(self) -> None:
        """No number of hosts that younger apps claim below an older one's wildcard takes its weight away."""
        old = service("bank/web", 1, hosts=("*.bank.test",), paths=("/a", "/b"), weight=9, since="2019")
        new = service("evil/x", 2, hosts=tuple(f"h{n}.bank.test" for n in range(2000)), since="2020")
        self.patch(precedence, "MOST_COMPARED", 1000)
        outcome = settled(new, old)
        self.assertEqual((), outcome.problems)
        self.assertEqual({old.key, new.key}, outcome.contested)

    def test_too_many_moved(self) -> None:
        """A weight that would take many hosts of others out of the map files is not used, be it small or large."""
        many = [service(f"a{n}", 1000 + n, hosts=(f"h{n}.x.com",)) for n in range(1, 102)]
        for hosts, weight in (
            (("*.x.com",), -3),
            (("*.com",), 0),
            (("*.h1.x.com", "*.x.com"), 5),
            (("y.x.com",), -1),
        ):
            mine = service("new", 999, hosts=hosts, weight=weight, since="2021")
            cover = service("wide", 998, hosts=("*.x.com",), since="2022")
            for others, used in ((many, False), (many[:50], weight < 5)):
                outcome = settled(*others, *([cover] if hosts == ("y.x.com",) else []), mine)
                self.assertEqual(
                    [p.label for p in outcome.problems],
                    [] if used else ["HAPROXY_0_BACKEND_WEIGHT"],
                    (hosts, used),
                )
            own = [evolve(each, app_id=f"/t/{n}") for n, each in enumerate(many)]
            self.assertEqual(settled(*own, evolve(mine, app_id="/t/new")).problems, ())

    def test_too_many_to_compare(self) -> None:
        """A weight that meets too many rules is not used, which is found out soon."""
        self.patch(precedence, "MOST_COMPARED", 10)
        many = service("old", 1, hosts=tuple(f"h{n}.com" for n in range(11)))
        wide = service("new", 2, hosts=("*.com",), weight=-1, since="2021")
        self.assertEqual([p.label for p in settled(many, wide).problems], ["HAPROXY_0_BACKEND_WEIGHT"])

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
            service("b", 2, hosts=("x.com",), paths=("/b",)),
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
        names = [each.backend for each in outcome.services]
        self.assertEqual((len(set(names)), len(names)), (len(services), len(services)))
        ports = [each.service_port for each in outcome.services if each.binds_port]
        self.assertEqual(len(ports), len(set(ports)))
        losses = sum(not each.binds_port for each in outcome.services) + sum(map(len, outcome.lost.values()))
        self.assertEqual(losses, sum(problem.fatal for problem in outcome.problems))
