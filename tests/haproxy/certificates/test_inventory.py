"""The inventory: a configuration's files, what HAProxy says of them, and when another configuration may follow."""

from __future__ import annotations

from pathlib import Path

from marathonlb.haproxy.certificates.backup import CertificateCopies
from marathonlb.haproxy.certificates.inventory import Certificates
from marathonlb.haproxy.certificates.lists import MAX_ARGUMENTS
from tests.haproxy.certificates.cases import AtOnce, CertificateTestCase, finished


class CertificatesTests(CertificateTestCase):
    """`Certificates`."""

    def setUp(self) -> None:
        super().setUp()
        self.copies = CertificateCopies(str(self.directory / "copies"))
        self.certificates = Certificates(self.clock, self.lists, AtOnce(), self.copies)
        finished(self.certificates.read([("crt", self.good)], None))
        self.certificates.begin()

    def configure(self, *app_ids: str | None) -> None:
        """A configuration that names the good file for these."""
        self.certificates.begin()
        used: dict[str, str] = {}
        for app_id in app_ids:
            used |= self.certificates.judge("crt", self.good, app_id).digests
        self.certificates.finish(used)

    def test_used(self) -> None:
        """A configuration's files have digests, kinds and sources once it is finished."""
        self.configure(None, "/a")
        copy = self.copies.as_read("crt", self.good)
        self.assertEqual({self.good, copy}, set(self.certificates.used))
        self.assertEqual(
            {self.good: ("crt", self.good), copy: ("crt", self.good)}, dict(self.certificates.sources)
        )
        self.configure(None)
        self.assertEqual({self.good}, set(self.certificates.used))

    def test_generation(self) -> None:
        """A renewed file changes its digest, and no configuration follows; one that turns good does lead to one."""
        late = str(self.directory / "late.pem")
        finished(self.certificates.read([("crt", late)], None))
        self.assertEqual("does not exist", self.certificates.judge("crt", late).reason)
        self.configure(None)
        before = self.certificates.used[self.good], self.certificates.generation
        self.authority.issue("good.pem", "good.test")
        self.assertFalse(finished(self.certificates.look()))
        self.assertNotEqual(before[0], self.certificates.used[self.good])
        self.assertEqual(before[1], self.certificates.generation)
        self.certificates.begin()
        self.certificates.judge("crt", late)
        self.authority.issue("late.pem", "late.test")
        self.assertTrue(finished(self.certificates.look()))
        self.assertEqual(before[1] + 1, self.certificates.generation)

    def test_forgotten(self) -> None:
        """A file that the configuration does not name any more is not looked at."""
        self.configure(None)
        self.configure()
        self.authority.issue("good.pem", "good.test")
        self.assertFalse(finished(self.certificates.look()))
        self.assertFalse(self.certificates.refuse(f"unable to load '{self.good}'"))

    def test_refused_in_lines_of_an_app(self) -> None:
        """An app's refusal by the copy's name is told with the label's path, and counts for that app alone."""
        self.configure("/a", "/b")
        copy = self.copies.as_read("crt", self.good)
        message = f"unable to load SSL certificate '{copy}': ee key too small."
        self.assertFalse(self.certificates.refuse(message))
        self.assertTrue(self.certificates.refuse(message, "/a"))
        self.assertFalse(self.certificates.refuse(message, "/a"))
        verdict = self.certificates.judge("crt", self.good, "/a")
        self.assertEqual(f"unable to load SSL certificate '{self.good}': ee key too small.", verdict.haproxy)
        self.assertEqual("", self.certificates.judge("crt", self.good, "/b").reason)

    def test_refused_companion(self) -> None:
        """A companion is refused by the end of its name, which HAProxy may write twice; the certificate is served."""
        Path(f"{self.good}.ocsp").write_bytes(b"x")
        self.configure(None)
        finished(self.certificates.look())
        self.assertTrue(self.certificates.refuse(f"'{self.good}.ocsp.ocsp' is present but cannot be read"))
        self.assertEqual([".ocsp"], [each.end for each in self.certificates.judge("crt", self.good).warnings])

    def test_refused_copy(self) -> None:
        """A refused copy of the last good content does not stand in again."""
        self.configure(None)
        self.copies.keep(self.certificates.used.items())
        self.assertTrue(self.certificates.refuse(f"unable to load '{self.good}'"))
        self.configure(None)
        (copy,) = self.certificates.judge("crt", self.good).named
        self.assertEqual(self.copies.of("crt", self.good), copy)
        self.assertTrue(self.certificates.refuse(f"unable to load '{copy}'"))
        self.assertEqual((), self.certificates.judge("crt", self.good).named)

    def test_messages(self) -> None:
        """The files that HAProxy's messages name are read again at once."""
        self.configure(None)
        self.write("good.pem", b"half")
        finished(self.certificates.look_at([f"unable to load '{self.good}'", "another"]))
        self.assertTrue(self.certificates.refuse(f"unable to load '{self.good}'"))
        self.assertEqual("", self.certificates.judge("crt", self.good).haproxy)

    def test_digests(self) -> None:
        """The digests of files that an older controller has named are those of now; what cannot be read has none."""
        names = {"/copy.pem": ("crt", self.good), "/gone.pem": ("crt", "/gone.pem")}
        self.configure(None)
        digests = finished(self.certificates.digests(names))
        self.assertEqual({"/copy.pem": self.certificates.used[self.good], "/gone.pem": ""}, dict(digests))

    def test_copy(self) -> None:
        """A copy that is asked for another configuration leaves this one as it is."""
        self.configure(None)
        other = self.certificates.copy()
        other.begin()
        other.finish({})
        self.assertEqual({self.good}, set(self.certificates.used))
        self.assertTrue(self.certificates.refuse(f"unable to load '{self.good}'"))


class ListTests(CertificateTestCase):
    """Lists of certificates for a ``bind`` line."""

    def setUp(self) -> None:
        super().setUp()
        self.certificates = Certificates(self.clock, self.lists, AtOnce())
        self.paths = tuple(f"/{number}.pem" for number in range(MAX_ARGUMENTS + 1))

    def test_few(self) -> None:
        """As many as fit are named one by one."""
        few = self.paths[:MAX_ARGUMENTS]
        self.assertEqual((few, few), (self.certificates.listed(few), self.certificates.shared_listed(few)))

    def test_many(self) -> None:
        """More are a list, whose name follows from its text."""
        (path,) = self.certificates.listed(self.paths)
        self.assertEqual(list(self.paths), Path(path).read_text().splitlines())
        self.assertEqual((path,), self.certificates.listed(self.paths))
        self.assertNotEqual((path,), self.certificates.listed(self.paths[::-1]))

    def test_directories(self) -> None:
        """A list holds the files of a directory, since HAProxy takes no directory in it."""
        (self.directory / "dir").mkdir()
        inside = self.authority.issue("dir/a.pem", "a.test")
        directory = str(self.directory / "dir")
        finished(self.certificates.read([("crt", directory)], None))
        (path,) = self.certificates.shared_listed((directory, *self.paths))
        self.assertEqual([inside, *self.paths], Path(path).read_text().splitlines())

    def test_no_place(self) -> None:
        """A list that cannot be written is an error of its caller's."""
        (self.directory / "lists").write_text("no directory")
        self.assertRaises(OSError, self.certificates.listed, self.paths)
