"""The order of the routing rules, and that maps and ACLs give the same answers."""

from __future__ import annotations

import random
from typing import Any

from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from marathonlb.routing.claims.settle import settle
from marathonlb.routing.explain.router_model import route
from marathonlb.routing.precedence import seniority, weight_of
from marathonlb.routing.rules import AclRule, Rules, RulesByHost, app_id_services, rules_of
from marathonlb.routing.services.model import Service
from marathonlb.settings import Settings
from tests.routing.apps import service

HOSTS = ("a.com", "b.a.com", "c.b.a.com", "d.net")
WILDCARDS = ("*.com", "*.a.com", "*.b.a.com", "*.net")
PATHS = ("/", "/x", "/x/y", "/X", "/X/y")
REQUESTS = tuple(
    (host, path)
    for host in (*HOSTS, "A.com:80", "z.com", "z.a.com", "z.b.a.com", "e.net", "com", "else")
    for path in ("/", "/x", "/x/y/z", "/X/y", "/other")
)


def overridden(each: Service) -> bool:
    return "HTTP_FRONTEND_ACL" in each.overrides


def rules(services: list[Service], *, maps: bool = True, names_app: Any = lambda each: False) -> Rules:
    """The rules of some services."""
    settled = settle(services, Settings())
    return rules_of(settled.services, settled.lost, overridden, maps=maps, names_app=names_app)


def answers(services: list[Service], *, maps: bool) -> dict[tuple[str, str], str]:
    """Who answers each of the requests."""
    made = rules(services, maps=maps)
    found = {}
    for host, path in REQUESTS:
        match = route(made, host, path)
        found[host, path] = match.service.backend if match else ""
    return found


def oracle(services: list[Service]) -> dict[tuple[str, str], str]:
    """The same, said in another way: of all that fits, weight, exact name, longer name, longer path, the older app."""
    settled = settle(services, Settings())
    found = {}
    for asked, path in REQUESTS:
        host = asked.partition(":")[0].lower()
        fits = []
        for each in settled.services:
            if each.mode != "http":
                continue
            for name in each.hosts:
                wildcard = name.startswith("*.")
                if not (host.endswith(name[1:]) if wildcard else host == name):
                    continue
                for prefix in each.paths or ("",):
                    fold = str.lower if each.ignore_path_case else str
                    if (name, prefix) in settled.lost.get(each.key, ()) or not fold(path).startswith(
                        fold(prefix)
                    ):
                        continue
                    weight = weight_of(each, prefix not in ("", "/"), wildcard)
                    length = len(name) if wildcard else 0
                    reach = 0 if prefix == "/" else len(prefix)
                    fits.append((-weight, wildcard, -length, -reach, *seniority(each), each.backend))
        found[asked, path] = min(fits)[-1] if fits else ""
    return found


def make(number: int, hosts: list[str], paths: list[str], **more: Any) -> Service:
    return service(f"app{number}", 10000 + number, hosts=tuple(hosts), paths=tuple(paths), **more)


SERVICES = st.lists(
    st.builds(
        make,
        st.integers(0, 9),
        st.lists(st.sampled_from(HOSTS + WILDCARDS), min_size=1, max_size=3, unique=True),
        st.lists(st.sampled_from(PATHS), max_size=2, unique=True),
        weight=st.sampled_from((None, None, None, -1, 0, 1, 5)),
        ignore_path_case=st.sampled_from((False, False, True)),
        mode=st.sampled_from(("http", "http", "http", "tcp")),
        since=st.sampled_from(("2020", "2021")),
    ),
    unique_by=lambda each: each.key,
    max_size=6,
)


class AnswerTests(SynchronousTestCase):
    """Who answers."""

    @settings(max_examples=250, deadline=None)
    @given(SERVICES)
    def test_same_answers(self, services: list[Service]) -> None:
        """Maps and ACLs lead every request to the same service, which is the one that the contract's order names."""
        wanted = oracle(services)
        self.assertEqual(answers(services, maps=False), wanted)
        self.assertEqual(answers(services, maps=True), wanted)

    @settings(max_examples=250, deadline=None)
    @given(
        SERVICES,
        st.lists(st.sampled_from(HOSTS + WILDCARDS), min_size=1, max_size=3, unique=True),
        st.lists(st.sampled_from(PATHS), max_size=2, unique=True),
        st.booleans(),
        st.sampled_from((-2, 0, 1, 2, 5, 2**31 - 1)),
    )
    def test_weight_takes_nothing(
        self, services: list[Service], hosts: list[str], paths: list[str], ignores: bool, weight: int
    ) -> None:
        """What others answer beside a younger app without a weight they answer whatever weight it has."""
        hostile = make(10, hosts, paths, ignore_path_case=ignores, since="2022")
        for maps in (True, False):
            before = answers([*services, hostile], maps=maps)
            after = answers([*services, evolve(hostile, weight=weight)], maps=maps)
            theirs = {asked: who for asked, who in before.items() if who != hostile.backend}
            self.assertEqual({asked: after[asked] for asked in theirs}, theirs)

    @settings(max_examples=100, deadline=None)
    @given(SERVICES, st.lists(st.sampled_from(HOSTS + WILDCARDS), min_size=1, max_size=3, unique=True))
    def test_whole_host(self, services: list[Service], hosts: list[str]) -> None:
        """The path / is the whole host."""
        for more in ([], ["/x"]):
            whole = answers(
                [*services, make(10, hosts, [], since="2022"), make(11, hosts, more, since="2023")], maps=True
            )
            slash = [*services, make(10, hosts, ["/"], since="2022"), make(11, hosts, more, since="2023")]
            self.assertEqual(answers(slash, maps=True), whole)
            self.assertEqual(answers(slash, maps=False), whole)

    @settings(max_examples=100, deadline=None)
    @given(SERVICES, st.randoms())
    def test_any_order(self, services: list[Service], chance: Any) -> None:
        """The rules are the same in whatever order the services come."""
        first = [rules(services, maps=maps) for maps in (True, False)]
        chance.shuffle(services)
        self.assertEqual([rules(services, maps=maps) for maps in (True, False)], first)

    @settings(max_examples=100, deadline=None)
    @given(SERVICES)
    def test_one_mechanism(self, services: list[Service]) -> None:
        """Each host is routed by maps or by ACLs, and each ACL name of a service stands for one set of hosts."""
        made = rules(services)
        by_map = {rule.key for rule in made.hosts} | {rule.key.partition("/")[0] for rule in made.paths}
        by_map |= {f"*{rule.key}" for rule in made.wildcards}
        acls = (*made.first, *made.later)
        self.assertFalse(by_map & {host for rule in acls for host in rule.hosts})
        self.assertEqual(len({(rule.service.key, rule.number) for rule in acls}), len(acls))


class MapTests(SynchronousTestCase):
    """Which mechanism routes a host."""

    def test_plain(self) -> None:
        """Plain services need no ACL at all."""
        made = rules([make(1, ["a.com", "*.a.com"], []), make(2, ["a.com"], ["/x", "/x/y"])])
        self.assertEqual((made.first, made.later), ((), ()))
        self.assertEqual([rule.key for rule in made.paths], ["a.com/x", "a.com/x/y"])
        self.assertEqual([rule.key for rule in made.hosts], ["a.com"])
        self.assertEqual([rule.key for rule in made.wildcards], [".a.com"])

    def test_wildcards_in_order(self) -> None:
        """Wildcards are written longest first, since the first that fits is taken."""
        made = rules([make(1, ["*.com"], []), make(2, ["*.b.a.com"], []), make(3, ["*.a.com"], [])])
        self.assertEqual([rule.key for rule in made.wildcards], [".b.a.com", ".a.com", ".com"])

    def test_special_host_leaves_the_maps(self) -> None:
        """A weight, an ignored case or an override take the whole host out of the maps, and no other host."""
        for more in ({"weight": 0}, {"ignore_path_case": True}, {"overrides": {"HTTP_FRONTEND_ACL": "x"}}):
            made = rules([make(1, ["a.com"], ["/x"], **more), make(2, ["a.com", "d.net"], [])])
            self.assertEqual([rule.key for rule in made.hosts], ["d.net"], more)
            self.assertEqual([rule.service.app_id for rule in made.first], ["/app1", "/app2"], more)

    def test_overridden_in_one_rule(self) -> None:
        """An overridden template speaks for all hosts and paths of its service at once, under plain names."""
        made = rules([make(1, ["a.com", "d.net"], ["/x", "/x/y"], overrides={"HTTP_FRONTEND_ACL": "x"})])
        (rule,) = made.first
        self.assertEqual((rule.hosts, rule.paths, rule.number), (("a.com", "d.net"), ("/x", "/x/y"), 0))
        self.assertTrue(rule.overridden)

    def test_alike(self) -> None:
        """Of overridden services whose ACLs would have one name the oldest has it, in whatever order they come."""
        both = [
            service("x", 1, hosts=("a.example.com",), overrides={"HTTP_FRONTEND_ACL": "x"}, since="2021"),
            service("com/x", 2, hosts=("a.example",), overrides={"HTTP_FRONTEND_ACL": "x"}),
            service("else", 3, hosts=("b.example",), overrides={"HTTP_FRONTEND_ACL": "x"}),
        ]
        for some in (both, both[::-1]):
            told = {rule.service.app_id: rule.alike for rule in rules(some).first}
            self.assertEqual(told, {"/x": True, "/com/x": False, "/else": False})
            self.assertEqual(rules(some).alike, {("/x", 0), ("/com/x", 0)})

    def test_heavy_wildcard(self) -> None:
        """A wildcard with a weight goes before the maps, with every host it covers."""
        made = rules([make(1, ["*.a.com"], [], weight=9), make(2, ["b.a.com", "d.net"], [])])
        self.assertEqual([rule.hosts for rule in made.first], [("*.a.com",), ("b.a.com",)])
        self.assertEqual([rule.key for rule in made.hosts], ["d.net"])

    def test_tcp(self) -> None:
        """A service in mode tcp has no rule on the shared frontends."""
        self.assertEqual(rules([make(1, ["a.com"], [], mode="tcp")]), Rules())


class AppIdTests(SynchronousTestCase):
    """The frontend by app id."""

    def test_first_http_port(self) -> None:
        """An app's id leads to the first of its HTTP ports."""
        ports = [service("a", 3, port_index=2), service("a", 2, port_index=1), service("a", 1, mode="tcp")]
        self.assertEqual([each.port_index for each in app_id_services(ports)], [1])
        self.assertEqual([rule.key for rule in rules(ports).app_ids], ["/a"])

    def test_overridden_routing(self) -> None:
        """An override of the host's rule leaves the app's id in its map; one of the app id's rule does not."""
        each = service("a", 1, hosts=("a.com",), overrides={"HTTP_FRONTEND_ACL": "x"})
        self.assertEqual(len(rules([each]).app_ids), 1)
        self.assertEqual(rules([each], names_app=lambda each: True).app_ids, ())
        self.assertEqual(rules([each], maps=False).app_ids, ())


def is_above(wildcard: str, host: str) -> bool:
    """Return True if a wildcard covers a host and is another one, as HAProxy's ``-m end`` compares them."""
    return wildcard.startswith("*.") and host != wildcard and host.removeprefix("*").endswith(wildcard[1:])


def host_names(chance: random.Random) -> tuple[list[str], set[str]]:
    """Some hosts and some wildcards of few labels, so that they overlap."""
    made = {".".join(chance.choices("abc", k=chance.randint(1, 4))) for _ in range(chance.randint(1, 12))}
    wildcards = {f"*.{name}" for name in made if chance.random() < 0.5}
    return sorted(made), wildcards


class RulesByHostTests(SynchronousTestCase):
    """The rules that may catch a request for a host."""

    def test_overlapping(self) -> None:
        """A frontend has the rules of its host, of what covers it and of what it covers, with those hosts alone."""
        for seed in range(300):
            chance = random.Random(seed)
            hosts, wildcards = host_names(chance)
            rules = [
                AclRule(service(str(number)), tuple(chance.sample(group, chance.randint(1, len(group)))), ())
                for number in range(4)
                for group in (hosts, sorted(wildcards))
                if group
            ]
            for host in (*hosts, *wildcards):
                expected = []
                for rule in rules:
                    kept = [
                        name
                        for name in rule.hosts
                        if name == host or is_above(name, host) or is_above(host, name)
                    ]
                    if kept:
                        expected.append((rule.service.key, tuple(kept)))
                found = RulesByHost(rules, (*hosts, *wildcards)).overlapping(host)
                self.assertEqual(expected, [(rule.service.key, rule.hosts) for rule in found], (seed, host))

    def test_first_host_of_a_template(self) -> None:
        """The ACLs that somebody's template writes are named after the first host, which stays."""
        rule = AclRule(service(), ("a.test", "b.test", "c.test"), (), overridden=True)
        (found,) = RulesByHost([rule], ["b.test"]).overlapping("b.test")
        self.assertEqual(("a.test", "b.test"), found.hosts)
