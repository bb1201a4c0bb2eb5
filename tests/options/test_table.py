"""The table of options."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from marathonlb.options import Face, options
from tests.paths import data


class NameTests(SynchronousTestCase):
    """The names of the options."""

    def test_names(self) -> None:
        """The names of the options are those of the list: people's command lines hold them, so each one stays."""
        listed = data("options.txt").read_text().split()
        self.assertEqual(sorted(listed), sorted(option.name for option in options()))

    def test_names_are_unique(self) -> None:
        """No two options of a face share a name."""
        for face in (Face.DAEMON, Face.SCRIPT):
            shorts = [option.short for option in options(face) if option.short]
            longs = [option.name for option in options(face)]
            self.assertEqual(len(set(shorts)), len(shorts))
            self.assertEqual(len(set(longs)), len(longs))
