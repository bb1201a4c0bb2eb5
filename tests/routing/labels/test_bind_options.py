"""``HAPROXY_{n}_BIND_OPTIONS``: options about the service's own connections."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from marathonlb.routing.labels.bind_options import bind_options
from tests.routing.apps import app, offered


class BindOptionTests(SynchronousTestCase):
    """Options of a ``bind`` line."""

    def test_good(self) -> None:
        """What is about the service's own connections is taken as it stands."""
        for text in (
            "", "ssl crt /etc/ssl/a.pem alpn h2,http/1.1", "accept-proxy", "ca-file /ca.pem verify required",
            'ciphers "A:B:!C" no-sslv3', "ca-file @system-ca verify optional", "crt a.pem", "v4v6 maxconn 10",
            "'ssl' crt '/a b.pem'", "interface eth0",
        ):  # fmt: skip
            self.assertEqual(bind_options(text), text)

    def test_bad(self) -> None:
        """What reaches beyond them is refused, however it is written."""
        for text in (
            "namespace blue", "transparent", "ssl transparent", "'transparent'", "trans\\parent", "trans\\x70arent",
            "generate-certificates ca-sign-file /ca.pem", "nice -1024", "uid 0", "user root", "mode 777", "level admin",
            "expose-fd listeners", "guid-prefix x", "shards 1000", "nbconn 9", "nonsense transparent",
            "name x transparent",
            "crt /dev/zero", "crt //dev/zero", "crt /./dev/zero", "crt /etc/../dev/zero", "crt ../dev/zero",
            "crt /proc/1/mem",
            "ca-file /sys/x", "crl-file '/dev/zero'", "crt /de\\x76/zero", "tls-ticket-keys /dev/stdin",
        ):  # fmt: skip
            self.assertRaises(ValueError, bind_options, text)

    def test_problem(self) -> None:
        """The owner reads which option it is, and what to do."""
        (problem,) = offered(app(labels={"0_BIND_OPTIONS": "ssl transparent"})).problems
        self.assertEqual(
            (problem.label, problem.value, problem.fatal), ("HAPROXY_0_BIND_OPTIONS", "ssl transparent", True)
        )
        self.assertIn(
            "holds transparent, which is not about the service's own connections alone", problem.reason
        )
        self.assertIn("FRONTEND_HEAD", problem.reason)
