"""The status as data."""

from __future__ import annotations

from attrs import evolve

from tests.reconciling import web
from tests.web.contexts import EVERYTHING, SETTINGS, PagesTestCase


class StatusTests(PagesTestCase):
    """``/api/status``."""

    def test_well(self) -> None:
        """Versions, Marathons, HAProxy, generations and the last change are told."""
        self.serve(web("shop", tasks=2))
        said = self.get("/api/status")
        self.assertEqual((said["version"], said["mode"], said["ready"]), ("1.2.3", "sse", True))
        self.assertEqual(
            said["marathon"]["endpoints"],
            [
                {"url": "http://one:8080", "cluster": "", "preferred": True, "leader": False},
                {"url": "http://two:8080", "cluster": "", "preferred": False, "leader": True},
            ],
        )
        self.assertEqual(said["haproxy"]["version"], "2.8.1")
        self.assertEqual(said["haproxy"]["features"], ["OPENSSL"])
        self.assertEqual((said["haproxy"]["workers"], said["haproxy"]["draining"]), ([101], 0))
        self.assertEqual(said["generation"], {"wanted": 1, "running": 1})
        self.assertEqual((said["services"], said["servers"]), (1, 2))
        self.assertEqual(said["last_reload"]["seconds"]["reload"], 0.2)
        self.assertEqual(said["last_change"]["came"], {"poll": 1})
        self.assertTrue(said["admin"])

    def test_nothing_yet(self) -> None:
        """Before Marathon's first answer the status says why there is nothing."""
        self.marathon.fail("it does not answer")
        self.reconciler.poke(EVERYTHING)
        said = self.get("/api/status")
        self.assertFalse(said["ready"])
        self.assertIn("it does not answer", said["reasons"][0])
        self.assertIn("it does not answer", said["failure"])
        self.assertIsNone(said["last_reload"])

    def test_haproxy_is_silent(self) -> None:
        """A HAProxy that cannot be asked costs its own lines."""
        self.serve(web("shop"))
        self.haproxy.answers.clear()
        said = self.get("/api/status")
        self.assertEqual((said["haproxy"]["version"], said["haproxy"]["pid"]), ("", None))
        self.assertIn("nobody listens", said["haproxy"]["problem"])

    def test_foreign_haproxy(self) -> None:
        """Of a HAProxy that is not ours nobody knows which workers drain."""
        self.make(evolve(SETTINGS, manage_haproxy=False))
        self.serve(web("shop"))
        self.assertIsNone(self.get("/api/status")["haproxy"]["draining"])
