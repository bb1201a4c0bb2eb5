"""The units for systemd, as far as they can be judged without one that runs."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from marathonlb.options import Machine, settings_from
from tests.paths import CHECKOUT

UNITS = CHECKOUT / "packaging" / "systemd"
PROGRAM = shutil.which("systemd-analyze")
MOST_EXPOSED = {"marathon-lb.service": 20, "marathon-lb-haproxy.service": 10}
"""Tenths: docs/systemd.md names what systemd-analyze says."""


class UnitTests(SynchronousTestCase):
    """What systemd's own judge says, and what the units tell the controller."""

    def analyze(self, *arguments: str) -> str:
        """What systemd-analyze says; it has to be content."""
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

    if PROGRAM is None:
        test_verify.skip = test_exposure.skip = "systemd-analyze is not installed"  # type: ignore[attr-defined]

    def test_environment(self) -> None:
        """The variables of the unit are options, and their paths are those that systemd and tmpfiles.d make."""
        text = (UNITS / "marathon-lb.service").read_text()
        environ = dict(re.findall(r"(?m)^Environment=(MARATHON_LB_\w+)=(.*)$", text))
        machine = Machine(which=lambda program, path: None, bundled_haproxy=lambda: None)
        settings = settings_from({}, environ, machine=machine)
        self.assertTrue(settings.manage_haproxy)
        self.assertEqual("/var/lib/marathon-lb/haproxy.cfg", settings.haproxy_config)
        self.assertEqual("/run/marathon-lb", settings.state_dir)
        made = set(re.findall(r"(?m)^d (\S+)", (UNITS / "marathon-lb.tmpfiles").read_text()))
        self.assertLessEqual({settings.templates, *map(str, settings.ssl_certs)}, made)
        self.assertIn("RuntimeDirectory=marathon-lb\n", text)
        self.assertIn("StateDirectory=marathon-lb\n", text)

    def test_lives_apart(self) -> None:
        """A stop of the controller's unit ends the controller alone, and never the directory of HAProxy's sockets."""
        text = (UNITS / "marathon-lb.service").read_text()
        for line in (
            "KillMode=process",
            "RuntimeDirectoryPreserve=yes",
            "OOMPolicy=continue",
            "Restart=always",
        ):
            self.assertIn(f"{line}\n", text)
