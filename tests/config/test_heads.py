"""The first section of haproxy.cfg."""

from __future__ import annotations

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from marathonlb.config.heads import head
from marathonlb.config.templates.template import Template, classic
from marathonlb.config.templates.variables import shared_variables
from marathonlb.config.text.model import Section
from marathonlb.settings import Settings
from tests.config.clusters import DEFAULTS

SETTINGS = Settings(state_dir="/run/mlb", manage_haproxy=True)


class HeadTests(SynchronousTestCase):
    """`head`."""

    def head(self, template: Template) -> tuple[Section, list[str]]:
        """The section, and the reasons of its problems."""
        section, problems = head(
            template, DEFAULTS.defaults["HEAD"], SETTINGS, shared_variables(SETTINGS), lambda path: True
        )
        return section, [problem.reason for problem in problems]

    def test_default(self) -> None:
        """The default is one chunk, without warnings."""
        section, warnings = self.head(DEFAULTS.shared["HEAD"])
        self.assertEqual((len(section.chunks), warnings), (1, []))
        self.assertIn("/run/mlb/haproxy.sock", section.text)

    def test_operator(self) -> None:
        """An operator's text is rewritten with a warning for each line, and stays the operator's."""
        section, (warning,) = self.head(classic("HEAD", "global\n  daemon\n", "file x"))
        self.assertEqual(section.text, "global\n  # daemon\n")
        self.assertEqual(section.chunks[-1].owner.source, "file x")
        self.assertIn("`daemon` is left out", warning)

    def test_closed(self) -> None:
        """A closed text leaves its restrictions in a minimal head of ours."""
        text = "global\n  user haproxy\n  nbproc 2\nlisten mine\n  bind :9\n"
        section, warnings = self.head(evolve(classic("HEAD", text, "file x"), closed="is closed"))
        self.assertIn("\nglobal\n  user haproxy\n", section.text)
        self.assertIn("/run/mlb/closed.sock", section.text)
        self.assertNotIn("mine", section.text)
        self.assertEqual(warnings, [])
