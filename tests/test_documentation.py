"""The generated documentation."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from marathonlb import documentation
from marathonlb.options.markdown import options_markdown
from marathonlb.routing.labels.table import LABELS
from tests.paths import CHECKOUT


class FileTests(SynchronousTestCase):
    """The files under docs/."""

    def test_documentation_is_fresh(self) -> None:
        """The generated files of docs/ are what the tables say; `make docs` makes them so."""
        for name, text in documentation.documents().items():
            self.assertEqual(text, (CHECKOUT / "docs" / name).read_text(encoding="utf-8"), name)


class LonghelpTests(SynchronousTestCase):
    """``--longhelp`` of the daemon and the script."""

    def test_parts(self) -> None:
        """It has the options, every label and the limits, and the templates with their default texts."""
        text = documentation.longhelp()
        self.assertTrue(text.startswith(options_markdown()))
        for label in LABELS:
            self.assertIn(f"_{label.name}` |", text)
        for what, most in documentation.LIMITS:
            self.assertIn(f"| {what} | {most:,} |", text)
        self.assertIn("\n### HAPROXY_HEAD\n\n```jinja\n", text)
