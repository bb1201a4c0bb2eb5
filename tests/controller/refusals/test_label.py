"""The label that an app's owner has to fix."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from marathonlb.controller.refusals.label import label_of
from tests.routing.apps import service


class LabelTests(SynchronousTestCase):
    """`label_of`."""

    def test_values(self) -> None:
        """A line of our default leads to the label whose value it holds; other lines are their template's."""
        table = (
            (
                "FRONTEND_HEAD",
                {"ssl_certs": ("/a.pem",), "bind_options": "x"},
                "no file '/a.pem'",
                "0_SSL_CERT",
            ),
            (
                "FRONTEND_HEAD",
                {"ssl_certs": ("/a.pem",), "bind_options": "x"},
                "keyword 'x'",
                "0_BIND_OPTIONS",
            ),
            ("FRONTEND_HEAD", {"bind_options": "x"}, "cannot bind socket", "FRONTEND_HEAD"),
            ("FRONTEND_HEAD", {"bind_addr": "eth0"}, "invalid address: 'eth0' in 'eth0:1'", "0_BIND_ADDR"),
            ("FRONTEND_HEAD", {}, "no", "FRONTEND_HEAD"),
            ("BACKEND_HEAD", {"balance": "hdr(x"}, "no", "0_BALANCE"),
            ("BACKEND_HEAD", {}, "no", "BACKEND_HEAD"),
            ("USERLIST_HEAD", {"auth": ("r", "u", "p")}, "no", "0_AUTH"),
            ("0_BACKEND_HEAD", {"balance": "hdr(x"}, "no", "0_BACKEND_HEAD"),
        )
        for name, more, words, wanted in table:
            found = label_of(f"HAPROXY_{name}", service(**more), words)
            self.assertEqual(found, f"HAPROXY_{wanted}", (name, words))
