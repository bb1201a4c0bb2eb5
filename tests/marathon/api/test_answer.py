"""The answers of Marathons, and the meaning of their refusals."""

from __future__ import annotations

import json

from twisted.trial.unittest import SynchronousTestCase
from twisted.web.http_headers import Headers

from marathonlb.marathon.api.answer import (
    QUOTED,
    MarathonAnswer,
    MarathonRefusal,
    event_stream_refused,
    subscriptions_refused,
)

URL = "http://m1:8080/v2/apps"


def answer(status: int, message: object = None, *, trusted: bool = True) -> MarathonAnswer:
    """Return an answer, with this message as Marathon's own errors have it."""
    body = b"<html></html>" if message is None else json.dumps({"message": message}).encode()
    return MarathonAnswer(URL, status, Headers(), body, trusted)


class RefusalTests(SynchronousTestCase):
    """`MarathonAnswer.refusal`: one place recognizes Marathon's messages."""

    def test_kinds(self) -> None:
        """A refusal is recognized by its status together with its message."""
        for status, message, kind in (
            (404, "App '/a' does not exist", MarathonRefusal.UNKNOWN_APP),
            (404, "Pod '/a' does not exist", MarathonRefusal.UNKNOWN_APP),
            (404, "URI not found: /v2/pods", MarathonRefusal.UNKNOWN_PAGE),
            (500, "URI not found", MarathonRefusal.UNKNOWN_PAGE),
            (400, "http event callback system is not running on this Marathon", MarathonRefusal.NO_CALLBACKS),
            (409, "App is locked by one or more deployments.", MarathonRefusal.LOCKED),
        ):
            self.assertIs(kind, answer(status, message).refusal, message)

    def test_others(self) -> None:
        """Other statuses, other messages and pages of proxies are none of them."""
        for status, message in (
            (200, "App '/a' does not exist"),
            (500, "App '/a' does not exist"),
            (404, "no Route matched with those values"),
            (404, ""),
            (404, None),
            (404, 7),
            (503, "URI not found"),
            (500, "the service is not running"),
            (400, "locked"),
        ):
            self.assertIsNone(answer(status, message).refusal, (status, message))


class ErrorTests(SynchronousTestCase):
    """`MarathonAnswer.error` and `unusable`."""

    def test_statuses(self) -> None:
        """Each status names its remedy, and the error has the URL and the status as fields."""
        for status, word in (
            (401, "--auth-credentials"),
            (403, "right to view"),
            (404, "check that --marathon"),
            (500, "see its log"),
            (502, "cannot reach its leader"),
            (503, "knows no leader"),
            (504, "does not answer"),
            (418, "not expected"),
        ):
            error = answer(status).error()
            self.assertEqual((URL, status), (error.url, error.status))
            self.assertIn(word, error.reason)

    def test_untrusted(self) -> None:
        """A 401 of a Marathon that got no credentials says so."""
        self.assertIn("add it to --marathon", answer(401, trusted=False).error().reason)

    def test_message(self) -> None:
        """Marathon's message is quoted, up to a length and without control characters."""
        reason = answer(500, "a\nb\x1b" + "x" * 1000).error().reason
        self.assertIn("it says: a b x", reason)
        self.assertLess(len(reason), QUOTED + 60)

    def test_unusable(self) -> None:
        """An answer that cannot be used keeps its status, unless that is 200."""
        self.assertIsNone(answer(200).unusable("empty").status)
        self.assertEqual(
            (404, "empty"), (answer(404).unusable("empty").status, answer(404).unusable("empty").reason)
        )


class RefusedPagesTests(SynchronousTestCase):
    """`event_stream_refused` and `subscriptions_refused`."""

    def test_event_stream(self) -> None:
        """A refused event stream names the mode that works instead, any other error its status' remedy."""
        for status, message, word in (
            (404, "URI not found", "use --mode=event or --mode=poll"),
            (500, "URI not found", "0.8 and earlier"),
            (405, None, "a proxy changes the header Accept"),
            (503, None, "knows no leader"),
        ):
            self.assertIn(word, event_stream_refused(answer(status, message)).reason)

    def test_subscriptions(self) -> None:
        """A refused subscription names the mode or the option that works instead."""
        for status, message, word in (
            (404, None, "use --mode=sse"),
            (500, "URI not found", "1.5 and later cannot"),
            (400, "event callback system is not running", "--event_subscriber http_callback"),
            (422, None, "check --callback-url"),
            (400, "bad", "it says: bad"),
        ):
            self.assertIn(word, subscriptions_refused(answer(status, message)).reason)
