"""TLS towards the tasks, TLS that is passed through, and who answers which name."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from marathonlb.config.templates.table import PER_APP_NAMES
from marathonlb.routing.claims import own_ports, settle
from marathonlb.routing.labels.tls import backend_proto, backend_ssl, server_words
from marathonlb.routing.policy.file import policy_of
from marathonlb.routing.services.model import Service
from marathonlb.settings import Settings
from tests.routing.apps import app, offered, service
from tests.routing.explain.test_answer import Cluster, shop


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
