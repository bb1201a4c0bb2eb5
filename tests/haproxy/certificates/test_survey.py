"""One look at a path: files with their companions, directories and bundles."""

from __future__ import annotations

import os
from base64 import b64encode
from collections.abc import Mapping
from pathlib import Path

from marathonlb.haproxy.certificates.survey import (
    CertificateFile,
    CertificateListing,
    FileKey,
    Surveyed,
    cannot,
    digest_of,
    survey,
    to_be_served,
)
from tests.haproxy.certificates.cases import CertificateTestCase


class Copies:
    """Takes note of what is copied; ``full`` refuses."""

    def __init__(self) -> None:
        self.brought: dict[FileKey, Mapping[str, bytes]] = {}
        self.full = False

    def bring(self, kind: str, path: str, parts: Mapping[str, bytes]) -> None:
        """See `marathonlb.haproxy.certificates.survey.CopyWriter`."""
        if self.full:
            raise OSError(28, "No space left on device")
        self.brought[kind, path] = parts


class SurveyTestCase(CertificateTestCase):
    """Looks at paths."""

    def setUp(self) -> None:
        super().setUp()
        self.copies = Copies()
        self.known: dict[FileKey, Surveyed] = {}
        self.beats = 0

    def beat(self) -> None:
        """There is progress."""
        self.beats += 1

    def look(self, kind: str, path: str, **bounds: int) -> dict[FileKey, Surveyed]:
        """One look, which knows the last one."""
        self.known = survey(kind, path, self.known, self.copies, self.beat, **bounds)
        return self.known

    def file(self, kind: str, path: str) -> CertificateFile:
        """One file, looked at."""
        seen = self.look(kind, path)[kind, path]
        assert isinstance(seen, CertificateFile)
        return seen


class FileTests(SurveyTestCase):
    """A single file."""

    def test_good(self) -> None:
        """A good file has a digest, dates and its real path, and is copied."""
        (self.directory / "link.pem").symlink_to(self.good)
        seen = self.file("crt", str(self.directory / "link.pem"))
        self.assertEqual(("", True, self.good), (seen.reason, seen.copied, seen.real))
        self.assertLess(seen.begins, self.clock.seconds())
        self.assertGreater(seen.ends, self.clock.seconds())
        self.assertEqual([{"": self.read(self.good)}], list(self.copies.brought.values()))

    def test_unchanged(self) -> None:
        """A file that has not changed is not read again; one that has is."""
        first = self.file("crt", self.good)
        self.assertIs(first, self.file("crt", self.good))
        self.authority.issue("good.pem", "good.test")
        self.assertNotEqual(first.digest, self.file("crt", self.good).digest)

    def test_bad(self) -> None:
        """A missing or special file has a reason, and no copy."""
        os.mkfifo(self.directory / "fifo")
        for name, reason in (("gone", "does not exist"), ("fifo", "is no regular file")):
            self.assertEqual(reason, self.file("crt", str(self.directory / name)).reason)
        self.assertEqual({}, self.copies.brought)

    def test_no_space(self) -> None:
        """A file that cannot be copied is good, and known to have no copy."""
        self.copies.full = True
        seen = self.file("crt", self.good)
        self.assertEqual(("", False), (seen.reason, seen.copied))

    def test_key_beside(self) -> None:
        """A key beside the certificate becomes part of the copy, and its change is noticed."""
        path = self.authority.issue("apart.pem", "apart.test", mode="apart")
        first = self.file("crt", path)
        self.assertIn(b"BEGIN PRIVATE KEY", self.copies.brought["crt", path][""])
        os.utime(path + ".key", (1, 1))
        self.assertIsNot(first, self.file("crt", path))

    def test_companions(self) -> None:
        """A companion that cannot be what its name says is left out, with the reason; the others are copied."""
        Path(f"{self.good}.issuer").write_bytes(self.read(self.authority.path))
        Path(f"{self.good}.ocsp").write_bytes(b"anything")
        for text in (b"", b"\0\1", b"\0\3\0\2x", b"\0\2\0\0"):
            Path(f"{self.good}.sctl").write_bytes(text)
            seen = self.file("crt", self.good)
            self.assertEqual((".ocsp", ".issuer"), seen.companions, text)
            self.assertEqual(
                {".sctl": "is not a list of signed certificate timestamps (RFC 6962)"}, dict(seen.wrong)
            )
        Path(f"{self.good}.sctl").write_bytes(b"\0\3\0\1x")
        Path(f"{self.good}.issuer").write_bytes(b"x")
        seen = self.file("crt", self.good)
        self.assertEqual((".ocsp", ".sctl"), seen.companions)
        self.assertEqual({"", ".ocsp", ".sctl"}, set(self.copies.brought["crt", self.good]))

    def test_ticket_keys(self) -> None:
        """Keys of TLS tickets are three or more, of one length that HAProxy knows."""
        for sizes, good in (
            ((48, 48, 48), True),
            ((80, 80, 80, 80), True),
            ((48, 48), False),
            ((47,) * 3, False),
        ):
            path = self.write("keys", b"\n".join(b64encode(b"k" * size) for size in sizes))
            self.assertEqual(good, not self.file("keys", path).reason, sizes)
        self.assertTrue(self.file("keys", self.write("keys", b"no base64\n" * 3)).reason)


class DirectoryTests(SurveyTestCase):
    """Directories and bundles."""

    def setUp(self) -> None:
        super().setUp()
        (self.directory / "dir").mkdir()
        self.path = str(self.directory / "dir")

    def test_files(self) -> None:
        """The certificates of a directory are listed and read in order; companions, hidden files and FIFOs are not."""
        two, one = (self.authority.issue(f"dir/{name}.pem", f"{name}.test") for name in "ba")
        for name in ("a.pem.ocsp", "a.pem.key", ".hidden"):
            self.write(f"dir/{name}", b"x")
        os.mkfifo(self.directory / "dir" / "fifo")
        found = self.look("crt", self.path)
        self.assertEqual(CertificateListing((one, two), real=self.path), found["crt", self.path])
        self.assertEqual({("crt", self.path), ("crt", one), ("crt", two)}, set(found))
        self.assertEqual(2, self.beats)

    def test_dangling_link(self) -> None:
        """A link to nothing is a file at which HAProxy stops."""
        self.authority.issue("dir/a.pem", "a.test")
        link = self.directory / "dir" / "b.pem"
        link.symlink_to("/nonexistent")
        listing = self.look("crt", self.path)["crt", self.path]
        assert isinstance(listing, CertificateListing)
        self.assertEqual(((str(link), "does not exist"),), listing.bad)

    def test_bounds(self) -> None:
        """A directory of too many files is not read; of too many bytes, the rest of the files is not."""
        one, two = (self.authority.issue(f"dir/{name}.pem", f"{name}.test") for name in "ab")
        listing = self.look("crt", self.path, max_files=1)["crt", self.path]
        assert isinstance(listing, CertificateListing)
        self.assertEqual("is a directory of more than 1 files", listing.reason)
        found = self.look("crt", self.path, max_files=2, max_bytes=10)
        first, second = found["crt", one], found["crt", two]
        assert isinstance(first, CertificateFile)
        assert isinstance(second, CertificateFile)
        self.assertEqual(("", True), (first.reason, "more than 10 bytes" in second.reason))

    def test_authorities(self) -> None:
        """The authorities of a directory are one file; a bad one is named."""
        self.write("dir/a.pem", self.read(self.authority.path))
        self.write("dir/b.crt", self.read(self.authority.path))
        self.write("dir/c.txt", b"x")
        seen = self.file("ca", self.path)
        self.assertEqual(("", True), (seen.reason, seen.copied))
        self.assertEqual(2, self.copies.brought["ca", self.path][""].count(b"BEGIN CERTIFICATE"))
        self.write("dir/d.crl", b"x")
        self.assertEqual("is a directory with d.crl, which is no PEM file", self.file("ca", self.path).reason)

    def test_bundle(self) -> None:
        """A name that does not exist stands for the files of its bundle."""
        path = str(self.directory / "both.pem")
        parts = tuple(self.authority.issue(f"both.pem{end}", "both.test") for end in (".rsa", ".ecdsa"))
        self.assertEqual(CertificateListing(parts), self.look("crt", path)["crt", path])


class DigestTests(CertificateTestCase):
    """`digest_of` and `cannot`."""

    def test_parts(self) -> None:
        """A digest depends on where each part ends, and not on whether it is text or bytes."""
        self.assertNotEqual(digest_of(["ab", "c"]), digest_of(["a", "bc"]))
        self.assertEqual(digest_of(["a"]), digest_of([b"a"]))

    def test_reasons(self) -> None:
        """A file that is missing is told from one that cannot be read."""
        self.assertEqual("does not exist", cannot(FileNotFoundError(2, "x")))
        self.assertEqual(
            "cannot be read: Permission denied", cannot(PermissionError(13, "Permission denied"))
        )


class ToBeServedTests(CertificateTestCase):
    """`to_be_served`: the text for the runtime API."""

    def test_text(self) -> None:
        """The blocks of the certificate and its key, without an empty line and what stands around them."""
        path = self.authority.issue("apart.pem", "apart.test", mode="apart")
        Path(path).write_bytes(b"subject: x\n\n" + self.read(path).replace(b"\n", b"\r\n\r\n", 1))
        text, fingerprint = to_be_served(path)
        self.assertNotIn("\n\n", text)
        self.assertNotIn("subject", text)
        self.assertEqual((1, 1), (text.count("BEGIN CERTIFICATE"), text.count("BEGIN PRIVATE KEY")))
        self.assertRegex(fingerprint, r"\A[0-9A-F]{40}\Z")

    def test_more_beside_it(self) -> None:
        """Where more than a key lies beside it, one command does not say it all."""
        Path(f"{self.good}.ocsp").write_bytes(b"x")
        with self.assertRaisesRegex(ValueError, "ocsp"):
            to_be_served(self.good)
