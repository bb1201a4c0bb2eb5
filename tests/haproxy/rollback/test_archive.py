"""The archive of the configurations that HAProxy ran."""

from __future__ import annotations

import errno
import json
import os

from twisted.trial.unittest import SynchronousTestCase

from marathonlb.haproxy.files.publish import Published
from marathonlb.haproxy.files.state_directory import StateDirectory
from marathonlb.haproxy.rollback.archive import Archive
from marathonlb.haproxy.rollback.pin import Pin, Pins
from tests.fakes.disks import refusing


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
