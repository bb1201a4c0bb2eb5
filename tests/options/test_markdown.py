"""The options as Markdown."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from marathonlb.options import options
from marathonlb.options.markdown import longhelp, options_markdown


class LonghelpTests(SynchronousTestCase):
    """``--longhelp``."""

    def test_longhelp(self) -> None:
        """--longhelp holds every option, then the other documents."""
        text = longhelp(["# Labels\n\nx", "# Templates\n\ny\n"])
        for option in options():
            self.assertIn(f"`--{option.name}", text)
        self.assertLess(text.index("# Labels"), text.index("# Templates"))
        self.assertTrue(text.startswith("# Options\n"))
        self.assertIn(options_markdown(), text)
