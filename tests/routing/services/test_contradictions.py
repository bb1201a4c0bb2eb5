"""Labels that have no effect beside others."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from marathonlb.problem_kinds.apps import LABEL_NO_EFFECT
from tests.routing.apps import app, offered


class ContradictionTests(SynchronousTestCase):
    """The rules of each mode."""

    def test_needs_host(self) -> None:
        """Path, redirect and password without a virtual host are warnings and without effect."""
        labels = {
            "0_PATH": "/a",
            "0_REDIRECT_TO_HTTPS": "1",
            "0_AUTH": "r:u:$1$salt$hashed",
            "0_MODE": "http",
        }
        found = offered(app(labels=labels))
        (service,) = found.services
        self.assertEqual((service.paths, service.redirect_to_https, service.auth), ((), False, None))
        self.assertEqual(len(found.problems), 3)
        self.assertFalse(any(problem.fatal or "hashed" in str(problem) for problem in found.problems))

    def test_tcp(self) -> None:
        """What needs HTTP has no effect in mode tcp, with a warning; no host is claimed."""
        labels = {
            "0_VHOST": "a",
            "0_MODE": "tcp",
            "0_STICKY": "true",
            "0_USE_HSTS": "false",
            "0_AUTH": "r:u:$1$salt$hashed",
        }
        found = offered(app(labels=labels))
        self.assertEqual(found.services[0].hosts, ())
        self.assertEqual(
            sorted(problem.label for problem in found.problems),
            ["HAPROXY_0_AUTH", "HAPROXY_0_STICKY", "HAPROXY_0_VHOST"],
        )
        self.assertFalse(any(problem.fatal or "hashed" in str(problem) for problem in found.problems))

    def test_passthrough(self) -> None:
        """Where TLS is passed through, labels that need it decrypted have no effect, and without a host nothing has."""
        labels = {"0_TLS_PASSTHROUGH": "true", "0_PATH": "/a", "0_SSL_CERT": "/c.pem", "0_MODE": "HTTP"}
        for hosts, more in (({"0_VHOST": "a.test"}, []), ({}, ["HAPROXY_0_TLS_PASSTHROUGH"])):
            found = offered(app(labels={**labels, **hosts}))
            (service,) = found.services
            self.assertEqual(("tcp", (), ()), (service.mode, service.hosts, service.paths))
            self.assertEqual(
                ["HAPROXY_0_PATH", "HAPROXY_0_SSL_CERT", "HAPROXY_0_MODE", *more],
                [problem.label for problem in found.problems],
            )
            self.assertEqual({(LABEL_NO_EFFECT, False)}, {(p.kind, p.fatal) for p in found.problems})

    def test_words_for_no(self) -> None:
        """A label that asks for nothing is no contradiction, and a label of mode http is none in mode http."""
        self.assertEqual(
            (), offered(app(labels={"0_MODE": "tcp", "0_STICKY": "off", "0_USE_HSTS": "0"})).problems
        )
        self.assertEqual((), offered(app(labels={"0_MODE": "http", "0_STICKY": "true"})).problems)
