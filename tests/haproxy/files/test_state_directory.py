"""What outlives the controller: the state directory, the archive, the log."""

from __future__ import annotations

import errno
import json
import os
import shutil

from twisted.trial.unittest import SynchronousTestCase

from marathonlb.errors import PublishFailed
from marathonlb.haproxy.files.disk import Disk, forbidden, told
from marathonlb.haproxy.files.publish import Published
from marathonlb.haproxy.files.state_directory import StateDirectory
from marathonlb.haproxy.process.output_log import KEPT, MAX_SIZE, Log
from marathonlb.haproxy.rollback.archive import Archive
from marathonlb.haproxy.rollback.pin import Pin, Pins
from marathonlb.settings import Settings
from tests.haproxy.disks import refusing


class StateTests(SynchronousTestCase):
    """The directory and the marker."""

    def test_marker(self) -> None:
        """What is confirmed is read by the next one, until it is doubted."""
        path = self.mktemp()
        state = StateDirectory(path)
        self.assertIsNone(state.confirmed())
        state.doubt()
        state.confirm("abc")
        self.assertEqual(StateDirectory(path).confirmed(), "abc")
        state.doubt()
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
        self.assertIn("Permission denied; let this user write", told(forbidden(path, os.ST_NOSUID)))
        self.assertIsNone(Disk().unwritable(path))

    def test_long_path(self) -> None:
        """A path that is too long for a socket is said before HAProxy is."""
        state = StateDirectory(os.path.join(os.path.abspath(self.mktemp()), "x" * 90))
        error = self.assertRaises(PublishFailed, state.socket, "master.sock")
        self.assertIn("choose a shorter --state-dir", str(error))


class ArchiveTests(SynchronousTestCase):
    """The last configurations."""

    def setUp(self) -> None:
        self.path = self.mktemp()
        self.state = StateDirectory(self.path)
        self.archive = Archive(self.state, 3)

    def add(self, number: int) -> None:
        published = Published(f"text {number}", {"a.map": f"{number}\n"})
        self.archive.add(published, reason=f"reason {number}", seconds=1_700_000_000 + number)

    def test_order_and_content(self) -> None:
        """Each is whole, in the order they came, with time and reason beside it."""
        self.add(1)
        self.add(2)
        first, second = self.archive.list()
        self.assertEqual((first.number, second.number), (1, 2))
        self.assertEqual((first.reason, first.time), ("reason 1", "2023-11-14T22:13:21+00:00"))
        for name, text in (("haproxy.cfg", "text 2"), ("a.map", "2\n")):
            with open(os.path.join(second.path, name), encoding="utf-8") as file:
                self.assertEqual(file.read(), text)
        with open(f"{second.path}.json", encoding="utf-8") as file:
            self.assertEqual(sorted(json.load(file)), ["digest", "reason", "time"])

    def test_pruned(self) -> None:
        """Only the last ones are kept, and their numbers go on."""
        for number in range(1, 8):
            self.add(number)
        self.assertEqual([archived.number for archived in self.archive.list()], [5, 6, 7])
        self.assertEqual(len(os.listdir(os.path.join(self.path, "archive"))), 6)

    def test_fewer(self) -> None:
        """A smaller number to keep takes the surplus away."""
        for number in range(3):
            self.add(number)
        Archive(self.state, 1).add(Published("new", {}), reason="", seconds=0)
        self.assertEqual([archived.number for archived in self.archive.list()], [4])

    def test_same_again(self) -> None:
        """The same configuration again is not archived twice."""
        self.add(1)
        self.add(1)
        self.assertEqual(len(self.archive.list()), 1)

    def test_pinned(self) -> None:
        """While one is pinned nothing is added: what HAProxy runs is that one with other tasks."""
        self.add(1)
        pins = Pins(self.path)
        pins.put(Pin("1", 0.0, Published("text 1")))
        self.add(2)
        self.assertEqual([archived.number for archived in self.archive.list()], [1])
        pins.release()
        self.add(3)
        self.assertEqual([archived.number for archived in self.archive.list()], [1, 2])

    def test_other_tasks(self) -> None:
        """The last one with other tasks is no other one: what is released is that one again."""
        line = "  server 10_0_0_{0}_80 10.0.0.{0}:80\n"
        for number, more, kept in ((1, "", 1), (2, "", 1), (2, "  mode tcp\n", 2), (3, "  mode tcp\n", 2)):
            text = f"backend a\n{more}{line.format(number)}"
            self.archive.add(Published(text, {"a.map": "x\n"}), reason="", seconds=0)
            self.assertEqual(len(self.archive.list()), kept)

    def test_none(self) -> None:
        """With nothing to keep there is no archive."""
        Archive(self.state, 0).add(Published("new", {}), reason="", seconds=0)
        self.assertFalse(os.path.exists(os.path.join(self.path, "archive")))

    def test_failure_goes_no_further(self) -> None:
        """A disk that refuses any operation is no error, and what was archived stays readable."""
        self.add(1)
        for at in range(5):
            disk = refusing(at, errno.ENOSPC, "full")
            Archive(self.state, 3, disk).add(Published(f"new {at}", {}), reason="", seconds=0)
            self.assertEqual(self.archive.list()[0].reason, "reason 1")

    def test_garbage(self) -> None:
        """What is not ours in the directory is left out."""
        self.add(1)
        with open(os.path.join(self.path, "archive", "00000009.json"), "w", encoding="utf-8") as file:
            file.write("[]")
        self.assertEqual([archived.number for archived in self.archive.list()], [1])


class LogTests(SynchronousTestCase):
    """HAProxy's output."""

    def setUp(self) -> None:
        self.path = self.mktemp()
        self.log = Log(self.path)
        descriptor = self.log.open()
        self.addCleanup(os.close, descriptor)
        self.write = lambda text: os.write(descriptor, text.encode())

    def test_since(self) -> None:
        """What was written since a moment is told, without what came before."""
        self.write("before\n")
        began = self.log.size()
        self.write("after\n")
        self.assertEqual(self.log.since(began), "after\n")

    def test_trim(self) -> None:
        """A log that is too large is cut; its end is kept beside it, and HAProxy's next words are at the beginning."""
        self.write("x" * MAX_SIZE)
        self.log.trim()
        self.assertEqual(self.log.size(), MAX_SIZE)
        self.write("the end")
        began = self.log.size()
        self.log.trim()
        self.write("next")
        self.assertEqual((self.log.size(), self.log.since(began)), (4, "next"))
        with open(self.path + ".old", encoding="utf-8") as file:
            kept = file.read()
        self.assertEqual((len(kept), kept[-7:]), (KEPT, "the end"))

    def test_tail(self) -> None:
        """Its last words are one line."""
        self.write("a\nb\nc\nd\n")
        self.assertEqual(self.log.tail(), "b | c | d")

    def test_nothing(self) -> None:
        """A log that is not there holds nothing."""
        log = Log("/nonexistent/log")
        self.assertEqual((log.size(), log.since(0), log.tail()), (0, "", ""))
        log.trim()
