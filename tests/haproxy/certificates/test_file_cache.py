"""Certificate files in memory: when they are read again, how long a good one stays good, and what HAProxy refuses."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from twisted.internet.defer import Deferred, succeed

from marathonlb.haproxy.certificates.backup import CertificateCopies
from marathonlb.haproxy.certificates.file_cache import GRACE, LIMIT, CertificateFiles
from marathonlb.haproxy.certificates.survey import CertificateFile
from tests.haproxy.certificates.cases import AtOnce, CertificateTestCase, Hanging, finished


class FilesTestCase(CertificateTestCase):
    """A cache without copies."""

    def setUp(self) -> None:
        super().setUp()
        self.reads = Hanging()
        self.files = CertificateFiles(self.clock, self.reads)

    def look(self) -> None:
        """Read the good file again."""
        finished(self.files.refresh([("crt", self.good)]))

    def reason(self, app_id: str | None = None) -> str:
        """Why the good file cannot be served."""
        seen = self.files.seen("crt", self.good, app_id)
        assert isinstance(seen, CertificateFile)
        return seen.reason


class GraceTests(FilesTestCase):
    """A good file that turns bad."""

    def test_half_written(self) -> None:
        """It stays good for a while, from the first look that finds it bad."""
        self.assertIsNone(self.files.seen("crt", self.good))
        self.look()
        self.write("good.pem", b"half")
        for seconds in (0.0, GRACE - 1):
            self.clock.advance(seconds)
            self.look()
            self.assertEqual("", self.reason())
        self.clock.advance(1)
        self.look()
        self.assertEqual("is no PEM file", self.reason())

    def test_bad_from_the_start(self) -> None:
        """A file that was never good is bad at once, and good as soon as it is."""
        whole = self.read(self.good)
        self.write("good.pem", b"half")
        self.look()
        self.assertEqual("is no PEM file", self.reason())
        self.write("good.pem", whole)
        self.look()
        self.assertEqual("", self.reason())


class WaitTests(FilesTestCase):
    """A file system that does not answer."""

    def test_late(self) -> None:
        """The wait ends without progress; the file is late until it is read."""
        self.reads.hangs.add(self.good)
        waiting = Deferred.fromCoroutine(self.files.refresh([("crt", self.good)]))
        self.assertNoResult(waiting)
        self.clock.advance(LIMIT)
        self.successResultOf(waiting)
        self.assertTrue(self.files.is_late("crt", self.good))
        self.reads.go_on()
        self.look()
        self.assertFalse(self.files.is_late("crt", self.good))
        self.assertEqual("", self.reason())

    def test_patience(self) -> None:
        """With a maximum the wait ends then, though other files make progress."""
        others = [self.authority.issue(f"{number}.pem", "a.test") for number in range(3)]
        self.reads.hangs.update(others)
        waiting = Deferred.fromCoroutine(self.files.refresh([("crt", path) for path in others], 1.0))
        self.clock.advance(1.0)
        self.assertNoResult(waiting)
        self.clock.advance(LIMIT)
        self.successResultOf(waiting)
        self.assertEqual([True] * 3, [self.files.is_late("crt", path) for path in others])
        self.reads.go_on()


class RefusalTests(FilesTestCase):
    """What HAProxy refuses though it looks good."""

    def setUp(self) -> None:
        super().setUp()
        self.look()

    def test_of_an_app(self) -> None:
        """A refusal in one app's lines counts for that app, until the file changes."""
        self.assertTrue(self.files.refuse(self.good, "too small", "/a"))
        self.assertFalse(self.files.refuse(self.good, "too small", "/a"))
        self.assertEqual(frozenset({"/a"}), self.files.complainants)
        self.assertEqual(("is refused by HAProxy: too small", ""), (self.reason("/a"), self.reason("/b")))
        self.authority.issue("good.pem", "good.test")
        self.look()
        self.assertEqual("", self.reason("/a"))

    def test_of_everybody(self) -> None:
        """A refusal in a line of no app counts for all, and carries HAProxy's message."""
        self.assertTrue(self.files.refuse(self.good, "too small"))
        seen = self.files.seen("crt", self.good, "/b")
        assert isinstance(seen, CertificateFile)
        self.assertEqual("too small", seen.haproxy)

    def test_turned_bad_meanwhile(self) -> None:
        """Where the file has just turned bad, that is the reason, and its good content is not refused."""
        whole = self.read(self.good)
        self.write("good.pem", b"half")
        self.look()
        self.assertTrue(self.files.refuse(self.good, "no PEM"))
        self.assertEqual("is no PEM file", self.reason())
        self.write("good.pem", whole)
        self.look()
        self.assertEqual("", self.reason())

    def test_unknown(self) -> None:
        """A file that is not known cannot be refused."""
        self.assertFalse(self.files.refuse("/other.pem", "no"))
        self.assertFalse(self.files.leave_out("/other.pem", ".ocsp"))

    def test_copies(self) -> None:
        """A copy is refused once."""
        self.assertEqual([True, False], [self.files.refuse_copy("/copy.pem", "/a") for _ in range(2)])
        self.assertEqual(
            (True, False),
            (self.files.is_refused("/copy.pem", "/a"), self.files.is_refused("/copy.pem", "/b")),
        )

    def test_forgotten(self) -> None:
        """A file that nothing names any more is forgotten, and one of a directory is not."""
        (self.directory / "dir").mkdir()
        inside = self.authority.issue("dir/a.pem", "a.test")
        directory = ("crt", str(self.directory / "dir"))
        finished(self.files.refresh([directory]))
        self.files.keep_only([directory])
        self.assertIsNone(self.files.seen("crt", self.good))
        self.assertIsNotNone(self.files.seen("crt", inside))


class TrialTests(CertificateTestCase):
    """Companions that HAProxy refuses."""

    def setUp(self) -> None:
        super().setUp()
        self.asked: list[Mapping[str, tuple[str, ...]]] = []
        self.refused: frozenset[str] = frozenset()
        self.copies = CertificateCopies(str(self.directory / "copies"))
        self.files = CertificateFiles(self.clock, AtOnce(), self.copies, self.trial)
        Path(f"{self.good}.ocsp").write_bytes(b"response")
        self.copy = self.copies.as_read("crt", self.good)

    def trial(self, asked: Mapping[str, tuple[str, ...]]) -> Deferred[Mapping[str, frozenset[str]]]:
        """See `marathonlb.haproxy.certificates.file_cache.CompanionCheck`."""
        self.asked.append(asked)
        return succeed({path: self.refused for path in asked if self.refused})

    def test_asked_once(self) -> None:
        """HAProxy is asked about the copy of a file with companions, once for each content."""
        for _ in range(2):
            finished(self.files.refresh([("crt", self.good)]))
        self.assertEqual([{self.copies.fresh("crt", self.good): (".ocsp",)}], self.asked)
        self.assertTrue(os.path.exists(self.copy + ".ocsp"))

    def test_left_out(self) -> None:
        """A companion that HAProxy refuses is left out of the copy, until a content comes that it takes."""
        self.refused = frozenset({".ocsp"})
        finished(self.files.refresh([("crt", self.good)]))
        self.assertEqual(self.refused, self.files.left_out("crt", self.good))
        self.assertFalse(os.path.exists(self.copy + ".ocsp"))
        self.refused = frozenset()
        Path(f"{self.good}.ocsp").write_bytes(b"another")
        finished(self.files.refresh([("crt", self.good)]))
        self.assertEqual(frozenset(), self.files.left_out("crt", self.good))
        self.assertTrue(os.path.exists(self.copy + ".ocsp"))

    def test_refused_later(self) -> None:
        """A companion that HAProxy refuses at a reload is left out, too, once."""
        finished(self.files.refresh([("crt", self.good)]))
        self.assertEqual(
            [True, False, False],
            [self.files.leave_out(self.good, end) for end in (".ocsp", ".ocsp", ".sctl")],
        )
        self.assertFalse(os.path.exists(self.copy + ".ocsp"))
