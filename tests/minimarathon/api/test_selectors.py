"""Label selectors."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from minimarathon.api.selectors import parse_selector
from minimarathon.errors import Refused


class SelectorTests(SynchronousTestCase):
    """`parse_selector`."""

    def test_table(self) -> None:
        """Each selector, and whether it means an app with the labels a=x and b=y z."""
        labels = {"a": "x", "b": "y z"}
        rows = [
            ("a", True),
            ("c", False),
            ("a==x", True),
            ("a == y", False),
            ("a!=y", True),
            ("c!=y", False),
            (r"b==y\ z", True),
            ("a in (w, x)", True),
            ("a in (w)", False),
            ("a notin (w)", True),
            ("c notin (w)", False),
            ("a, b", True),
            ("a, c", False),
            ("a in (x), b, a!=w", True),
        ]
        for text, expected in rows:
            self.assertEqual(expected, parse_selector(text)(labels), text)

    def test_nonsense(self) -> None:
        """What is no selector is 400."""
        for text in ("((", "a=", "a in x", "a==x b"):
            with self.assertRaises(Refused) as caught:
                parse_selector(text)
            self.assertEqual(400, caught.exception.status, text)
