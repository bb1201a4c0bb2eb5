"""Rows of the table of options."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from marathonlb.options.option import COUNT, FLAG, PATH, Face, Option


def option(**more: object) -> Option:
    return Option(**{"name": "max-shrink", "kind": COUNT, "help": "the maximum", **more})  # type: ignore[arg-type]


class OptionTests(SynchronousTestCase):
    """`Option`."""

    def test_variable(self) -> None:
        """The variable is the name in capitals behind the prefix."""
        self.assertEqual("MARATHON_LB_MAX_SHRINK", option().variable)

    def test_flag(self) -> None:
        """An option is a flag by its kind."""
        self.assertTrue(option(kind=FLAG).flag)
        self.assertFalse(option(kind=PATH).flag)

    def test_shown_default(self) -> None:
        """The help shows a flag as on or off, a text of its own where there is one, and nothing without a default."""
        for more, expected in (
            ({"kind": FLAG, "default": "true"}, "on"),
            ({"kind": FLAG}, "off"),
            ({"default": "5"}, "5"),
            ({"default": "5", "default_help": "five"}, "five"),
            ({}, ""),
        ):
            self.assertEqual(expected, option(**more).shown_default)


class FaceTests(SynchronousTestCase):
    """`Face`."""

    def test_takes(self) -> None:
        """An option of both faces belongs to each, another one to its own alone."""
        for face in (Face.DAEMON, Face.SCRIPT):
            self.assertTrue(Face.BOTH.takes(face))
            self.assertTrue(face.takes(face))
        self.assertFalse(Face.DAEMON.takes(Face.SCRIPT))
