"""Which frontend or task ends the TLS of a name, and which requests a frontend sends back."""

from __future__ import annotations

import random

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from marathonlb.routing.hosts import covers
from marathonlb.routing.rules import Rules, rules_of
from marathonlb.routing.services.model import Service
from marathonlb.routing.sni import (
    SHARED,
    Sni,
    SniRule,
    frontend_name,
    misdirected,
    rule_for,
    sni_of,
    tls_of,
)
from marathonlb.routing.tls_hosts import TlsHost
from marathonlb.settings import Settings
from tests.routing.apps import service

GROUPED = Settings(group_https_by_vhost=True)


def rules(services: list[Service]) -> Rules:
    """The rules of services that do not get into each other's way."""
    return rules_of(services, {}, lambda each: False, maps=True)


def names(sni: Sni) -> list[tuple[str, str]]:
    """The rules: the name, and where it goes."""
    return [
        (rule.host, rule.passed.app_id if rule.passed else "own" if rule.ended else "shared")
        for rule in sni.rules
    ]


class NameTests(SynchronousTestCase):
    """What the https port does with the names of handshakes."""

    def test_nothing_to_ask(self) -> None:
        """Without groups and passthrough, or without the port, nobody asks."""
        plain = [service("a", hosts=("a.test",), ssl_certs=("/c",))]
        self.assertEqual(Sni(), sni_of(plain, rules(plain), Settings()))
        self.assertEqual(
            Sni(), sni_of(plain, rules(plain), Settings(group_https_by_vhost=True, dont_bind_http_https=True))
        )

    def test_order(self) -> None:
        """Exact names first, then the longest wildcard; hosts under somebody's wildcard are named, too."""
        services = [
            service("own", 1, hosts=("a.test",), ssl_certs=("/a",)),
            service("wild", 2, hosts=("*.w.test",), ssl_certs=("/w",)),
            service("deep", 3, mode="tcp", passthrough=("*.deep.w.test",)),
            service("under", 4, hosts=("x.deep.w.test", "y.w.test", "z.test", "*.z.w.test")),
        ]
        self.assertEqual(
            [
                ("a.test", "own"),
                ("x.deep.w.test", "shared"),
                ("y.w.test", "shared"),
                ("*.deep.w.test", "/deep"),
                ("*.z.w.test", "shared"),
                ("*.w.test", "own"),
            ],
            names(sni_of(services, rules(services), GROUPED)),
        )
        self.assertEqual(
            [("*.deep.w.test", "/deep"), ("x.deep.w.test", "shared")][::-1],
            names(sni_of(services, rules(services), Settings())),
        )

    def test_several_services_of_a_host(self) -> None:
        """A host has the certificates of its services, oldest first, and the oldest bind options; others are told."""
        services = [
            service("t/a", 1, hosts=("h.test",), ssl_certs=("/a",), since="3"),
            service(
                "t/b",
                2,
                hosts=("h.test",),
                paths=("/b",),
                ssl_certs=("/b", "/a"),
                bind_options="ca-file /x",
                since="2",
            ),
            service(
                "t/c",
                3,
                hosts=("h.test",),
                paths=("/c",),
                bind_options="ca-file /y verify required",
                since="1",
            ),
            service("t/d", 4, hosts=("h.test",), paths=("/d",)),
        ]
        sni = sni_of(services, rules(services), GROUPED)
        (own,) = sni.ended
        self.assertEqual(
            (("/b", "/a"), "ca-file /y verify required", "/t/c"),
            (own.certs, own.bind_options, own.service.app_id),
        )
        self.assertTrue(own.demands)
        self.assertEqual({each.key for each in services}, sni.contested)
        few = [services[0], evolve(services[1], bind_options="")]  # their age alone says whose comes first
        self.assertEqual({("/t/a", 0), ("/t/b", 0)}, sni_of(few, rules(few), GROUPED).contested)
        self.assertEqual(
            [("/t/b", "HAPROXY_0_BIND_OPTIONS", False)], [(p.app_id, p.label, p.fatal) for p in sni.problems]
        )

    def test_services_of_other_owners(self) -> None:
        """Whoever has a path of another owner's host has no say in its TLS, and is told."""
        services = [
            service("bank/web", 1, hosts=("h.test",), since="1"),
            service(
                "evil/x", 2, hosts=("h.test",), paths=("/e",), ssl_certs=("/e",), bind_options="maxconn 1", since="2"
            ),
        ]  # fmt: skip
        sni = sni_of(services, rules(services), GROUPED)
        self.assertEqual((), sni.ended)
        self.assertEqual(
            ["BIND_OPTIONS", "SSL_CERT"], [p.label.removeprefix("HAPROXY_0_") for p in sni.problems]
        )
        self.assertEqual({each.key for each in services}, sni.contested)
        alike = [evolve(services[0], since="2", app_id="/x/web"), services[1]]
        self.assertEqual((), sni_of(alike, rules(alike), GROUPED).ended)
        older = [evolve(services[0], since="3", bind_options="verify required ca-file /x"), services[1]]
        closed, sni = tls_of(older, rules(older), GROUPED)
        self.assertEqual(["/evil/x"], [own.service.app_id for own in sni.ended])
        self.assertEqual((), closed.hosts)
        self.assertIn("no part of the host", sni.problems[0].reason)

    def test_no_certificate(self) -> None:
        """A host that demands certificates and has none to show is not served over https, and its owner told."""
        services = [service("a", hosts=("h.test",), bind_options="ca-file /x verify required")]
        sni = sni_of(services, rules(services), Settings(group_https_by_vhost=True, ssl_certs=()))
        self.assertEqual((0, ["/a"]), (len(sni.rules), [problem.app_id for problem in sni.problems]))

    def test_rule_for(self) -> None:
        """The most specific rule is the one of a name."""
        rules_ = tuple(SniRule(host) for host in ("x.w.test", "*.a.w.test", "*.w.test"))
        sni = Sni(True, rules_)
        for host, expected in (
            ("x.w.test", 0),
            ("q.a.w.test", 1),
            ("q.w.test", 2),
            ("w.test", None),
            ("test", None),
        ):
            self.assertIs(None if expected is None else rules_[expected], rule_for(sni, host), host)

    def test_names_of_sections(self) -> None:
        """Names are short, tell hosts apart that look alike, and load balancers of one machine."""
        other = Settings(bind_https="*:8443")
        found = {
            frontend_name(settings, host)
            for settings in (Settings(), other)
            for host in ("a-b.c", "a_b.c", "*.b.c")
        }
        self.assertEqual(6, len(found))
        self.assertNotEqual(frontend_name(Settings(), SHARED), frontend_name(Settings(), "shared"))
        self.assertLess(len(frontend_name(Settings(), "x" * 250)), 80)

    def test_misdirected(self) -> None:
        """For any set of names each frontend sends back exactly what another one has to serve."""
        hosts = ["a.test", "x.a.test", "y.x.a.test", "b.test", "*.a.test", "*.x.a.test", "*.test", "*.b.test"]
        asked = [
            *(host for host in hosts if "*" not in host),
            "q.a.test",
            "q.x.a.test",
            "q.test",
            "q.b.test",
            "else",
        ]
        for seed in range(200):
            chance = random.Random(seed)
            made = {}
            for host in chance.sample(hosts, chance.randint(1, 6)):
                kind = chance.choice(("passed", "demands", "own", "shared"))
                who = service(str(hosts.index(host)))
                options = "ca-file /x verify required" if kind == "demands" else ""
                own = TlsHost(host, ("/c",), options, who) if kind in ("own", "demands") else None
                made[host] = SniRule(host, passed=who if kind == "passed" else None, ended=own)
            ordered = sorted(
                made.values(), key=lambda r: ("*" in r.host, -len(r.host) if "*" in r.host else 0, r.host)
            )
            sni = Sni(True, tuple(ordered))
            for host in asked:
                rule = rule_for(sni, host)
                self.assertEqual(
                    rule is not None and rule.guarded, sent_back(sni, None, host), (seed, host, names(sni))
                )
                for own in sni.ended:
                    expected = rule is None or rule.ended is not own
                    self.assertEqual(
                        expected, sent_back(sni, own.host, host), (seed, host, own.host, names(sni))
                    )


def sent_back(sni: Sni, frontend: str | None, host: str) -> bool:
    """Whether a frontend sends a request back, as HAProxy would carry the steps out."""
    found = False
    for sends_back, hosts in misdirected(sni, frontend):
        if not hosts or host in hosts or covers(hosts[0], host):
            found = sends_back
    return found
