"""Requests, answers and refusals."""

from __future__ import annotations

import msgspec
from twisted.trial.unittest import SynchronousTestCase

from marathonlb.web.page import JSON, TEXT, Asked, ErrorAnswer, Refusal, data, text


class AskedTests(SynchronousTestCase):
    """`Asked`."""

    def test_number(self) -> None:
        """A number of the query is read; without one the default holds."""
        asked = Asked(query={"page": "12"})
        self.assertEqual((asked.number("page", 1), asked.number("line", 0)), (12, 0))

    def test_no_number(self) -> None:
        """Anything but a short whole number is refused with its name and value."""
        for value in ("", "x", "-1", "1.5", "\u0663", "9" * 19):
            error = self.assertRaises(Refusal, Asked(query={"page": value}).number, "page", 1)
            self.assertEqual((error.status, str(error)), (400, f"page={value!r} is not a whole number"))

    def test_body(self) -> None:
        """The body, which may hold a secret, is not in the representation."""
        self.assertNotIn("secret", repr(Asked(body=b"secret")))


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
