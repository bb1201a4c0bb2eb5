"""Requests, answers and refusals."""

from __future__ import annotations

import msgspec
from twisted.trial.unittest import SynchronousTestCase

from marathonlb.web.page import JSON, TEXT, ClientRequest, ErrorAnswer, Refusal, data, text


class ClientRequestTests(SynchronousTestCase):
    """`ClientRequest`."""

    def test_number(self) -> None:
        """A number of the query is read; without one the default holds."""
        request = ClientRequest(query={"page": "12"})
        self.assertEqual((request.number("page", 1), request.number("line", 0)), (12, 0))

    def test_no_number(self) -> None:
        """Anything but a short whole number is refused with its name and value."""
        for value in ("", "x", "-1", "1.5", "\u0663", "9" * 19):
            error = self.assertRaises(Refusal, ClientRequest(query={"page": value}).number, "page", 1)
            self.assertEqual((error.status, str(error)), (400, f"page={value!r} is not a whole number"))

    def test_body(self) -> None:
        """The body, which may hold a secret, is not in the representation."""
        self.assertNotIn("secret", repr(ClientRequest(body=b"secret")))


class AnswerTests(SynchronousTestCase):
    """`text` and `data`."""

    def test_text(self) -> None:
        """A text is sent byte for byte, bytes that are not UTF-8 included."""
        answer = text("a\udcff\n", 404)
        self.assertEqual((answer.body, answer.status, answer.content_type), (b"a\xff\n", 404, TEXT))

    def test_data(self) -> None:
        """A value is sent as JSON."""
        answer = data(ErrorAnswer("no"))
        self.assertEqual((msgspec.json.decode(answer.body), answer.status), ({"error": "no"}, 200))
        self.assertEqual(answer.content_type, JSON)
