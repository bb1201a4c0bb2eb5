"""Requests and responses of the API as values."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from minimarathon.api.calls import Call, Response, html_error, refusal
from minimarathon.errors import Refused, unknown_app


class CallTests(SynchronousTestCase):
    """`Call`."""

    def test_parameters(self) -> None:
        """The last value of a parameter counts, and a flag is true in any case."""
        call = Call(args={"force": ["false", "TRUE"], "id": ["a", "b"]})
        self.assertEqual("b", call.arg("id"))
        self.assertIsNone(call.arg("label"))
        self.assertTrue(call.flag("force"))
        self.assertFalse(call.flag("scale"))

    def test_bodies(self) -> None:
        """An object is an object, a list of objects is one, and anything else is 400 with what was expected."""
        self.assertEqual({"id": "/web"}, Call(body=b'{"id": "/web"}').mapping())
        self.assertEqual([{}, {}], Call(body=b"[{}, {}]").mappings())
        for body, read, expected in (
            (b"[]", Call.mapping, "error.expected.jsobject"),
            (b"{}", Call.mappings, "error.expected.jsarray"),
            (b"[1]", Call.mappings, "error.expected.jsarray"),
            (b"{", Call.json, "Unexpected content"),
        ):
            refused = self.assertRaises(Refused, read, Call(body=body))
            self.assertEqual(400, refused.status)
            self.assertIn(expected, str(refused.more))


class ResponseTests(SynchronousTestCase):
    """`Response`."""

    def test_encode(self) -> None:
        """No body is empty, a string is sent as it is, and anything else as JSON."""
        bodies = [(None, b""), ("pong\n", b"pong\n"), ({"a": [1]}, b'{"a":[1]}'), ([], b"[]")]
        for body, encoded in bodies:
            self.assertEqual(encoded, Response(body=body).encode())

    def test_refusal(self) -> None:
        """A refused request has its status and Marathon's message."""
        response = refusal(unknown_app("/no"))
        self.assertEqual(
            (404, b'{"message":"App \'/no\' does not exist"}'), (response.status, response.encode())
        )

    def test_html(self) -> None:
        """An error of the web server is an HTML page with status and message."""
        response = html_error(405, "Method Not Allowed", "no POST", {"Allow": "GET"})
        self.assertEqual((405, {"Allow": "GET"}), (response.status, response.headers))
        self.assertTrue(response.content_type.startswith("text/html"))
        self.assertIn(b"<title>Error 405 Method Not Allowed</title>", response.encode())
        self.assertIn(b"no POST", response.encode())
