"""The operations on files, and what an error of the disk is explained with."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from marathonlb.base.files import DEFAULT_MODE, Ownership
from marathonlb.errors import PublishFailed
from marathonlb.haproxy.files.disk import (
    Disk,
    explain_error,
    forbidden,
    holds,
    ownership_of,
    publishing,
    read_text,
    remove_tree,
)


def error(code: int, path: str | None = None) -> OSError:
    """An error of the disk."""
    return OSError(code, os.strerror(code), path)


class DiskTests(SynchronousTestCase):
    """Reading and removing."""

    def setUp(self) -> None:
        self.directory = Path(self.mktemp())
        self.directory.mkdir()
        self.path = str(self.directory / "file")

    def test_bytes_survive(self) -> None:
        """A text with bytes that are not UTF-8 is read as it was written."""
        Disk().write(self.path, ("caf\u00e9\n", "\udcff"), Ownership(0o600), durable=False)
        self.assertEqual("caf\u00e9\n\udcff", read_text(self.path))
        self.assertIsNone(read_text(self.path + ".no"))

    def test_holds(self) -> None:
        """Only exactly the same text counts, in one part or in several; a missing file holds nothing."""
        Disk().write(self.path, "one\ntwo\n", Ownership(0o600), durable=False)
        self.assertTrue(holds(self.path, "one\ntwo\n"))
        self.assertTrue(holds(self.path, ("one\n", "two\n")))
        for other in ("one\n", "one\ntwo\nthree", "one\nTwo\n", ""):
            self.assertFalse(holds(self.path, other), other)
        self.assertFalse(holds(self.path + ".no", ""))

    def test_ownership(self) -> None:
        """The permissions are the file's own; those of a missing file are the default."""
        Disk().write(self.path, "x", Ownership(0o604), durable=False)
        self.assertEqual(Ownership(0o604, os.getuid(), os.getgid()), ownership_of(self.path))
        self.assertEqual(Ownership(DEFAULT_MODE, -1, -1), ownership_of(self.path + ".no"))

    def test_directories(self) -> None:
        """A directory is made without access for others, and removed with its contents; a missing one is no error."""
        path = str(self.directory / "new")
        Disk().make_directory(path)
        self.assertEqual(0, os.stat(path).st_mode & 0o007)
        Path(path, "file").write_text("x")
        remove_tree(path)
        self.assertFalse(os.path.exists(path))
        remove_tree(path)


class ExplanationTests(SynchronousTestCase):
    """The sentences about errors."""

    def test_advice(self) -> None:
        """Each frequent error has an advice of its own, which names the option; others say to choose another place."""
        for code, advice in (
            (errno.ENOSPC, "free some space"),
            (errno.EROFS, "mount it writable or choose another --state-dir"),
            (errno.EACCES, "let this user write to the directory or choose another --state-dir"),
            (errno.EIO, "choose another --state-dir"),
        ):
            self.assertEqual(f"/x: {os.strerror(code)}; {advice}", explain_error(error(code, "/x")))

    def test_other_errors(self) -> None:
        """An error that is not the disk's is its own explanation."""
        self.assertEqual("no", explain_error(ValueError("no")))

    def test_publishing(self) -> None:
        """An error while publishing names haproxy.cfg, and the file if that is another one."""
        for path, expected in (
            (
                "/etc/haproxy.cfg",
                "/etc/haproxy.cfg: cannot be written: No space left on device; free some space",
            ),
            (
                "/etc/a.map",
                "/etc/haproxy.cfg: cannot be written: No space left on device (/etc/a.map); free some space",
            ),
        ):
            with self.assertRaises(PublishFailed) as caught, publishing("/etc/haproxy.cfg"):
                raise error(errno.ENOSPC, path)
            self.assertEqual(expected, str(caught.exception))

    def test_forbidden(self) -> None:
        """A directory takes nothing since its mount is read-only, or else since the user may not write there."""
        self.assertEqual(errno.EROFS, forbidden("/x", os.ST_RDONLY).errno)
        self.assertEqual(errno.EACCES, forbidden("/x", os.ST_NOSUID).errno)
