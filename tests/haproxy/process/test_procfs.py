"""Processes in ``/proc``."""

from __future__ import annotations

import os

from twisted.trial.unittest import SynchronousTestCase

from marathonlb.haproxy.process.procfs import ProcessIdentity, Procfs
from tests.fakes.machine import FakeMachine


class ProcfsTests(SynchronousTestCase):
    """`Procfs`."""

    def setUp(self) -> None:
        self.machine = FakeMachine(self.mktemp())
        self.procfs = self.machine.procfs

    def test_haproxies(self) -> None:
        """A HAProxy is found by its file however it is named, and no other program and no other file's is."""
        path = "/etc/haproxy/haproxy.cfg"
        self.machine.runs(10, "/usr/sbin/haproxy", "-Ws", "-f", path, "-p", "/run/haproxy.pid")
        self.machine.runs(11, "haproxy", "-sf", "9", "-f", "haproxy.cfg", cwd="/etc/haproxy")
        self.machine.runs(12, "/opt/haproxy-2.8", "-W", "-f", "/etc/haproxy")
        self.machine.runs(13, "haproxy", "-db", "--", path)
        self.machine.runs(20, "vim", "-f", path)
        self.machine.runs(21, "haproxy", "-f", "/etc/other.cfg")
        self.machine.runs(22, "haproxy", "-f")
        self.machine.runs(23)
        self.assertEqual(self.procfs.haproxies(path), (10, 11, 12, 13))

    def test_masters(self) -> None:
        """What leads its session was started as a service; its workers are in it, and a container has other files."""
        path = os.path.join(self.machine.root, "haproxy.cfg")
        self.machine.runs(10, "haproxy", "-Ws", "-f", path, session=10)
        self.machine.runs(11, "haproxy", "-Ws", "-f", path, session=10)
        self.machine.runs(20, "haproxy", "-W", "-f", "/etc/other.cfg", session=20)
        self.machine.runs(30, "vim", path, session=30)
        self.machine.runs(40, "haproxy", "-W", "-f", path, session=40, root="/proc/self/fd")
        self.assertEqual(self.procfs.masters(path), (10,))

    def test_alive(self) -> None:
        """A process is itself by its id and its start; one that has ended and waits is not there."""
        self.machine.runs(10, "haproxy")
        seen = self.procfs.identify(10)
        self.assertEqual(seen, ProcessIdentity(10, "7"))
        assert seen is not None
        self.assertTrue(self.procfs.alive(seen))
        self.machine.runs(10, "haproxy", started=8)
        self.assertFalse(self.procfs.alive(seen))
        self.machine.runs(10, "haproxy", state="Z")
        self.assertFalse(self.procfs.alive(seen))
        self.assertIsNone(self.procfs.identify(99))

    def test_this_process(self) -> None:
        """The real one is understood."""
        seen = Procfs().identify(os.getpid())
        assert seen is not None
        self.assertTrue(Procfs().alive(seen))
        self.assertGreater(int(seen.started), 0)
