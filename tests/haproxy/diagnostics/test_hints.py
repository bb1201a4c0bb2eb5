"""Hints about what HAProxy refuses."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from marathonlb.errors import Complaint
from marathonlb.haproxy.diagnostics.hints import MAX_SHOWN, in_one_line, remedy


class RemedyTests(SynchronousTestCase):
    """`remedy`: what to do about a message."""

    def test_haproxy_knows(self) -> None:
        """Where HAProxy names the modern keyword itself nothing is added."""
        words = "The 'rspadd' directive is not supported anymore since HAProxy 2.1. "
        self.assertEqual(remedy(words + "Use 'http-response add-header' instead."), "")
        self.assertEqual(remedy("unknown option 'constats'; did you mean 'contstats' maybe ?"), "")

    def test_haproxy_does_not(self) -> None:
        """Where it does not, the remedy is ours."""
        table = {
            "unknown keyword 'debug' in 'global' section": "remove it",
            "'server mesos/mesos' : could not resolve address 'leader.mesos'.": "init-addr last,libc,none",
            "'bind-process' is not supported anymore.": "remove it",
            "'lua.getpids' unknown service name.": "lua-load",
            "unknown keyword 'xyz' in 'backend' section": "manual",
            "Binding for frontend f: cannot bind socket (Address already in use) for [0.0.0.0:80]": "--bind-http",
            "Binding for frontend f: cannot bind socket (Permission denied) for [0.0.0.0:80]": "CAP_NET_BIND_SERVICE",
            "cannot bind socket (Cannot assign requested address) for [10.9.9.9:8]": "address that this machine has",
            "'option httpchk' : hiding headers or body at the end of the version string is unsupported.Use 'http-check "
            "send' directive instead..": "http-check send meth GET",
        }
        for words, wanted in table.items():
            self.assertIn(wanted, remedy(words), words)
        self.assertEqual(remedy("something else"), "")

    def test_request_line(self) -> None:
        """HAProxy's own advice for ``reqirep`` is about headers; for the path of a request it is another keyword."""
        words = "The 'reqirep' directive is not supported anymore. Use 'http-request replace-header' instead."
        for line in (r'reqirep  "^([^ :]*)\ /a/?(.*)" "\1\ /\2"', r"reqrep ^([^ :]*)\ /a/(.*) \1\ /\2"):
            self.assertIn("`http-request replace-path`", remedy(words, line), line)
        self.assertEqual(remedy(words, "reqirep ^Host:(.*) Host:a"), "")

    def test_escaped_twice(self) -> None:
        """A line break that JSON has escaped twice is two letters on one line, which nobody means."""
        check = r"option httpchk GET / HTTP/1.1"
        for line in (
            r"backend a\r\n mode http",
            r"backend a\n",
            check + r"\\r\\nHost:\\ a",
            r"acl a path /\n  use_backend a",
        ):
            self.assertIn("with one backslash", remedy("no", line), line)
        for line in (check + r"\r\nHost:\ a", r'http-request return string "a\nb"', "mode http"):
            self.assertEqual(remedy("no", line), "", line)


class OneLineTests(SynchronousTestCase):
    """`in_one_line`."""

    def test_places(self) -> None:
        """Each complaint has its line where HAProxy names one, and what to do stands behind them, once."""
        complaints = [
            Complaint(message="unknown keyword 'debug' in 'global' section.", line=3),
            Complaint(message="unknown keyword 'debug' in 'global' section."),
        ]
        self.assertEqual(
            in_one_line(complaints),
            "line 3: unknown keyword 'debug' in 'global' section; unknown keyword 'debug' in 'global' section; "
            + remedy(complaints[0].message),
        )

    def test_many(self) -> None:
        """No more than the first complaints are shown."""
        complaints = [Complaint(message=f"m{number}") for number in range(MAX_SHOWN + 1)]
        self.assertEqual(in_one_line(complaints), "m0; m1; m2")
