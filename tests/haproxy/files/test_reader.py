"""Reading files that somebody else names."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path
from queue import Queue
from threading import Event
from time import process_time
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from marathonlb.haproxy.certificates.pem import blocks
from marathonlb.haproxy.files.reader import (
    LARGEST,
    MAX_PER_MOUNT,
    Readers,
    mount_of,
    mount_points,
    read_regular,
)


class RegularTests(SynchronousTestCase):
    """Regular files alone are read."""

    def setUp(self) -> None:
        self.directory = Path(self.mktemp()).resolve()
        self.directory.mkdir(parents=True)

    def test_regular(self) -> None:
        """A file's bytes, and the path that it really has."""
        file, link = self.directory / "file", self.directory / "link"
        file.write_bytes(b"text")
        link.symlink_to(file)
        self.assertEqual((b"text", str(file)), read_regular(str(link)))

    def test_others(self) -> None:
        """A FIFO, a socket, a device, a directory, and what the system makes up are none; nobody waits for them."""
        fifo, listener = self.directory / "fifo", socket.socket(socket.AF_UNIX)
        os.mkfifo(fifo)
        (self.directory / "link").symlink_to("/proc/self/status")
        self.addCleanup(listener.close)
        listener.bind(os.path.relpath(self.directory / "socket"))
        for path in (
            *(self.directory / name for name in ("fifo", "socket", "", "link")),
            *("/dev/zero", "/dev/null", "/proc/self/environ", "/proc/self/../self/maps"),
        ):
            with self.assertRaisesRegex(ValueError, "regular"):
                read_regular(str(path))

    def test_large(self) -> None:
        """A file that is larger than allowed is not read to its end."""
        file = self.directory / "file"
        with file.open("wb") as opened:
            opened.truncate(1 << 40)
        with self.assertRaisesRegex(ValueError, "larger"):
            read_regular(str(file), 1000)


class ReaderTests(SynchronousTestCase):
    """Threads."""

    def setUp(self) -> None:
        self.calls: Queue[tuple[Callable[..., object], tuple[Any, ...]]] = Queue()
        self.readers = Readers(
            lambda work, *arguments: self.calls.put((work, arguments)), lambda: ("/hung/b", "/hung", "/")
        )
        self.going_on = Event()
        self.addCleanup(self.going_on.set)

    def ended(self) -> None:
        """What one thread has to say is heard."""
        work, arguments = self.calls.get(timeout=30)
        work(*arguments)

    def test_result(self) -> None:
        """What is read comes back, and so does what went wrong."""
        good = self.readers.run("/a", lambda: "text")
        self.ended()
        self.assertEqual("text", self.successResultOf(good))
        bad = self.readers.run("/a", lambda: 1 // 0)
        self.ended()
        self.failureResultOf(bad, ZeroDivisionError)

    def test_one_file_system_hangs(self) -> None:
        """A file system that does not answer holds its own few threads, and files elsewhere are read."""
        begun: list[int] = []

        def hang() -> str:
            begun.append(1)
            self.going_on.wait(60)
            return "late"

        hanging = [self.readers.run(f"/hung/{number}", hang) for number in range(3 * MAX_PER_MOUNT)]
        for path in ("/a", "/hung/b/c", "/hungry"):
            other = self.readers.run(path, lambda: "text")
            self.ended()
            self.assertEqual("text", self.successResultOf(other))
        self.assertEqual(MAX_PER_MOUNT, len(begun))
        self.going_on.set()
        for _ in hanging:
            self.ended()
        self.assertEqual(["late"] * len(hanging), [self.successResultOf(each) for each in hanging])

    def test_mounts(self) -> None:
        """The longest mount point above a path is its file system."""
        mounts = ("/a/b", "/a", "/")
        found = [mount_of(path, mounts) for path in ("/a/b/c", "/a/bc", "/a", "/b")]
        self.assertEqual(["/a/b", "/a", "/a", "/"], found)
        self.assertIn("/", mount_points())


class CostTests(SynchronousTestCase):
    """What a file of somebody's making costs."""

    def test_blocks(self) -> None:
        """A file full of beginnings without an end is read in one pass."""
        text = b"-----BEGIN CERTIFICATE-----\n" * (LARGEST // 28)
        began = process_time()
        self.assertEqual([], blocks(text))
        self.assertLess(process_time() - began, 5)
