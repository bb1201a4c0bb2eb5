"""TLS towards the tasks, TLS that is passed through, and who answers which name."""

from __future__ import annotations

import random

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from marathonlb.config.templates.table import PER_APP_NAMES
from marathonlb.routing.claims import own_ports, settle
from marathonlb.routing.labels.tls import backend_proto, backend_ssl, server_words
from marathonlb.routing.policy.file import policy_of
from marathonlb.routing.rules import Rules, rules_of
from marathonlb.routing.services.model import Service
from marathonlb.routing.sni import (
    SHARED,
    Sni,
    SniRule,
    TlsHost,
    covers,
    frontend_name,
    misdirected,
    rule_for,
    sni_of,
    tls_of,
)
from marathonlb.settings import Settings
from tests.routing.apps import app, offered, service
from tests.routing.explain.test_answer import Cluster, shop

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


class LabelTests(SynchronousTestCase):
    """What the labels say."""

    def test_backend_ssl(self) -> None:
        """true, verify, false or a path; anything else is refused with what it could be."""
        for text, expected in (
            ("true", "none"),
            ("1", "none"),
            (" Verify ", "verify"),
            ("no", ""),
            ("/c.pem", "/c.pem"),
        ):
            self.assertEqual(expected, backend_ssl(text))
        for text in ("maybe", "ca.pem", "/a,/b", "/a b", "/a'", "/\x00"):
            with self.assertRaises(ValueError):
                backend_ssl(text)

    def test_backend_proto(self) -> None:
        """h1 or h2; FastCGI is refused by name."""
        self.assertEqual(["h1", "h2"], [backend_proto(" h1"), backend_proto("H2")])
        for text, words in (("fcgi", "FastCGI"), ("h3", "neither"), ("", "neither")):
            with self.assertRaisesRegex(ValueError, words):
                backend_proto(text)

    def test_server_words(self) -> None:
        """The words of a server line, with the name that the task has to prove."""
        named = "verifyhost a.test sni str(a.test) check-sni a.test"
        for ssl, proto, hosts, host, expected in (
            ("", "", ("a.test",), "agent", ""),
            ("", "h1", ("a.test",), "agent", ""),
            ("", "h2", (), "agent", " proto h2"),
            ("none", "", (), "10.0.0.1", " ssl verify none"),
            ("none", "h2", (), "fd00::1", " ssl verify none alpn h2"),
            ("none", "h1", ("*.b.test",), "10.0.0.1", " ssl verify none alpn http/1.1"),
            ("/c", "", ("*.b.test", "a.test"), "agent", f" ssl verify required ca-file /c {named}"),
            ("/c", "", (), "a.test", f" ssl verify required ca-file /c {named}"),
            ("/c", "", (), "a b", " ssl verify required ca-file /c"),
            ("/c", "", (), "a'#", " ssl verify required ca-file /c"),
        ):
            self.assertEqual(
                expected, server_words(ssl, proto, hosts=hosts, host=host), (ssl, proto, hosts, host)
            )

    def test_offered(self) -> None:
        """A service carries what its labels say; the system's authorities are those of the settings."""
        labels = {"0_VHOST": "a.test", "0_BACKEND_SSL": "verify", "0_BACKEND_PROTO": "h2"}
        (made,) = offered(app(labels=labels), Settings(system_ca="/etc/ca")).services
        self.assertEqual(("/etc/ca", "h2"), (made.backend_ssl, made.backend_proto))

    def test_passthrough(self) -> None:
        """A port that is passed through is in mode tcp, and has names instead of virtual hosts."""
        got = offered(app(labels={"0_VHOST": "a.test,*.b.test", "0_TLS_PASSTHROUGH": "true"}))
        (made,) = got.services
        self.assertEqual(
            ("tcp", (), ("a.test", "*.b.test"), ()), (made.mode, made.hosts, made.passthrough, got.problems)
        )

    def test_contradictions(self) -> None:
        """What asks to look inside has no effect, and its owner is told; the service is served."""
        labels = {
            "TLS_PASSTHROUGH": "true",
            "VHOST": "a.test",
            "MODE": "http",
            "PATH": "/x",
            "STICKY": "true",
            "USE_HSTS": "true",
            "SSL_CERT": "/c.pem",
            "BACKEND_SSL": "true",
            "BACKEND_PROTO": "h2",
            "AUTH": "realm:user:$1$x$y",
        }
        got = offered(app(labels={f"0_{name}": text for name, text in labels.items()}))
        (made,) = got.services
        told = {problem.label.removeprefix("HAPROXY_0_") for problem in got.problems}
        self.assertEqual(set(labels) - {"TLS_PASSTHROUGH", "VHOST"}, told)
        self.assertFalse(any(problem.fatal for problem in got.problems))
        self.assertEqual(((), "", "", ()), (made.paths, made.backend_ssl, made.backend_proto, made.ssl_certs))
        self.assertNotIn("realm", str(got.problems))

    def test_without_names(self) -> None:
        """Passing through nothing is a warning; the port is a TCP port."""
        got = offered(app(labels={"0_TLS_PASSTHROUGH": "true"}))
        self.assertEqual(["HAPROXY_0_TLS_PASSTHROUGH"], [problem.label for problem in got.problems])
        self.assertEqual(("tcp", ()), (got.services[0].mode, got.services[0].passthrough))

    def test_protocol_in_mode_tcp(self) -> None:
        """In mode tcp there is no protocol to choose."""
        got = offered(app(labels={"0_MODE": "tcp", "0_BACKEND_PROTO": "h2"}))
        self.assertEqual(
            (["HAPROXY_0_BACKEND_PROTO"], ""),
            ([p.label for p in got.problems], got.services[0].backend_proto),
        )

    def test_policy(self) -> None:
        """Whoever may not have a host may not have it passed through, either."""
        made = app("/shop", {"0_VHOST": "bank.test", "0_TLS_PASSTHROUGH": "true"})
        policy = policy_of('[defaults]\nhosts = ["shop.test"]\n', PER_APP_NAMES)
        self.assertEqual((), policy.applied(made, offered(made)).services)


PASSING = service("b", 2, mode="tcp", passthrough=("a.test",), since="2020")


class ClaimTests(SynchronousTestCase):
    """Who gets a name that several want."""

    def settled(self, *services: Service) -> tuple[dict[str, tuple[str, ...]], list[tuple[str, bool]]]:
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
            ({"/old": ("a.test",), "/new": ("b.test",)}, [("/new", True)]), self.settled(old, new)
        )

    def test_taken_over(self) -> None:
        """A younger app cannot take the TLS of a host away from the older one that serves it."""
        old = service("old", 1, hosts=("a.test",), since="1")
        new = service("new", 2, mode="tcp", passthrough=("a.test",), since="2")
        self.assertEqual(({"/old": (), "/new": ()}, [("/new", True)]), self.settled(old, new))

    def test_joined(self) -> None:
        """A younger one that serves a host which is passed through serves it over http, and is told so."""
        old = service("old", 1, mode="tcp", passthrough=("a.test",), since="1")
        new = service("new", 2, hosts=("a.test",), since="2")
        self.assertEqual(({"/old": ("a.test",), "/new": ()}, [("/new", False)]), self.settled(old, new))

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


class ExplainTests(SynchronousTestCase):
    """What explanations say of TLS that is not ended here."""

    def test_passed(self) -> None:
        """An https URL of a host that is passed through leads to its service; the http one does not."""
        through = shop("through", "a.test", 10001, labels={"0_TLS_PASSTHROUGH": "true"})
        for settings in ({}, {"ssl_certs": ()}):
            cluster = Cluster([through, shop("plain", "b.test", 10002)], **settings)
            said = cluster.explain("https://a.test/cart")
            self.assertIn("passed through to /through port 0", said.verdict)
            self.assertTrue(said.served)
            self.assertFalse(cluster.explain("http://a.test/").served)
        self.assertTrue(Cluster([through, shop("plain", "b.test", 10002)]).explain("https://b.test/").served)
