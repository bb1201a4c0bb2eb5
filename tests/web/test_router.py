"""The routing of requests to pages."""

from __future__ import annotations

from tests.web.contexts import PagesTestCase


class RoutingTests(PagesTestCase):
    """Unknown paths, methods, headers and defects."""

    def test_unknown(self) -> None:
        """An unknown path is 404, in JSON below /api/."""
        self.assertEqual(self.ask("GET", "/x")[:2], (404, "there is no page /x\n"))
        self.assertEqual(self.get("/api/x", 404), {"error": "there is no page /api/x"})

    def test_methods(self) -> None:
        """A method that a page does not take is 405, and what it takes is said."""
        self.assertEqual(self.post("/api/status", {}, 405), {"error": "use GET, not POST"})
        self.assertEqual(self.get("/api/what-if", 405), {"error": "use POST, not GET"})
        for method, path, allowed in (
            ("PUT", "/_mlb_signal/hup", "GET, POST"),
            ("OPTIONS", "/api/status", "GET, HEAD"),
            ("GET", "/api/pin", "POST"),
            ("BREW", "/", "GET, HEAD"),
        ):
            code, _, headers = self.ask(method, path)
            self.assertEqual((code, headers["allow"]), (405, allowed))

    def test_head(self) -> None:
        """HEAD is answered like GET, without the body."""
        code, text, headers = self.ask("HEAD", "/api/health/live")
        self.assertEqual((code, text), (200, ""))
        self.assertEqual(headers["content-type"], "application/json")

    def test_headers(self) -> None:
        """No answer may be framed, kept, guessed at or scripted."""
        for path in ("/api/status", "/x", "/_haproxy_getpids", "/"):
            _, _, headers = self.ask("GET", path)
            self.assertEqual(headers["cache-control"], "no-store")
            self.assertEqual(headers["x-content-type-options"], "nosniff")
            self.assertIn("frame-ancestors 'none'", headers["content-security-policy"])

    def test_defect(self) -> None:
        """A defect is a 500 that says where to look, and nothing of itself."""
        self.context.recorder.timeline.entries = lambda after: 1 / 0  # type: ignore[method-assign, assignment]
        code, text, _ = self.ask("GET", "/api/timeline")
        self.assertEqual(code, 500)
        self.assertNotIn("Zero", text)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
