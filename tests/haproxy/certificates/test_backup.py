"""The copies of certificates: of what was read last, and of what HAProxy accepted last."""

from __future__ import annotations

import os
from pathlib import Path
from time import time

from twisted.trial.unittest import SynchronousTestCase

from marathonlb.haproxy.certificates.backup import KEEP_UNUSED, CertificateCopies, link, stem_of

PATH = "/etc/ssl/a.pem"


class CertificateCopiesTests(SynchronousTestCase):
    """`CertificateCopies`."""

    def setUp(self) -> None:
        self.directory = Path(self.mktemp()).resolve()
        self.directory.mkdir(parents=True)
        self.accepted, self.last = self.directory / "copies", self.directory / "copies-read"
        self.copies = CertificateCopies(str(self.accepted))

    def bring(self, text: bytes, digest: str, **companions: bytes) -> str:
        """Read a file anew; returns the copy that HAProxy is given."""
        parts = {"": text, **{f".{end}": content for end, content in companions.items()}}
        self.copies.bring("crt", PATH, parts)
        self.assertTrue(self.copies.settle("crt", PATH, digest))
        return self.copies.as_read("crt", PATH)

    def test_judged_first(self) -> None:
        """What was read takes the place of the copy only once it is settled."""
        copy = self.bring(b"one", "1")
        self.copies.bring("crt", PATH, {"": b"two"})
        self.assertEqual(b"one", Path(copy).read_bytes())
        self.assertEqual(b"two", Path(self.copies.fresh("crt", PATH)).read_bytes())
        self.assertTrue(self.copies.settle("crt", PATH, "2"))
        self.assertEqual(b"two", Path(copy).read_bytes())
        self.assertEqual(0o600, os.stat(copy).st_mode & 0o777)
        self.assertEqual(copy, self.copies.source(PATH))

    def test_nothing_brought(self) -> None:
        """Nothing settles where nothing was read."""
        self.assertFalse(self.copies.settle("crt", PATH, "1"))
        self.assertEqual(PATH, self.copies.source(PATH))

    def test_companions(self) -> None:
        """A companion that is left out, or is gone from the disk, is gone from the copy."""
        copy = self.bring(b"one", "1", ocsp=b"response", sctl=b"list")
        self.assertTrue(self.copies.settle("crt", PATH, "1", [".ocsp"]))
        self.assertEqual([False, True], [os.path.exists(copy + end) for end in (".ocsp", ".sctl")])
        self.bring(b"one", "2")
        self.assertFalse(os.path.exists(copy + ".sctl"))

    def test_accepted(self) -> None:
        """What HAProxy has accepted is kept as it was read then, with its companions, and no later content."""
        self.bring(b"one", "1", ocsp=b"response")
        self.assertIsNone(self.copies.of("crt", PATH))
        self.copies.keep([(PATH, "1")])
        copy = self.copies.of("crt", PATH)
        assert copy is not None
        self.bring(b"two", "2")
        self.copies.keep([(PATH, "1")])
        self.assertEqual(b"one", Path(copy).read_bytes())
        self.assertEqual(b"response", Path(copy + ".ocsp").read_bytes())
        self.copies.keep([(PATH, "2")])
        self.assertEqual((b"two", False), (Path(copy).read_bytes(), os.path.exists(copy + ".ocsp")))
        self.assertEqual(copy, CertificateCopies(str(self.accepted)).of("crt", PATH))

    def test_served_copy(self) -> None:
        """A copy that the configuration names keeps itself."""
        self.bring(b"one", "1")
        self.copies.keep([(PATH, "1")])
        copy = self.copies.of("crt", PATH)
        assert copy is not None
        self.copies.keep([(copy, "kept")])
        self.assertEqual((copy, copy), (self.copies.of("crt", PATH), self.copies.source(copy)))

    def test_unused(self) -> None:
        """The accepted copy goes with its name; the one that was read stays for a rollback, for some days."""
        copy = self.bring(b"one", "1")
        self.copies.keep([(PATH, "1")])
        self.copies.keep([])
        self.assertIsNone(self.copies.of("crt", PATH))
        self.assertTrue(os.path.exists(copy))
        old = time() - KEEP_UNUSED - 1
        os.utime(copy, (old, old))
        self.copies.keep([])
        self.assertFalse(os.path.exists(copy))

    def test_no_place(self) -> None:
        """Where nothing can be written that is logged, and `bring` fails for its caller."""
        self.accepted.write_text("no directory")
        self.bring(b"one", "1")
        self.copies.keep([(PATH, "1")])
        copies = CertificateCopies(str(self.directory / "x"), str(self.accepted))
        self.assertRaises(OSError, copies.bring, "crt", PATH, {"": b"one"})

    def test_names(self) -> None:
        """Files of one path and another kind have copies of their own, and a name that is no text has one too."""
        self.assertNotEqual(stem_of("crt", PATH), stem_of("ca", PATH))
        self.assertRegex(stem_of("crt", "/a\ud800"), r"\A[0-9a-f]{16}\Z")

    def test_link(self) -> None:
        """A link has the content, and one that exists already is an error."""
        source = self.directory / "a"
        source.write_bytes(b"x")
        link(str(source), str(self.directory / "b"))
        self.assertEqual(b"x", (self.directory / "b").read_bytes())
        self.assertRaises(FileExistsError, link, str(source), str(self.directory / "b"))
