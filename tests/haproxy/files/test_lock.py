"""One controller at a time."""

from __future__ import annotations

import os
import shutil
import socket
import sys
import tempfile
from glob import glob

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from marathonlb.errors import AlreadyRunning, UsageError
from marathonlb.haproxy.files.lock import command, occupied, occupy
from marathonlb.haproxy.files.state_directory import longest_state_directory
from marathonlb.settings import Settings

NOW = 1_700_000_000


class LockTests(SynchronousTestCase):
    """Locks of this process, taken twice: each opening of the file counts as another process's."""

    def setUp(self) -> None:
        self.top = tempfile.mkdtemp(prefix="mlb-", dir="/tmp")
        self.addCleanup(shutil.rmtree, self.top, ignore_errors=True)
        os.mkdir(f"{self.top}/other")
        self.settings = Settings(state_dir=f"{self.top}/state", haproxy_config=f"{self.top}/haproxy.cfg")

    def refused(self, **other: object) -> str:
        """What a second one is told."""
        settings = evolve(self.settings, **other)  # type: ignore[arg-type]
        return str(self.assertRaises(AlreadyRunning, occupy, settings, NOW))

    def free(self, **other: object) -> None:
        """A second one may come."""
        occupy(evolve(self.settings, **other), NOW).release()  # type: ignore[arg-type]

    def test_state_directory(self) -> None:
        """The second is told of the first: its process, its program, since when, and what it runs."""
        with occupied(self.settings, NOW):
            words = self.refused(haproxy_config=f"{self.top}/other/haproxy.cfg")
            self.assertIn(f"the state directory {self.top}/state: pid {os.getpid()} (", words)
            self.assertIn(f"{self.top}/haproxy.cfg) since 2023-11-14T22:13:20Z; ", words)
            self.assertIn("another --state-dir", words)
            self.assertNotIn("\n", words)
        self.free()

    def test_same_files(self) -> None:
        """With two state directories, one haproxy.cfg cannot be two controllers', nor can map files beside it."""
        other = f"{self.top}/other/state"
        with occupied(self.settings, NOW):
            self.assertIn(f"has {self.top}/haproxy.cfg: pid", self.refused(state_dir=other))
            beside = {"state_dir": other, "haproxy_config": f"{self.top}/second.cfg"}
            self.assertIn(f"the map files in {self.top}: pid", self.refused(**beside))
            self.free(**beside, haproxy_map=False)
            self.free(state_dir=other, haproxy_config=f"{self.top}/other/haproxy.cfg")

    def test_refused_holds_nothing(self) -> None:
        """One that is refused lets go of what it had."""
        other = f"{self.top}/other/state"
        with occupied(self.settings, NOW):
            self.refused(state_dir=other)
            self.free(state_dir=other, haproxy_config=f"{self.top}/other/haproxy.cfg")

    def test_only_ours(self) -> None:
        """Nobody else may open a lock, since that is enough to lock it; and a link in its place is not followed."""
        with occupied(self.settings, NOW):
            for name in ("state/lock", ".haproxy.cfg.lock", ".maps.lock"):
                self.assertEqual(0o600, os.stat(f"{self.top}/{name}").st_mode & 0o777)
        os.unlink(f"{self.top}/state/lock")
        os.symlink(f"{self.top}/elsewhere", f"{self.top}/state/lock")
        self.free()
        self.assertFalse(os.path.exists(f"{self.top}/elsewhere"))

    def test_not_inherited(self) -> None:
        """No program that is started holds them."""
        held = occupy(self.settings, NOW)
        pid = os.posix_spawn("/bin/sleep", ["sleep", "100"], {})
        self.addCleanup(os.waitpid, pid, 0)
        self.addCleanup(os.kill, pid, 9)
        while f"{self.top}/state/lock" in map(os.path.realpath, glob(f"/proc/{pid}/fd/*")):
            continue  # it is about to become the program
        held.release()
        self.free()

    def test_listened(self) -> None:
        """Where somebody listens on the controller's socket there is one, though its lock is lost."""
        os.mkdir(self.settings.state_dir, 0o700)
        path = f"{self.settings.state_dir}/web.sock"
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(path)
            occupy(self.settings, NOW, ["web.sock"]).release()
            listening.listen(1)
            error = self.assertRaises(AlreadyRunning, occupy, self.settings, NOW, ["web.sock"])
            self.assertIn(f"pid {os.getpid()} listens on {path}", str(error))
        occupy(self.settings, NOW, ["web.sock"]).release()

    def test_cannot_be_made(self) -> None:
        """Where nothing can be written there is nothing to lock, and whoever writes says so."""
        self.free(state_dir="/proc/x", haproxy_config="/proc/haproxy.cfg")

    def test_too_long(self) -> None:
        """A directory in which HAProxy could bind no socket is refused where HAProxy is ours, with the longest."""
        most = longest_state_directory()
        path = f"{self.top}/{'x' * (most - len(self.top) - 1)}"
        self.free(state_dir=path, manage_haproxy=True)
        error = self.assertRaises(
            UsageError, occupy, evolve(self.settings, state_dir=path + "x", manage_haproxy=True), NOW
        )
        self.assertIn(f"{most} bytes", str(error))

    def test_command(self) -> None:
        """No option is named, since it may be a secret."""
        self.assertEqual(
            "twistd marathon-lb", command(["/bin/twistd", "-n", "marathon-lb", "-m", "http://u:p@m"])
        )
        self.assertEqual("marathon-update-haproxy", command(["marathon-update-haproxy", "-m", "x"]))
        self.assertNotIn("/", command(sys.argv))
