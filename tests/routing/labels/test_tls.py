"""TLS towards the tasks, TLS that is passed through, and who answers which name."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from marathonlb.config.templates.table import PER_APP_NAMES
from marathonlb.routing.labels.tls import backend_proto, backend_ssl, server_words
from marathonlb.routing.policy.file import policy_of
from marathonlb.settings import Settings
from tests.routing.apps import app, offered
from tests.routing.explain.clusters import Cluster, shop


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
