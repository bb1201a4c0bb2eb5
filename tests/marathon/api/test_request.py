"""One request to one Marathon: redirects and credentials, on pages in memory."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any

from treq.testing import RequestTraversalAgent
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from marathonlb.errors import SourceError
from marathonlb.marathon.api.auth import BasicAuthorization
from marathonlb.marathon.api.request import ERROR_BODY, REDIRECTS, Fetcher, origin
from tests.fakes.marathon_pages import MarathonPages

ONE = "http://m1:8080"


class Case(SynchronousTestCase):
    """The pages of several hosts, and a fetcher that lists the first."""

    def setUp(self) -> None:
        self.pages = MarathonPages()
        self.agent = RequestTraversalAgent(self.pages)
        self.observed: list[tuple[str, str, int]] = []
        self.fetcher = Fetcher(
            [ONE],
            self.agent,
            BasicAuthorization("lb", "s3cret"),
            1000,
            lambda endpoint, code, size: self.observed.append((endpoint, code, size)),
        )

    def run_to_end(self, coroutine: Coroutine[Deferred[Any], Any, Any]) -> Deferred[Any]:
        """Run a request to its end."""
        asked = Deferred.fromCoroutine(coroutine)
        self.agent.flush()
        return asked

    def fetch(self, path: str = "/v2/apps", **more: Any) -> Any:
        """Return the answer of a page."""
        return self.successResultOf(self.run_to_end(self.fetcher.fetch(ONE, path, **more)))

    def error(self, path: str = "/v2/apps") -> SourceError:
        """Return the error of a page."""
        asked = self.run_to_end(self.fetcher.fetch(ONE, path))
        error: SourceError = self.failureResultOf(asked, SourceError).value  # type: ignore[assignment]
        return error

    def credentials(self) -> list[tuple[str, bool]]:
        """Return the host and path of each request, and whether it had credentials."""
        return [(page.host + page.path, page.authorization is not None) for page in self.pages.asked]


class FetchTests(Case):
    """`Fetcher.fetch`."""

    def test_answer(self) -> None:
        """An answer has its status and body, whatever the status; each request is observed."""
        self.pages.put("/v2/apps", {"a": 1})
        self.pages.put("/v2/info", {}, 503)
        self.assertEqual((200, b'{"a": 1}'), (self.fetch().status, self.fetch().body))
        self.assertEqual(503, self.fetch("/v2/info").status)
        self.assertEqual([(ONE, "200", 8), (ONE, "200", 8), (ONE, "503", 2)], self.observed)

    def test_content(self) -> None:
        """JSON that is sent along goes as the body."""
        self.fetch(method="PUT", content=b'{"id": "/a"}')
        self.assertEqual(("PUT", b'{"id": "/a"}'), (self.pages.asked[0].method, self.pages.asked[0].body))

    def test_limits(self) -> None:
        """A long answer is refused; of a long error page a part is enough."""
        self.pages.put("/v2/apps", b" " * 1001)
        self.assertIn("longer than 1000 bytes", self.error().reason)
        self.assertEqual((ONE, "error", 0), self.observed[-1])
        self.pages.put("/v2/apps", b" " * (ERROR_BODY + 1), 500)
        self.assertEqual(500, self.fetch().status)

    def test_bad_url(self) -> None:
        """A URL that is not ASCII is an error, not a defect."""
        self.assertIn("ascii", self.error("/v2/é").reason)


class RedirectTests(Case):
    """Redirects."""

    def test_to_leader(self) -> None:
        """A leader that a listed Marathon names, in a header or when asked, gets the credentials."""
        self.pages.put("/v2/apps", {}, host="m2:8080")
        self.pages.put("/v2/apps", b"", 302, host="m1:8080", Location="http://m2:8080/v2/apps")
        self.pages.put("/v2/leader", {"leader": "m2:8080"}, host="m1:8080")
        self.assertTrue(self.fetch().trusted)
        self.assertEqual(
            [("m1:8080/v2/apps", True), ("m1:8080/v2/leader", True), ("m2:8080/v2/apps", True)],
            self.credentials(),
        )
        self.pages.asked.clear()
        self.assertTrue(self.fetch().trusted)
        self.assertEqual([("m1:8080/v2/apps", True), ("m2:8080/v2/apps", True)], self.credentials())

    def test_to_stranger(self) -> None:
        """A redirect to another host is followed without credentials and without content."""
        self.pages.put("/v2/apps", {}, 401, host="m9:8080")
        self.pages.put("/v2/apps", b"", 307, host="m1:8080", Location="http://m9:8080/v2/apps")
        answer = self.fetch(method="PUT", content=b"secret")
        self.assertFalse(answer.trusted)
        self.assertIn("add it to --marathon", answer.error().reason)
        last = self.pages.asked[-1]
        self.assertEqual(("m9:8080", None, b""), (last.host, last.authorization, last.body))

    def test_endless(self) -> None:
        """Redirects without an end are an error."""
        self.pages.put("/v2/apps", b"", 302, Location="/v2/apps")
        self.assertIn(f"more than {REDIRECTS} times", self.error().reason)

    def test_elsewhere(self) -> None:
        """A redirect to no HTTP URL is an error with its status."""
        for location in ("gopher://x/", ""):
            self.pages.put("/v2/apps", b"", 302, Location=location)
            error = self.error()
            self.assertEqual((302, "it redirects, but not to an HTTP URL"), (error.status, error.reason))

    def test_credentials_in_redirect(self) -> None:
        """Credentials that a redirect's URL brings are neither used nor shown."""
        self.pages.put("/v2/apps", b"", 302, host="m1:8080", Location="http://u:hunter2@m1:8080/v2/info?q=1")
        self.pages.put("/v2/info", {}, 403)
        answer = self.fetch()
        self.assertEqual("http://m1:8080/v2/info", answer.url)
        self.assertNotIn("hunter2", str(answer.error()))


class OpenTests(Case):
    """`Fetcher.open`."""

    def test_status(self) -> None:
        """A page is opened with the status 200 alone; the caller makes the error of another."""
        self.pages.put("/v2/events", b"x")
        response, url = self.successResultOf(
            self.run_to_end(self.fetcher.open(ONE, "/v2/events?a=b", "text/plain"))
        )
        self.assertEqual((200, "http://m1:8080/v2/events"), (response.code, url))
        self.pages.put("/v2/events", {"message": "no"}, 405)
        refusal = self.fetcher.open(
            ONE, "/v2/events", "text/plain", lambda answer: answer.unusable(f"refused: {answer.message}")
        )
        error = self.failureResultOf(self.run_to_end(refusal), SourceError).value
        self.assertEqual("http://m1:8080/v2/events: refused: no (status 405)", str(error))


class OriginTests(SynchronousTestCase):
    """`origin`."""

    def test_urls(self) -> None:
        """An origin has scheme, host and port; text that is no URL has none."""
        for url, expected in (
            ("http://m1:8080/v2", "http://m1:8080"),
            ("https://M1/", "https://m1:443"),
            ("http://u:p@m1", "http://m1:80"),
            ("http://[::1]:8080/x", "http://[::1]:8080"),
            (" http://m1:8080 ", "http://m1:8080"),
            ("m1:8080", ""),
            ("http://m1:99999", ""),
            ("", ""),
        ):
            self.assertEqual(expected, origin(url), url)
