"""The manual pages."""

from __future__ import annotations

import re

from twisted.trial.unittest import SynchronousTestCase

from marathonlb.options import Face, options
from marathonlb.options.manpage import manual_pages

MACROS = {"TH", "SH", "B", "PP", "TP", "br", "nf", "fi", "RS", "RE"}


class ManualTests(SynchronousTestCase):
    """The manual pages."""

    def test_options(self) -> None:
        """Each page has every option of its command, and no other."""
        for name, face in (("marathon-lb.1", Face.DAEMON), ("marathon-update-haproxy.1", Face.SCRIPT)):
            found = set(
                re.findall(r"^(?:\\fB.*, )?\\fB\\-\\-(?!no\\-)([a-z\\-]+)\\fR", manual_pages()[name], re.M)
            )
            self.assertEqual(
                {each.replace("\\-", "-") for each in found}, {each.name for each in options(face)}
            )

    def test_lines(self) -> None:
        """A line that begins with a dot is a macro that the man macros have; no text is taken for one."""
        for text in manual_pages().values():
            for line in text.splitlines():
                self.assertFalse(line.startswith("'"), line)
                if line.startswith("."):
                    self.assertIn(line[1:].split()[0], MACROS, line)
