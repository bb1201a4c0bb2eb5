"""The processes of the demonstration."""

from __future__ import annotations

import socket
import subprocess
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from minimarathon.demo.children import Child, end_haproxies, haproxies, port_in_use, until
from minimarathon.demo.lock import CannotRun, DirectoryLock


class ChildrenTests(SynchronousTestCase):
    """What needs no process."""

    def test_log_tail(self) -> None:
        """The end of a log has at most as many lines as asked for."""
        log = Path(self.mktemp())
        log.write_text("one\ntwo\nthree\n")
        process: Any = subprocess.Popen
        self.assertEqual("two\nthree", Child("x", process, log).log_tail(2))
        self.assertEqual("one\ntwo\nthree", Child("x", process, log).log_tail())

    def test_port_in_use(self) -> None:
        """A port is in use while somebody listens on it."""
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]
            self.assertTrue(port_in_use("127.0.0.1", port))
        self.assertFalse(port_in_use("127.0.0.1", port))

    def test_until(self) -> None:
        """A condition is checked at least once, whatever the timeout."""
        self.assertTrue(until(lambda: True, 0))
        self.assertFalse(until(lambda: False, 0))

    def test_no_haproxy(self) -> None:
        """A configuration that no HAProxy uses has no processes to end."""
        config = Path(self.mktemp())
        self.assertEqual([], list(haproxies(config)))
        self.assertEqual(0, end_haproxies(config))


class LockTests(SynchronousTestCase):
    """`DirectoryLock`."""

    def test_one_run_at_a_time(self) -> None:
        """A directory is locked until its run ends, and the error names the directory."""
        directory = Path(self.mktemp())
        directory.mkdir()
        with DirectoryLock(directory / "lock"):
            error = self.assertRaises(CannotRun, DirectoryLock, directory / "lock")
            self.assertIn(str(directory), str(error))
        with DirectoryLock(directory / "lock"):
            pass
