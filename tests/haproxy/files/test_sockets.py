"""Unix sockets: listeners, and the removal of dead ones."""

from __future__ import annotations

import os
import shutil
import socket
import tempfile

from twisted.trial.unittest import SynchronousTestCase

from marathonlb.haproxy.files.sockets import listener, remove_dead


class SocketTests(SynchronousTestCase):
    """Sockets with a path."""

    def setUp(self) -> None:
        self.top = tempfile.mkdtemp(prefix="mlb-", dir="/tmp")
        self.addCleanup(shutil.rmtree, self.top, ignore_errors=True)

    def bound(self, name: str, backlog: int | None = None) -> socket.socket:
        """A socket of this name, listened on where there is a backlog."""
        made = socket.socket(socket.AF_UNIX)
        self.addCleanup(made.close)
        made.bind(f"{self.top}/{name}")
        if backlog is not None:
            made.listen(backlog)
        return made

    def test_listener(self) -> None:
        """Only a socket that takes connections is listened on, also where its queue is full."""
        self.bound("alive", 5)
        self.bound("dead")
        self.bound("full", 0)
        asking = socket.socket(socket.AF_UNIX)
        self.addCleanup(asking.close)
        asking.connect(f"{self.top}/full")
        with open(f"{self.top}/file", "w", encoding="ascii"):
            pass
        told = {
            name: bool(listener(f"{self.top}/{name}")) for name in ("alive", "full", "dead", "file", "none")
        }
        self.assertEqual({"alive": True, "full": True, "dead": False, "file": False, "none": False}, told)

    def test_remove_dead(self) -> None:
        """What the configuration names stays, what somebody listens on stays, what is not of that kind stays."""
        for name in ("tls-a", "tls-b", "tls-b.12.tmp", "web.sock"):
            self.bound(name)
        self.bound("tls-c", 5)
        remove_dead(self.top, f"bind unix@{self.top}/tls-a mode 600\n")
        self.assertEqual({"tls-a", "tls-c", "web.sock"}, set(os.listdir(self.top)))
        remove_dead(f"{self.top}/none", "")
