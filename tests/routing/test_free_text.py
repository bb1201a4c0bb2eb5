"""The labels whose text stands in HAProxy's configuration and that are no templates: what they may not hold."""

from __future__ import annotations

import contextlib
import time

from twisted.trial.unittest import SynchronousTestCase

from marathonlb.routing.labels.balance import LONGEST, MOST_CONVERTERS, balance
from marathonlb.routing.labels.bind_options import bind_files, bind_options
from tests.routing.apps import app, offered


class BalanceTests(SynchronousTestCase):
    """Algorithms."""

    def test_good(self) -> None:
        """Each algorithm is taken with the arguments that it has."""
        for text in (
            "roundrobin", "static-rr", "leastconn", "first", "source", "uri", "uri whole len 20 depth 3 path-only",
            "url_param user", "url_param user check_post 100", "hdr(X-User)", "hdr(host) use_domain_only", "random",
            "random(2)", "random(100)", "rdp-cookie", "rdp-cookie(mstshash)", "hash src,ipmask(24,64)",
            "hash req.hdr(X-User),lower,djb2(1)", "hash path", "hash var(txn.user)",
        ):  # fmt: skip
            self.assertEqual(balance(f" {text.replace(' ', '  ')} "), text)

    def test_bad(self) -> None:
        """What costs or reaches more than the service's own requests is refused."""
        for text in (
            "random(0)", "random(101)", "random(2000000000)", "random(-1)", "random(99999999999)", "hash env(HOME)",
            "hash src,map(/dev/zero)", "hash src,map_reg(/etc/passwd)", "hash src,set-var(proc.x)", "hash lua.x",
            "hash req.hdr(x),regsub(a,b,g)", "hash src,lua.x", "hash src,", "hash src)(", "hash", "hash(src)",
            "uri len x", "uri\tlen 1", "url_param a check_post 1 2", "hdr(a b)", "rdp-cookie()", "first 2",
            "hash src" + ",lower" * (MOST_CONVERTERS + 1), "roundrobin\nserver x unix@/x", "x" * (LONGEST + 1),
        ):  # fmt: skip
            self.assertRaises(ValueError, balance, text)

    def test_long(self) -> None:
        """A text of any length is looked at in no time."""
        for text in (
            "\\n" * 500_000,
            "hash " + "a(" * 490,
            "uri" + " whole" * 160,
            " " * 900 + "x",
            "hash " + "a," * 490,
        ):
            started = time.perf_counter()
            with contextlib.suppress(ValueError):
                balance(text)
            self.assertLess(time.perf_counter() - started, 0.05)


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

    def test_files(self) -> None:
        """The files that are named are known."""
        text = (
            "ssl crt /a.pem crt '/b c.pem' ca-file @system-ca ca-file /ca.pem name crt crl-file \"/d\\x65\""
        )
        self.assertEqual(bind_files(text), ("/a.pem", "/b c.pem", "/ca.pem", "/de"))

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
