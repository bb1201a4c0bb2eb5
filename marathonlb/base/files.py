"""
Files that are replaced as a whole, and files that other programs replace.

A reader of a file that `replace` writes sees the old content or the new one, never a part: the content is written
beside the file and renamed over it. `ChangedFile` notices when a file that an operator maintains has to be read again.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from typing import NamedTuple

from msgspec import Struct

DEFAULT_MODE = 0o640
"""Mode of a new haproxy.cfg: it may hold password hashes, so the owner may write and the group may read it."""

PART = 1 << 18
"""Maximum number of characters that are encoded at once."""

Text = str | tuple[str, ...]
"""A text, whole or in parts."""


class Ownership(Struct, frozen=True):
    """
    The permissions of a file.

    :param mode: its permission bits.
    :param uid: its owner, or -1 for the user that writes it.
    :param gid: its group, or -1.
    """

    mode: int = DEFAULT_MODE
    uid: int = -1
    gid: int = -1


class FileWriter:
    """Writes and replaces files. Each method raises `OSError`."""

    def write(self, path: str, text: Text | bytes, ownership: Ownership, *, durable: bool) -> None:
        """
        Write a new file.

        :param durable: True if the content must be on the disk, not only in memory, when this returns.
        """
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with open(descriptor, "wb", buffering=0) as file:
            for part in (text,) if isinstance(text, bytes) else encoded(text):
                rest = memoryview(part)
                while rest:
                    rest = rest[file.write(rest) :]
            os.fchmod(descriptor, ownership.mode)
            if (ownership.uid, ownership.gid) != (-1, -1):
                with suppress(PermissionError):
                    os.fchown(descriptor, ownership.uid, ownership.gid)
            if durable:
                os.fsync(descriptor)

    def rename(self, old: str, new: str) -> None:
        """Rename a file or a directory, in one step; durable after `sync`."""
        os.replace(old, new)

    def sync(self, directory: str) -> None:
        """Make the names in a directory durable."""
        descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def replace(
        self, path: str, data: Text | bytes, ownership: Ownership, *, durable: bool, temporary: str = ""
    ) -> None:
        """
        Write a file beside another one and rename it over that: a reader sees the old content or the new one.

        :param durable: True if the content and the name must be on the disk when this returns. Without it a crash of
            the machine may leave an empty file.
        :param temporary: the path that is written first, in the same directory; by default the path and ``.writing``.
            Two threads that replace the same file each need one of their own.
        """
        temporary = temporary or f"{path}.writing"
        self.write(temporary, data, ownership, durable=durable)
        self.rename(temporary, path)
        if durable:
            self.sync(os.path.dirname(path) or ".")


def replace(path: str, data: Text | bytes, *, durable: bool, mode: int = 0o600, temporary: str = "") -> None:
    """Replace a file on the real disk; see `FileWriter.replace`. Raises `OSError`."""
    FileWriter().replace(path, data, Ownership(mode), durable=durable, temporary=temporary)


def encoded(text: Text) -> Iterator[bytes]:
    """
    Yield the bytes of a text, part by part. Bytes that are not UTF-8 come out as they were read.

    Encoding many megabytes at once would block all other threads for as long, and keep that memory with the thread.
    """
    if not isinstance(text, str):
        return (part for piece in text for part in encoded(piece))
    return (
        text[start : start + PART].encode("utf-8", "surrogateescape") for start in range(0, len(text), PART)
    )


class FileVersion(NamedTuple):
    """The facts that identify one version of a file: equal if the file has not been replaced."""

    modified_ns: int
    changed_ns: int
    size: int
    inode: int
    mode: int

    @classmethod
    def of(cls, path: str) -> FileVersion:
        """Return the present version of a file. Raises `OSError`."""
        status = os.stat(path)
        return cls(status.st_mtime_ns, status.st_ctime_ns, status.st_size, status.st_ino, status.st_mode)


class ChangedFile:
    """
    Notices when a file has to be read again.

    Usage: read the file if `changed` returns a version, and `accept` that version once its content is in use. The
    version is taken before the content is read, so a change in between is noticed the next time.

    :param path: the file; it may be missing.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._accepted: FileVersion | None = None

    def changed(self) -> FileVersion | None:
        """Return the present version if it is not the accepted one, else None. Raises `OSError`."""
        version = FileVersion.of(self._path)
        return None if version == self._accepted else version

    def accept(self, version: FileVersion) -> None:
        """Take this version as read."""
        self._accepted = version

    def forget(self) -> None:
        """Read the file again next time, even if it is unchanged."""
        self._accepted = None
