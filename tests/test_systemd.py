"""The systemd units: their options for the controller."""

from __future__ import annotations

import re

from twisted.trial.unittest import SynchronousTestCase

from marathonlb.options import Machine, settings_from
from tests.paths import CHECKOUT

UNITS = CHECKOUT / "packaging" / "systemd"


class UnitTests(SynchronousTestCase):
    """The options in the units."""

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
