"""The parts of the wing, joined as the settings say."""

from __future__ import annotations

import os

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from marathonlb.config.text.diff import split
from marathonlb.errors import HAProxyUnavailable
from marathonlb.haproxy.factory import admin_socket, connection, make_applier
from marathonlb.haproxy.files.state_directory import StateDirectory
from marathonlb.haproxy.interfaces import IApplier
from marathonlb.settings import Settings


class SocketTests(SynchronousTestCase):
    """Which stats socket is used."""

    def test_admin(self) -> None:
        """Only one with level admin is used."""
        for lines, path in (
            ("  stats socket /run/a.sock mode 660\n", None),
            ("  stats socket /run/a.sock mode 660 level admin\n", "/run/a.sock"),
            ("  stats socket unix@/run/a.sock level  admin expose-fd listeners\n", "/run/a.sock"),
            ("  stats socket /run/a.sock\n  stats socket /run/b.sock level admin\n", "/run/b.sock"),
            ("  stats socket ipv4@127.0.0.1:9999 level admin\n", None),
        ):
            self.assertEqual(admin_socket(split(f"global\n{lines}", {})), path, lines)

    def test_elsewhere(self) -> None:
        """Only one of the global section is used."""
        self.assertIsNone(admin_socket(split("backend x\n  stats socket /run/a.sock level admin\n", {})))

    def test_none(self) -> None:
        """Without one the runtime API is unavailable, and the error says what that means."""
        settings = Settings(state_dir=self.mktemp(), manage_haproxy=False)
        connect = connection(settings, StateDirectory.of(settings), reactor)
        failing = Deferred.fromCoroutine(connect(split("global\n", {})))  # type: ignore[arg-type]
        error = self.failureResultOf(failing, HAProxyUnavailable).value
        self.assertIn("no stats socket with level admin", str(error))


class ApplierTests(SynchronousTestCase):
    """The applier that the settings ask for."""

    def test_made(self) -> None:
        """It is made for a managed and for another HAProxy, and touches nothing before it is used."""
        for managed in (True, False):
            directory = self.mktemp()
            settings = Settings(
                state_dir=os.path.join(directory, "state"),
                haproxy_config=os.path.join(directory, "haproxy.cfg"),
                manage_haproxy=managed,
            )
            applier = make_applier(settings, reactor)
            self.assertTrue(verifyObject(IApplier, applier))
            self.assertIsNone(applier.running)
            self.assertFalse(os.path.exists(directory))
