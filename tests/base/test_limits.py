"""The limits of texts."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from marathonlb.base.limits import QUOTED, SHOWN, quoted, shortened, size, within


class LimitTests(SynchronousTestCase):
    """The functions of `marathonlb.base.limits`."""

    def test_size(self) -> None:
        """A size is in bytes of UTF-8, also for a lone surrogate of JSON."""
        self.assertEqual([0, 3, 2, 3], [size(text) for text in ("", "abc", "ä", "\ud800")])

    def test_within(self) -> None:
        """A text of the maximum size is returned, and a longer one is refused with both numbers."""
        self.assertEqual("abc", within("abc", 3))
        self.assertEqual("ä", within("ä", 2))
        error = self.assertRaises(ValueError, within, "ää", 3, "the path has")
        self.assertEqual("the path has 4 bytes; the maximum is 3", str(error))

    def test_shortened(self) -> None:
        """A long text ends with an ellipsis."""
        self.assertEqual("a" * SHOWN, shortened("a" * SHOWN))
        self.assertEqual("a" * SHOWN + "…", shortened("a" * (SHOWN + 1)))

    def test_quoted(self) -> None:
        """Of a long complaint the beginning and the end are kept."""
        self.assertEqual("short", quoted("short"))
        text = quoted("b" * QUOTED + "m" * QUOTED + "e" * QUOTED)
        self.assertEqual("b" * (QUOTED // 2) + "…" + "e" * (QUOTED // 2), text)
