"""Finding and draining a HAProxy that a controller started."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from marathonlb.haproxy.process.procfs import ProcessIdentity, Procfs
from marathonlb.image.drain import HAProxy, reap


class FakeProcfs(Procfs):
    """One process with these arguments."""

    def __init__(self, *arguments: str) -> None:
        self._arguments = arguments

    def identify(self, pid: int) -> ProcessIdentity | None:
        return ProcessIdentity(pid, "1")

    def arguments(self, pid: int) -> tuple[str, ...]:
        return self._arguments


class MasterTests(SynchronousTestCase):
    """`HAProxy.master`."""

    def setUp(self) -> None:
        self.directory = Path(self.mktemp())
        self.directory.mkdir()
        self.socket = os.path.join(str(self.directory), "master.sock")

    def master(self, *arguments: str, pid: str = "42\n") -> ProcessIdentity | None:
        """The master by a pid file and a command line."""
        (self.directory / "haproxy.pid").write_text(pid)
        return HAProxy(str(self.directory), FakeProcfs(*arguments)).master()

    def test_ours(self) -> None:
        """A process that binds our master socket is ours, whatever follows the socket's path."""
        for value in (self.socket, f"{self.socket},mode,600"):
            found = self.master("haproxy", "-Ws", "-S", value)
            self.assertEqual(found, ProcessIdentity(42, "1"), value)

    def test_another(self) -> None:
        """A process with another command line is not ours: its id was given to it later."""
        self.assertIsNone(self.master("haproxy", "-S", "/elsewhere/master.sock"))
        self.assertIsNone(self.master("sleep", self.socket))

    def test_unknown(self) -> None:
        """Without a readable pid file there is no master, and draining is done at once."""
        self.assertIsNone(self.master("haproxy", "-S", self.socket, pid="no number\n"))
        (self.directory / "haproxy.pid").unlink()
        haproxy = HAProxy(str(self.directory))
        self.assertIsNone(haproxy.master())
        self.assertTrue(haproxy.drain(60))


class ReapTests(SynchronousTestCase):
    """`reap`."""

    def test_codes(self) -> None:
        """A child's exit status is returned, or 128 plus the signal that ended it."""
        for code, expected in (("raise SystemExit(3)", 3), ("import os; os.kill(os.getpid(), 9)", 137)):
            child = subprocess.Popen([sys.executable, "-I", "-S", "-c", code], stderr=subprocess.DEVNULL)
            os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
            ended = reap()
            child.returncode = 0
            self.assertEqual(ended.get(child.pid), expected, code)
