"""Staging and publishing: the old or the new, whole, whatever happens in between."""

from __future__ import annotations

import errno
import hashlib
import os
import stat

from twisted.trial.unittest import SynchronousTestCase

from marathonlb.base.files import PART
from marathonlb.config.text.model import Config
from marathonlb.errors import PublishFailed
from marathonlb.haproxy.files.disk import holds
from marathonlb.haproxy.files.publish import Files, Published, Recovery
from tests.fakes.disks import Crash, FailingDisk, crashing, refusing
from tests.haproxy.samples import HEAD, A, B, config


class FilesCase(SynchronousTestCase):
    """A directory with configuration A in it."""

    def setUp(self) -> None:
        self.directory = self.mktemp()
        os.mkdir(self.directory)
        self.path = os.path.join(self.directory, "haproxy.cfg")
        self.files = Files(self.path)
        self.publish(A)

    def publish(self, wanted: Config, files: Files | None = None) -> bool:
        files = files or self.files
        return files.publish(files.stage(wanted).published)

    def there(self) -> list[str]:
        return sorted(os.listdir(self.directory))

    def texts(self, directory: str) -> tuple[str, str]:
        """The two files, in the words of the directory where they were written."""
        found = Files(os.path.join(directory, "haproxy.cfg")).read({"domain2backend.map": None})
        assert found is not None
        return found.text.replace(self.files.directory, "D"), found.maps["domain2backend.map"]


def plain(wanted: Config) -> tuple[str, str]:
    return wanted.text("D"), wanted.map_texts()["domain2backend.map"]


class PublishTests(FilesCase):
    """From a configuration to files."""

    def test_lies_beside(self) -> None:
        """Both files lie in the directory of haproxy.cfg, which the text names; nothing else is left."""
        self.assertEqual(self.there(), ["domain2backend.map", "haproxy.cfg"])
        self.assertEqual(self.texts(self.directory), plain(A))
        self.assertEqual(self.files.read(), self.files.texts(A))

    def test_large(self) -> None:
        """A text of many parts is written, compared and named byte for byte, also where a part ends in odd bytes."""
        text = (
            "a" * (PART - 2) + b"\xc3\xa9\xff\xe2\x82".decode("utf-8", "surrogateescape") * 3 + "\nb" * PART
        )
        large = Published(text, {})
        in_parts = Published(tuple(text.splitlines(keepends=True)), {})
        self.assertEqual((in_parts, in_parts.digest(), in_parts.text), (large, large.digest(), text))
        self.assertTrue(self.files.publish(in_parts))
        self.assertFalse(self.files.publish(large))
        self.assertEqual(self.files.read({}), large)
        with open(self.path, "rb") as file:
            self.assertEqual(hashlib.sha256(file.read()).hexdigest(), large.digest())
        for other in (text + "c", text[:-1], text[:-1] + "c", "c" + text[1:], ""):
            self.assertFalse(holds(self.path, other))
        self.assertFalse(holds(self.path + ".no", ""))

    def test_staged_names_its_own_directory(self) -> None:
        """What is staged names the staged maps, so that the check reads the new ones."""
        staged = self.files.stage(B)
        directory = os.path.dirname(staged.path)
        self.assertEqual(self.texts(directory)[1], plain(B)[1])
        with open(staged.path, encoding="utf-8") as file:
            self.assertIn(f"map({directory}/domain2backend.map)", file.read())
        self.assertEqual(self.texts(self.directory), plain(A))
        self.files.unstage()
        self.assertEqual(self.there(), ["domain2backend.map", "haproxy.cfg"])

    def test_unchanged_files_are_left_alone(self) -> None:
        """What holds its text already is not written again."""
        before = os.stat(self.path)
        self.assertFalse(self.publish(A))
        self.assertEqual(os.stat(self.path), before)
        both = config(*A.sections[2:], a="b")
        self.assertTrue(self.publish(both))
        self.assertEqual(os.stat(self.path).st_ino, before.st_ino)
        self.assertEqual(self.texts(self.directory)[1], "a b\n")

    def test_new_file_is_private(self) -> None:
        """A new haproxy.cfg, which may hold password hashes, is not for everybody to read, nor is a staged one."""
        self.assertEqual(stat.S_IMODE(os.stat(self.path).st_mode), 0o640)
        self.assertEqual(stat.S_IMODE(os.stat(self.files.stage(B).path).st_mode), 0o600)

    def test_mode_is_kept(self) -> None:
        """A file that is there keeps its mode, and a map that is new is given that of haproxy.cfg."""
        os.chmod(self.path, 0o604)
        os.unlink(os.path.join(self.directory, "domain2backend.map"))
        self.publish(B)
        for name in self.there():
            self.assertEqual(stat.S_IMODE(os.stat(os.path.join(self.directory, name)).st_mode), 0o604)

    def test_owner_is_kept(self) -> None:
        """A file of another user's stays that user's, where we may give files away: only root may."""
        owner = (12345, 12346) if os.getuid() == 0 else (os.getuid(), os.getgid())
        os.chown(self.path, *owner)
        self.publish(B)
        self.assertEqual((os.stat(self.path).st_uid, os.stat(self.path).st_gid), owner)

    def test_symbolic_link(self) -> None:
        """Where haproxy.cfg is a link, its target is written and the link stays."""
        elsewhere = self.mktemp()
        os.mkdir(elsewhere)
        target = os.path.abspath(os.path.join(elsewhere, "real.cfg"))
        os.rename(self.path, target)
        os.symlink(target, self.path)
        self.publish(B)
        self.assertTrue(os.path.islink(self.path))
        self.assertEqual(os.listdir(elsewhere), ["real.cfg"])
        self.assertEqual(self.texts(self.directory), plain(B))

    def test_read_without_names(self) -> None:
        """Only map files that the text names belong to it."""
        with open(os.path.join(self.directory, "theirs.map"), "w", encoding="utf-8") as file:
            file.write("x y\n")
        found = self.files.read()
        assert found is not None
        self.assertEqual(sorted(found.maps), ["domain2backend.map"])

    def test_nothing_there(self) -> None:
        """Where there is no haproxy.cfg there is nothing to read."""
        os.unlink(self.path)
        self.assertIsNone(self.files.read())

    def test_bytes_that_are_no_utf8(self) -> None:
        """A file in another encoding is read and put back byte for byte."""
        with open(self.path, "wb") as file:
            file.write(b"# \xe9t\xe9\r\n")
        found = self.files.read()
        assert found is not None
        found.digest()
        self.publish(B)
        self.files.publish(found)
        with open(self.path, "rb") as file:
            self.assertEqual(file.read(), b"# \xe9t\xe9\r\n")


class DigestTests(SynchronousTestCase):
    """A name for exactly these texts."""

    def test_differs(self) -> None:
        """It differs where the text or a map that is read differs, not where a map that nobody reads does."""
        text = "use_backend %[map(/etc/haproxy/a.map)]"
        base = Published(text, {"a.map": "x y\n"}).digest()
        self.assertEqual(Published(text, {"a.map": "x y\n", "unread.map": "z"}).digest(), base)
        self.assertNotEqual(Published(text, {"a.map": "x z\n"}).digest(), base)
        self.assertNotEqual(Published(text, {}).digest(), base)
        self.assertNotEqual(Published(text + " ", {"a.map": "x y\n"}).digest(), base)


class CrashTests(FilesCase):
    """A crash at any operation leaves whole files, and after recovery a set that belongs together."""

    def test_every_operation(self) -> None:
        """Whatever operation it happens at, each file is the old or the new; after recovery both are, together."""
        disk = FailingDisk()
        self.publish(B, Files(self.path, disk))
        operations = len(disk.done)
        self.assertGreater(operations, 10)
        seen = set()
        for at in range(operations):
            for partly in (False, True):
                self.publish(A)
                copy = os.path.abspath(self.mktemp())
                files = Files(self.path, crashing(at, self.directory, copy, partly=partly))
                self.assertRaises(Crash, self.publish, B, files)
                Files(self.path).recover()
                for mine, old, new in zip(self.texts(copy), plain(A), plain(B), strict=True):
                    self.assertIn(mine, (old, new), f"torn at operation {at} ({disk.done[at]})")
                Files(os.path.join(copy, "haproxy.cfg")).recover()
                self.assertEqual(sorted(os.listdir(copy)), ["domain2backend.map", "haproxy.cfg"])
                self.assertIn(self.texts(copy), (plain(A), plain(B)), f"mixed at {at} ({disk.done[at]})")
                seen.add(self.texts(copy) == plain(B))
        self.assertEqual(seen, {False, True})

    def test_crash_during_recovery(self) -> None:
        """A recovery that is interrupted is completed by the next one."""
        disk = FailingDisk()
        self.publish(B, Files(self.path, disk))
        commit = disk.done.index("rename")
        for at in range(10):
            self.publish(A)
            first, second = (os.path.abspath(self.mktemp()) for _ in range(2))
            files = Files(self.path, crashing(commit + 2, self.directory, first))
            self.assertRaises(Crash, self.publish, B, files)
            path = os.path.join(first, "haproxy.cfg")
            try:
                Files(path, crashing(at, first, second)).recover()
            except Crash:
                Files(os.path.join(second, "haproxy.cfg")).recover()
                self.assertEqual(self.texts(second), plain(B))
            Files(self.path).recover()

    def test_says_what_it_did(self) -> None:
        """Recovery says whether it completed, discarded, or found nothing to do."""
        self.assertEqual(self.files.recover(), Recovery.NOTHING)
        os.mkdir(os.path.join(self.directory, ".haproxy.cfg.writing"))
        self.assertEqual(self.files.recover(), Recovery.DISCARDED)
        os.mkdir(os.path.join(self.directory, ".haproxy.cfg.journal"))
        self.assertEqual(self.files.recover(), Recovery.COMPLETED)
        self.assertEqual(self.there(), ["domain2backend.map", "haproxy.cfg"])


class RefusalTests(FilesCase):
    """A disk that refuses is said in one line, and nothing is lost."""

    def test_full_at_every_operation(self) -> None:
        """A disk that is full at any operation fails with advice; the next publication on a disk with room succeeds."""
        disk = FailingDisk()
        self.publish(B, Files(self.path, disk))
        for at in range(len(disk.done)):
            self.publish(A)
            files = Files(self.path, refusing(at, errno.ENOSPC, "No space left on device"))
            error = self.assertRaises(PublishFailed, self.publish, B, files)
            self.assertEqual(
                str(error),
                f"{self.files.path}: cannot be written: No space left on device; free some space",
            )
            for mine, old, new in zip(self.texts(self.directory), plain(A), plain(B), strict=True):
                self.assertIn(mine, (old, new))
            self.publish(B)
            self.assertEqual(self.texts(self.directory), plain(B))
            self.assertEqual(self.there(), ["domain2backend.map", "haproxy.cfg"])

    def test_no_directory(self) -> None:
        """A directory that is not there is named, with what to do."""
        error = self.assertRaises(PublishFailed, Files("/nonexistent/haproxy.cfg").stage, A)
        self.assertIn("/nonexistent/haproxy.cfg: cannot be written: No such file or directory", str(error))
        self.assertIn("make the directory", str(error))

    def test_read_only(self) -> None:
        """A directory that is mounted read-only is said so."""
        files = Files(self.path, refusing(0, errno.EROFS, "Read-only file system"))
        error = self.assertRaises(PublishFailed, files.stage, B)
        self.assertIn("Read-only file system; mount it writable", str(error))
        self.assertEqual(self.texts(self.directory), plain(A))

    def test_unreadable(self) -> None:
        """A haproxy.cfg that cannot be read is said so."""
        os.unlink(self.path)
        os.mkdir(self.path)
        self.assertRaises(PublishFailed, self.files.read)

    def test_maps_are_placed_before_the_file_that_names_them(self) -> None:
        """haproxy.cfg comes last, so that a HAProxy that starts in between finds every map it names."""
        wanted = Config((HEAD, *B.sections[1:]), {"zz.map": (), **B.maps})
        placed: list[str] = []

        class Watching(FailingDisk):
            def rename(self, old: str, new: str) -> None:
                placed.append(os.path.basename(new))
                super().rename(old, new)

        self.publish(wanted, Files(self.path, Watching()))
        self.assertEqual(placed, [".haproxy.cfg.journal", "domain2backend.map", "zz.map", "haproxy.cfg"])
