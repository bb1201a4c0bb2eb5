"""What outlives the controller: the state directory."""

from __future__ import annotations

import errno
import os
import shutil

from twisted.trial.unittest import SynchronousTestCase

from marathonlb.errors import PublishFailed
from marathonlb.haproxy.files.disk import Disk, explain_error, forbidden
from marathonlb.haproxy.files.state_directory import StateDirectory
from marathonlb.settings import Settings
from tests.fakes.disks import refusing


class StateTests(SynchronousTestCase):
    """The directory and the marker."""

    def test_marker(self) -> None:
        """What is confirmed is read by the next one, until it is doubted."""
        path = self.mktemp()
        state = StateDirectory(path)
        self.assertIsNone(state.confirmed())
        state.forget_confirmed()
        state.confirm("abc")
        self.assertEqual(StateDirectory(path).confirmed(), "abc")
        state.forget_confirmed()
        self.assertIsNone(StateDirectory(path).confirmed())

    def test_marker_stays_whole(self) -> None:
        """A confirmation that fails leaves the one before."""
        path = self.mktemp()
        StateDirectory(path).confirm("abc")
        failing = StateDirectory(path, disk=refusing(0, errno.ENOSPC, "full"))
        self.assertRaises(OSError, failing.confirm, "abcdef")
        self.assertEqual(StateDirectory(path).confirmed(), "abc")

    def test_taken_away(self) -> None:
        """A directory that somebody takes away is made again."""
        state = StateDirectory(self.mktemp())
        state.confirm("abc")
        shutil.rmtree(state.path)
        state.confirm("def")
        self.assertEqual(state.confirmed(), "def")

    def test_fallback(self) -> None:
        """The default that cannot be made gives way to a directory beside the configuration."""
        directory = os.path.abspath(self.mktemp())
        os.mkdir(directory)
        state = StateDirectory("/proc/marathon-lb", os.path.join(directory, ".marathon-lb"))
        self.assertEqual(state.file("x"), os.path.join(directory, ".marathon-lb", "x"))

    def test_chosen(self) -> None:
        """A directory that somebody chose does not give way: the error says what to do."""
        settings = Settings(haproxy_config=os.path.abspath(self.mktemp()), state_dir="/proc/chosen")
        error = self.assertRaises(PublishFailed, StateDirectory.of(settings).file, "x")
        self.assertIn("/proc/chosen: ", str(error))
        self.assertIn("choose another --state-dir", str(error))

    def test_read_only(self) -> None:
        """A directory that takes nothing is said with the reason: the mount, or who we are."""

        class Unwritable(Disk):
            def unwritable(self, path: str) -> OSError | None:
                return forbidden(path, os.ST_RDONLY | os.ST_NOSUID)

        path = os.path.abspath(self.mktemp())
        error = self.assertRaises(PublishFailed, StateDirectory(path, disk=Unwritable()).file, "x")
        self.assertEqual(
            str(error), f"{path}: Read-only file system; mount it writable or choose another --state-dir"
        )
        self.assertIn("Permission denied; let this user write", explain_error(forbidden(path, os.ST_NOSUID)))
        self.assertIsNone(Disk().unwritable(path))

    def test_long_path(self) -> None:
        """A path that is too long for a socket is said before HAProxy is."""
        state = StateDirectory(os.path.join(os.path.abspath(self.mktemp()), "x" * 90))
        error = self.assertRaises(PublishFailed, state.socket, "master.sock")
        self.assertIn("choose a shorter --state-dir", str(error))
