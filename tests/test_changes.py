"""The news fragments of the next release."""

from __future__ import annotations

import re

from twisted.trial.unittest import SynchronousTestCase

from tests.paths import CHECKOUT

BESIDE = {"README.md", "template.md.j2"}


class ChangesTests(SynchronousTestCase):
    """The files in changes/."""

    def test_names(self) -> None:
        """Every file has a name that the changelog knows, and says something."""
        for path in (CHECKOUT / "changes").iterdir():
            if path.name not in BESIDE:
                self.assertRegex(
                    path.name, re.compile(r"^\+[a-z0-9-]+\.(removal|feature|bugfix|doc|misc)\.md$")
                )
                self.assertTrue(path.read_text(encoding="utf-8").strip(), path.name)
