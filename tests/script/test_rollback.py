"""``--rollback``: which configuration is meant."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from marathonlb.errors import UsageError
from marathonlb.script.rollback import place


class PlaceTests(SynchronousTestCase):
    """`place`."""

    def test_place(self) -> None:
        """The newest one is what runs, so 1 is the one before."""
        self.assertEqual([place(steps, 3) for steps in (1, 2)], [1, 2])

    def test_too_far(self) -> None:
        """What is not kept cannot be gone back to, and the words say what can."""
        for steps, kept, words in (
            (3, 3, "the oldest of the 3 archived configurations is 2"),
            (1, 1, "no earlier configuration"),
            (1, 0, "no earlier configuration"),
        ):
            error = self.assertRaises(UsageError, place, steps, kept)
            self.assertIn("--rollback", str(error))
            self.assertIn(words, str(error))
