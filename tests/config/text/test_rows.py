"""Long sequences that share what they have in common."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from marathonlb.config.text.rows import BLOCK, Rows

LENGTHS = st.sampled_from([0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK, 3 * BLOCK + 7])
NUMBERS = st.integers(-1000, 1000)


class RowsTests(SynchronousTestCase):
    """They are what a tuple of the same rows is."""

    @given(LENGTHS, st.data())
    def test_as_a_tuple(self, length: int, data: st.DataObject) -> None:
        """Whatever is replaced, they are read as a tuple is, and those before are what they were."""
        plain = list(range(length))
        rows = Rows(plain)
        for changes in (
            data.draw(st.lists(st.dictionaries(st.integers(0, length - 1), NUMBERS))) if length else ()
        ):
            before, was = rows, tuple(plain)
            rows = rows.replace(changes)
            for place, number in changes.items():
                plain[place] = number
            self.assertEqual(before, was)
        wanted = tuple(plain)
        self.assertEqual((len(rows), tuple(rows), bool(rows)), (length, wanted, bool(wanted)))
        self.assertEqual(rows, Rows(wanted))
        self.assertEqual(hash(rows), hash(wanted))
        for place in (0, -1, length - 1, -length, BLOCK, length // 2):
            if -length <= place < length:
                self.assertEqual(rows[place], wanted[place])
        for part in (slice(2, None), slice(-3, None), slice(None, None, -1), slice(BLOCK - 1, BLOCK + 1)):
            self.assertEqual(rows[part], wanted[part])
        for place in (length, -length - 1):
            with self.assertRaises(IndexError):
                rows[place]

    def test_shared(self) -> None:
        """What is replaced takes its own block along, and no other."""
        rows = Rows(range(5 * BLOCK))
        other = rows.replace({BLOCK: -1, BLOCK + 1: -2})
        self.assertEqual(
            [one is two for one, two in zip(rows.blocks, other.blocks, strict=True)],
            [True, False, True, True, True],
        )
        self.assertIs(Rows.of(rows), rows)
        self.assertNotEqual(rows, other)
