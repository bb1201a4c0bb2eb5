"""The units for systemd, judged by systemd-analyze."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.test_systemd import UNITS

PROGRAM = shutil.which("systemd-analyze")
MOST_EXPOSED = {"marathon-lb.service": 20, "marathon-lb-haproxy.service": 10}
"""Tenths: docs/systemd.md names what systemd-analyze says."""


class AnalyzedUnitsTests(SynchronousTestCase):
    """Both units, as systemd-analyze judges them."""

    if PROGRAM is None:
        skip = "systemd-analyze is not installed"

    def analyze(self, *arguments: str) -> str:
        """Return what systemd-analyze prints; fail where it refuses."""
        assert PROGRAM is not None
        done = subprocess.run([PROGRAM, *arguments], capture_output=True, text=True, check=False, timeout=60)
        self.assertEqual(0, done.returncode, done.stdout + done.stderr)
        return done.stdout + done.stderr

    def test_verify(self) -> None:
        """Both units are whole: every key is known, every unit that one names is there."""
        directory = Path(self.mktemp()).resolve()
        directory.mkdir(parents=True)
        for unit in UNITS.glob("*.service"):
            # The programs are where the documentation installs them, not here.
            text = re.sub(
                r"(?m)^(Exec\w+)=/opt/marathon-lb/bin/\w+", rf"\1={sys.executable}", unit.read_text()
            )
            (directory / unit.name).write_text(text)
        said = self.analyze("verify", *(str(directory / name) for name in MOST_EXPOSED))
        self.assertNotIn(str(directory), said)

    def test_exposure(self) -> None:
        """Neither unit may do more than the documentation says, by systemd's own count."""
        for name, most in MOST_EXPOSED.items():
            self.analyze("security", "--offline=true", f"--threshold={most}", str(UNITS / name))
