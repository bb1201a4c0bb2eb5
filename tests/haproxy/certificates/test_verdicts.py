"""Verdicts: what HAProxy can serve of a path, what it is given instead, and what is wrong with it."""

from __future__ import annotations

import os
from pathlib import Path

from marathonlb.haproxy.certificates.backup import CertificateCopies
from marathonlb.haproxy.certificates.file_cache import GRACE, CertificateFiles
from marathonlb.haproxy.certificates.verdicts import (
    EXPIRES_SOON,
    CertificateFault,
    CertificateJudge,
    CertificateVerdict,
    CertificateWarning,
)
from tests.haproxy.certificates.cases import CertificateTestCase, Hanging, finished


class JudgeTestCase(CertificateTestCase):
    """A judge with copies."""

    def setUp(self) -> None:
        super().setUp()
        self.copies = CertificateCopies(str(self.directory / "copies"))
        self.reads = Hanging()
        self.files = CertificateFiles(self.clock, self.reads, self.copies)
        self.judge = CertificateJudge(self.files, self.copies, self.clock.seconds)

    def verdict(self, path: str, app_id: str | None = None, *, labelled: bool = False) -> CertificateVerdict:
        """The verdict after one more look."""
        finished(self.files.refresh([("crt", path)]))
        return self.judge.verdict("crt", path, app_id, labelled=labelled)

    def accept(self, verdict: CertificateVerdict) -> None:
        """HAProxy has read what the verdict names."""
        self.copies.keep(verdict.digests.items())


class FileTests(JudgeTestCase):
    """Single files."""

    def test_good(self) -> None:
        """A good file of the settings is named as it is; of a label HAProxy gets the copy."""
        shared = self.verdict(self.good)
        self.assertEqual(((self.good,), (), {}), (shared.files, shared.named, shared.sources))
        labelled = self.verdict(self.good, "/a", labelled=True)
        copy = self.copies.as_read("crt", self.good)
        self.assertEqual(
            ((copy,), (copy,), {copy: self.good}), (labelled.files, labelled.named, labelled.sources)
        )
        self.assertEqual((self.good,), labelled.reals)
        self.assertEqual((self.read(self.good), ()), (Path(copy).read_bytes(), labelled.warnings))

    def test_quoted(self) -> None:
        """A path that HAProxy would not read as one word is named by its copy."""
        path = self.authority.issue("a b.pem", "a.test")
        self.assertEqual((self.copies.as_read("crt", path),), self.verdict(path).named)

    def test_not_read(self) -> None:
        """A file that was not read yet cannot be served."""
        verdict = self.judge.verdict("crt", self.good, None, labelled=False)
        self.assertEqual("cannot be read: its file system does not answer", verdict.reason)

    def test_replaced(self) -> None:
        """A bad file that HAProxy once accepted is replaced by the copy of that content; without one it is left out."""
        self.accept(self.verdict(self.good))
        self.write("good.pem", b"x")
        self.verdict(self.good)
        self.clock.advance(GRACE)
        verdict = self.verdict(self.good)
        copy = self.copies.of("crt", self.good)
        assert copy is not None
        self.assertEqual(((copy,), ""), (verdict.named, verdict.reason))
        self.assertEqual(
            (CertificateWarning(self.good, CertificateFault.REPLACED, "is no PEM file"),), verdict.warnings
        )
        self.files.refuse_copy(copy)
        self.assertEqual(CertificateVerdict(reason="is no PEM file"), self.verdict(self.good))

    def test_refused(self) -> None:
        """What HAProxy refuses has its message, for the app in whose lines it was refused."""
        self.verdict(self.good)
        self.files.refuse(self.good, "too small", "/a")
        verdict = self.verdict(self.good, "/a")
        self.assertEqual(("is refused by HAProxy: too small", "too small"), (verdict.reason, verdict.haproxy))
        self.assertEqual("", self.verdict(self.good, "/b").reason)

    def test_dates(self) -> None:
        """The dates lead to a fault with the time in it, or to none."""
        for days, fault in (
            ((-9, -1), CertificateFault.EXPIRED),
            ((-9, 3), CertificateFault.EXPIRES),
            ((2, 90), CertificateFault.NOT_YET_VALID),
        ):
            path = self.authority.issue("dated.pem", "a.test", days=days)
            (warning,) = self.verdict(path).warnings
            self.assertEqual((path, fault), (warning.path, warning.fault))
            self.assertLess(abs(warning.time - self.clock.seconds()), EXPIRES_SOON)
        self.assertEqual((), self.verdict(self.good).warnings)

    def test_companion(self) -> None:
        """A companion at fault is named, and the certificate is served by a copy without it."""
        Path(f"{self.good}.sctl").write_bytes(b"x")
        verdict = self.verdict(self.good)
        (warning,) = verdict.warnings
        self.assertEqual(
            (f"{self.good}.sctl", CertificateFault.COMPANION, ".sctl"),
            (warning.path, warning.fault, warning.end),
        )
        (copy,) = verdict.named
        self.assertFalse(os.path.exists(copy + ".sctl"))

    def test_no_answer(self) -> None:
        """A file that was read before and does not answer now is served by its copy."""
        self.verdict(self.good)
        verdict = self.judge.verdict("crt", self.good, None, labelled=False, late=True)
        self.assertEqual((CertificateWarning(self.good, CertificateFault.NO_ANSWER),), verdict.warnings)
        self.assertEqual((self.copies.as_read("crt", self.good),), verdict.named)

    def test_no_space(self) -> None:
        """A label's file that cannot be copied cannot be served; one of the settings is."""
        (self.directory / "copies-read").write_text("no directory")
        self.assertEqual((self.good,), self.verdict(self.good).files)
        self.assertIn("is there space?", self.verdict(self.good, "/a", labelled=True).reason)

    def test_differs(self) -> None:
        """Another content alone leads to no other configuration; another name or warning does."""
        one = CertificateVerdict(files=("/a",), digests={"/a": "1"})
        self.assertFalse(CertificateVerdict(files=("/a",), digests={"/a": "2"}).differs(one))
        self.assertTrue(CertificateVerdict(files=("/b",), digests={"/a": "1"}).differs(one))
        warning = CertificateWarning("/a", CertificateFault.EXPIRED, time=1.0)
        self.assertTrue(CertificateVerdict(("/a",), {"/a": "1"}, warnings=(warning,)).differs(one))


class DirectoryTests(JudgeTestCase):
    """Directories."""

    def setUp(self) -> None:
        super().setUp()
        (self.directory / "dir").mkdir()
        self.path = str(self.directory / "dir")
        self.one = self.authority.issue("dir/a.pem", "a.test")

    def test_whole(self) -> None:
        """A directory of good files is named itself, and its digest changes with the files in it."""
        before = self.verdict(self.path)
        self.assertEqual(((self.one,), (), (self.path,)), (before.files, before.named, before.reals))
        self.authority.issue("dir/b.pem", "b.test")
        self.assertNotEqual(before.digests[self.path], self.verdict(self.path).digests[self.path])

    def test_bad_file(self) -> None:
        """With a bad file in it the good ones are named one by one."""
        bad = self.write("dir/b.pem", b"x")
        verdict = self.verdict(self.path)
        self.assertEqual(((self.one,), ((bad, "is no PEM file"),)), (verdict.named, verdict.bad))

    def test_nothing_good(self) -> None:
        """Without a good file the first bad ones are named in the reason."""
        self.write("dir/a.pem", b"x")
        self.assertEqual(
            "holds no certificate that can be served: a.pem is no PEM file", self.verdict(self.path).reason
        )

    def test_elsewhere(self) -> None:
        """A link out of the directory is among the real paths, so a policy can forbid it."""
        (self.directory / "dir" / "link.pem").symlink_to(self.good)
        self.assertEqual((self.path, self.good), self.verdict(self.path).reals)
