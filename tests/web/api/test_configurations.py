"""The archived configurations as data."""

from __future__ import annotations

from marathonlb.haproxy.files.publish import Published
from tests.reconciling import web
from tests.web.contexts import PagesTestCase


class ConfigurationsTests(PagesTestCase):
    """``/api/configurations`` and ``/api/difference``."""

    def keep(self, text: str, reason: str) -> None:
        """Archive a text."""
        self.archive.add(Published(text, {"a.map": "x y\n"}), reason=reason, seconds=0)

    def test_versions(self) -> None:
        """They are listed, the newest first, with why HAProxy was reloaded."""
        self.serve(web("shop"))
        self.keep("global\n", "first")
        running = self.applier.texts()
        assert running is not None
        self.archive.add(running, reason="second", seconds=60)
        self.serve(web("shop", tasks=3))  # the last one is what runs, also where its tasks have moved
        said = self.get("/api/configurations")["configurations"]
        self.assertEqual(
            [(v["number"], v["reason"], v["running"]) for v in said],
            [(2, "second", True), (1, "first", False)],
        )
        self.assertEqual(said[0]["cause"], "poll")

    def test_texts(self) -> None:
        """One has its texts; passwords are for admins."""
        self.keep("global\nuserlist u\n  user a password secret\n", "first")
        self.assertIn("secret", self.get("/api/configurations/1")["text"])
        self.client = "10.0.0.1"
        said = self.get("/api/configurations/1")
        self.assertEqual(said["text"], "global\nuserlist u\n  user a password ***\n")
        self.assertEqual(said["maps"], {"a.map": "x y\n"})

    def test_difference(self) -> None:
        """What differs is told section by section."""
        self.keep("global\nbackend a\n  server x 1.1.1.1:1\n", "first")
        self.keep("global\nbackend a\n  server y 1.1.1.1:1\n\nbackend b\n", "second")
        said = self.get("/api/difference?from=1&to=2")
        self.assertEqual(said["summary"], "backend a differs, backend b is new")
        first = said["sections"][0]
        self.assertEqual((first["added"], first["removed"]), (1, 1))
        self.assertEqual(first["lines"][-2:], ["-  server x 1.1.1.1:1", "+  server y 1.1.1.1:1"])
        self.assertEqual(self.get("/api/difference?from=2&to=2")["sections"], [])

    def test_refused(self) -> None:
        """A number that is not kept is 404, a path is no number, and from= is needed."""
        self.get("/api/configurations/7", 404)
        self.get("/api/configurations/..%2F..%2Fetc", 404)
        self.get("/api/configurations/running", 503)
        self.get("/api/difference", 400)
