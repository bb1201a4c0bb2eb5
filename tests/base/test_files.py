"""Replacing files, and noticing that one was replaced."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from marathonlb.base.files import (
    PART,
    ChangedFile,
    FileVersion,
    FileWriter,
    Ownership,
    Text,
    encoded,
    replace,
)


class RecordingWriter(FileWriter):
    """The real writer, which notes the order of its operations."""

    def __init__(self) -> None:
        self.calls: list[tuple[object, ...]] = []

    def write(self, path: str, text: Text | bytes, ownership: Ownership, *, durable: bool) -> None:
        """Note and write."""
        self.calls.append(("write", os.path.basename(path), durable))
        super().write(path, text, ownership, durable=durable)

    def rename(self, old: str, new: str) -> None:
        """Note and rename."""
        self.calls.append(("rename", os.path.basename(old), os.path.basename(new)))
        super().rename(old, new)

    def sync(self, directory: str) -> None:
        """Note and sync."""
        self.calls.append(("sync", os.path.basename(directory)))
        super().sync(directory)


class ReplaceTests(SynchronousTestCase):
    """`replace` and `FileWriter`."""

    def setUp(self) -> None:
        self.directory = Path(self.mktemp())
        self.directory.mkdir()
        self.path = self.directory / "file"

    def test_content_and_mode(self) -> None:
        """Texts, texts in parts and bytes are written whole, with the mode that is asked for."""
        texts: tuple[tuple[Text | bytes, bytes], ...] = (
            ("caf\u00e9\udcff", b"caf\xc3\xa9\xff"),
            (("one\n", "two\n"), b"one\ntwo\n"),
            (b"\x00raw", b"\x00raw"),
            ("", b""),
        )
        for data, expected in texts:
            replace(str(self.path), data, durable=False, mode=0o644)
            self.assertEqual(expected, self.path.read_bytes())
        self.assertEqual(0o644, self.path.stat().st_mode & 0o777)
        replace(str(self.path), "secret", durable=True)
        self.assertEqual(0o600, self.path.stat().st_mode & 0o777)
        self.assertEqual(["file"], os.listdir(self.directory))

    def test_old_readers_keep_the_old_content(self) -> None:
        """A file that is open while it is replaced still reads as it was."""
        self.path.write_text("old")
        with self.path.open() as reader:
            replace(str(self.path), "new", durable=False)
            self.assertEqual("old", reader.read())
        self.assertEqual("new", self.path.read_text())

    def test_durable_order(self) -> None:
        """A durable replacement writes through, renames, and only then syncs the directory; another one never syncs."""
        for durable, last in ((True, [("sync", self.directory.name)]), (False, [])):
            writer = RecordingWriter()
            writer.replace(str(self.path), "text", Ownership(), durable=durable)
            expected = [("write", "file.writing", durable), ("rename", "file.writing", "file"), *last]
            self.assertEqual(expected, writer.calls)

    def test_durable_calls(self) -> None:
        """A durable replacement syncs the content and the directory with the disk; another one makes no such call."""
        synced = list[bool]()
        self.patch(os, "fsync", lambda descriptor: synced.append(stat.S_ISDIR(os.fstat(descriptor).st_mode)))
        replace(str(self.path), "text", durable=False)
        self.assertEqual([], synced)
        replace(str(self.path), "text", durable=True)
        self.assertEqual([False, True], synced)

    def test_temporary_name(self) -> None:
        """The file that is written first can be named by the caller."""
        writer = RecordingWriter()
        other = str(self.directory / ".hidden")
        writer.replace(str(self.path), "text", Ownership(), durable=False, temporary=other)
        self.assertEqual([("write", ".hidden", False), ("rename", ".hidden", "file")], writer.calls)

    def test_failure_keeps_the_old_file(self) -> None:
        """Where the directory for the temporary file is missing, `OSError` is raised and the file stays."""
        self.path.write_text("old")
        with self.assertRaises(FileNotFoundError):
            replace(str(self.path), "new", durable=True, temporary=str(self.directory / "gone" / "x"))
        self.assertEqual("old", self.path.read_text())

    def test_encoded_in_parts(self) -> None:
        """A long text is encoded in parts of limited size, which make up the text."""
        text = "\u00e9" * (2 * PART + 1)
        parts = list(encoded(text))
        self.assertEqual([2 * PART, 2 * PART, 2], [len(part) for part in parts])
        self.assertEqual(text.encode(), b"".join(parts))


class ChangedFileTests(SynchronousTestCase):
    """`ChangedFile`."""

    def setUp(self) -> None:
        self.path = Path(self.mktemp())
        self.file = ChangedFile(str(self.path))

    def accepted(self) -> FileVersion:
        """Accept the present version."""
        version = self.file.changed()
        assert version is not None
        self.file.accept(version)
        return version

    def test_missing(self) -> None:
        """A file that is missing raises `OSError`, and is new once it is there."""
        self.assertRaises(FileNotFoundError, self.file.changed)
        self.path.write_text("x")
        self.assertIsNotNone(self.file.changed())

    def test_unchanged_after_accept(self) -> None:
        """A version is reported until it is accepted, and not after that."""
        self.path.write_text("x")
        self.assertIsNotNone(self.file.changed())
        self.accepted()
        self.assertIsNone(self.file.changed())

    def test_every_kind_of_change(self) -> None:
        """Another size, modification time, inode or mode is a change."""
        self.path.write_text("old")
        self.path.chmod(0o600)

        def other_size() -> None:
            self.path.write_text("longer")

        def other_time() -> None:
            os.utime(self.path, ns=(1, 1))

        def other_inode() -> None:
            beside = self.path.with_suffix(".new")
            beside.write_bytes(self.path.read_bytes())
            os.utime(beside, ns=(1, 1))
            beside.rename(self.path)

        def other_mode() -> None:
            self.path.chmod(0o644)

        for change in (other_size, other_time, other_inode, other_mode):
            self.accepted()
            change()
            self.assertIsNotNone(self.file.changed(), change.__name__)

    def test_forget(self) -> None:
        """After `forget` the same version is reported again."""
        self.path.write_text("x")
        version = self.accepted()
        self.file.forget()
        self.assertEqual(version, self.file.changed())
