"""docs/threat-model.md names tests that exist."""

from __future__ import annotations

import re
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.paths import CHECKOUT

TESTS = Path(CHECKOUT) / "tests"
_MODULE = re.compile(r"`([a-z0-9_/]+\.py)`(?:: ((?:`test_[a-z0-9_]+`(?:, )?)+))?")


class ThreatModelTests(SynchronousTestCase):
    """Each line of the threat model has a test."""

    def test_named(self) -> None:
        """Every row of a table names a module of the tests, and the functions it names are in there."""
        text = (Path(CHECKOUT) / "docs" / "threat-model.md").read_text(encoding="utf-8")
        rows = [line for line in text.splitlines() if line.startswith("| ") and not line.startswith("| ---")]
        rows = [row for row in rows if not row.endswith("| test |")]
        self.assertGreater(len(rows), 40)
        for row in rows:
            named = _MODULE.findall(row.split("|")[-2])
            self.assertTrue(named, row)
            for module, functions in named:
                source = (TESTS / module).read_text(encoding="utf-8")
                for function in re.findall(r"test_[a-z0-9_]+", functions):
                    self.assertIn(f"def {function}(", source, row)
