"""``HAPROXY_{n}_BALANCE``: algorithms and what they may not cost."""

from __future__ import annotations

import contextlib
import time

from twisted.trial.unittest import SynchronousTestCase

from marathonlb.routing.labels.balance import LONGEST, MOST_CONVERTERS, balance


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
