"""Certificates on the disk: every way in which one can be bad, what is served then, and what is noticed later."""

from __future__ import annotations

import os
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec

from marathonlb.haproxy.certificates.backup import CertificateCopies
from marathonlb.haproxy.certificates.file_cache import GRACE
from marathonlb.haproxy.certificates.lists import MAX_ARGUMENTS
from marathonlb.routing.services.model import Service
from marathonlb.settings import Settings
from tests.haproxy.certificates.cases import CertificateTestCase, Prepared, finished
from tests.integration.authorities import key_text
from tests.routing.apps import service


class BadFileTests(CertificateTestCase):
    """What HAProxy would refuse is left out, with its name and the reason, and the rest is served."""

    def bad(self) -> dict[str, str]:
        """A file for each fault, and words of the reason."""
        other = self.authority.issue("other.pem", "other.test", mode="key")
        crt = self.authority.issue("c.crt", "c.test", mode="certificate")
        key = ec.generate_private_key(ec.SECP256R1())
        text = self.read(self.good)
        unreadable = self.write("unreadable.pem", text)
        os.chmod(unreadable, 0)
        found = {
            str(self.directory / "missing.pem"): "does not exist",
            self.write("empty.pem"): "no PEM file",
            self.write("garbled.pem", b"\x00\xff nonsense"): "no PEM file",
            other: "holds no certificate",
            crt: "holds no private key",
            self.write("mismatch.pem", self.read(crt), key_text(key)): "does not fit",
            self.write("cut.pem", text[:200], b"\n-----END CERTIFICATE-----\n", text): "cut off or garbled",
            self.write("half.pem", text[: len(text) // 2]): "is no PEM file",
            self.write("locked.pem", self.read(crt), key_text(key, b"word")): "encrypted",
            self.write(
                "chain.pem", text, b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
            ): "chain",
        }
        if os.geteuid() != 0:
            found[unreadable] = "cannot be read: Permission denied"
        return found

    def test_each(self) -> None:
        """Each bad file is one problem that names it; the good one is served."""
        for path, words in self.bad().items():
            shared = self.of(path, self.good).shared()
            self.assertEqual((self.good,), shared.paths, path)
            (problem,) = shared.problems
            self.assertEqual((path, True), (problem.value, problem.fatal))
            self.assertIn(words, problem.reason, path)
            self.assertIn("left out", problem.reason)

    def test_none_left(self) -> None:
        """Without any usable certificate a problem says that HTTPS is off."""
        shared = self.of("/nonexistent.pem").shared()
        self.assertEqual((), shared.paths)
        self.assertIn("HTTPS is off on *:443: no usable certificate", shared.problems[-1].reason)

    def test_default(self) -> None:
        """The default path costs nobody an exit status: most have no certificate there."""
        certificates = Prepared.of(Settings(), self.clock, self.lists)
        self.assertFalse(any(problem.fatal for problem in certificates.shared().problems))

    def test_no_https(self) -> None:
        """Without frontends for https nobody looks."""
        shared = self.of("/nonexistent.pem", dont_bind_http_https=True).shared()
        self.assertEqual(((), ()), (shared.paths, shared.problems))

    def test_dates(self) -> None:
        """One that has expired, will soon, or is not valid yet is served, and somebody is told."""
        for days, words in (
            ((-9, -1), "has expired"),
            ((-9, 3), "expires at"),
            ((2, 90), "not valid before"),
        ):
            path = self.authority.issue("dated.pem", "dated.test", days=days)
            shared = self.of(path).shared()
            self.assertEqual((path,), shared.paths)
            self.assertEqual([words in problem.reason for problem in shared.problems], [True], words)
            self.assertFalse(shared.problems[0].fatal)

    def test_key_beside(self) -> None:
        """A key may lie beside its certificate."""
        path = self.authority.issue("apart.crt", "apart.test", mode="apart")
        self.assertEqual((path,), self.of(path).shared().paths)

    def test_bundle(self) -> None:
        """A name that stands for files of several kinds of keys is one certificate."""
        self.authority.issue("both.pem.ecdsa", "both.test")
        path = str(self.directory / "both.pem")
        shared = self.of(path).shared()
        self.assertEqual(((path,), ()), (shared.paths, shared.problems))


class DirectoryTests(CertificateTestCase):
    """Directories, of which HAProxy loads everything or nothing."""

    def setUp(self) -> None:
        super().setUp()
        (self.directory / "dir").mkdir()
        self.path = str(self.directory / "dir")

    def test_whole(self) -> None:
        """A directory of good certificates is named as it is; what lies beside them is none."""
        self.authority.issue("dir/a.pem", "a.test", mode="apart")
        self.write("dir/a.pem.issuer", self.read(self.authority.path))
        for name in ("a.pem.ocsp", ".hidden"):
            self.write(f"dir/{name}", b"x")
        os.mkfifo(self.directory / "dir" / "fifo")
        (self.directory / "dir" / "more").mkdir()
        shared = self.of(self.path).shared()
        self.assertEqual(((self.path,), ()), (shared.paths, shared.problems))

    def test_one_bad(self) -> None:
        """With a bad file in it the good ones are named, one by one."""
        one, two = (self.authority.issue(f"dir/{name}.pem", f"{name}.test") for name in "ac")
        bad = self.write("dir/b.dh", b"-----BEGIN DH PARAMETERS-----\nAAAA\n-----END DH PARAMETERS-----\n")
        shared = self.of(self.path).shared()
        self.assertEqual((one, two), shared.paths)
        self.assertEqual([bad], [problem.value for problem in shared.problems])

    def test_nothing_in_it(self) -> None:
        """A directory without a certificate, or with bad ones alone, is left out."""
        self.assertIn("without a certificate", self.of(self.path).shared().problems[0].reason)
        self.write("dir/b.pem", b"x")
        self.assertIn("b.pem is no PEM file", self.of(self.path).shared().problems[0].reason)

    def test_many(self) -> None:
        """More than a line of HAProxy takes go into a list, under a name that follows from what is in it."""
        paths = [
            self.authority.issue(f"{number}.pem", f"{number}.test") for number in range(MAX_ARGUMENTS + 1)
        ]
        (listed,) = self.of(*paths).shared().paths
        self.assertEqual(paths, Path(listed).read_text().splitlines())
        self.assertEqual((listed,), self.of(*paths).shared().paths)
        self.assertNotEqual((listed,), self.of(*reversed(paths)).shared().paths)

    def test_new_file(self) -> None:
        """A file that comes changes the digest of its directory, since HAProxy has to read that again."""
        self.authority.issue("dir/a.pem", "a.test")
        certificates = self.of(self.path)
        certificates.shared()
        certificates.admit(())
        before = certificates.certificates.used[self.path]
        self.assertFalse(finished(certificates.look()))
        self.authority.issue("dir/b.pem", "b.test")
        self.assertTrue(finished(certificates.look()))
        self.assertNotEqual(before, certificates.certificates.used[self.path])


class ServiceTests(CertificateTestCase):
    """The files that labels name: a bad one costs its service."""

    def test_own(self) -> None:
        """A bad certificate, authority or list takes its service out and no other; each label is named."""
        bad = self.write("bad.pem", b"x")
        services = [
            service(
                "fine", ssl_certs=(self.good,), bind_options=f"ca-file {self.authority.path} verify required"
            ),
            service("crt", ssl_certs=(self.good, bad)),
            service("ca", bind_options=f"ca-file {bad} verify required"),
            service("none", bind_options="crl-file /nonexistent.crl"),
            service("task", backend_ssl=bad),
            service("system", backend_ssl="@system-ca"),
        ]
        kept, problems = self.of().admit(services)
        self.assertEqual([services[0], services[5]], kept)
        self.assertEqual(
            [
                ("/crt", "HAPROXY_0_SSL_CERT", bad),
                ("/ca", "HAPROXY_0_BIND_OPTIONS", bad),
                ("/none", "HAPROXY_0_BIND_OPTIONS", "/nonexistent.crl"),
                ("/task", "HAPROXY_0_BACKEND_SSL", bad),
            ],
            [(problem.app_id, problem.label, problem.value) for problem in problems],
        )

    def test_expired(self) -> None:
        """One that has expired is served with a warning."""
        path = self.authority.issue("old.pem", "old.test", days=(-9, -1))
        kept, (problem,) = self.of().admit([service(ssl_certs=(path,))])
        self.assertEqual((1, False), (len(kept), problem.fatal))

    def test_no_path(self) -> None:
        """What no file can be called is a problem, not an exception."""
        for path in ("/\ud800", "/a\0b", "/" + "x" * 5000):
            kept, problems = self.of().admit([service(ssl_certs=(path,))])
            self.assertEqual((0, 1), (len(kept), len(problems)), ascii(path))


class LaterTests(CertificateTestCase):
    """What happens after the first look."""

    def test_comes_later(self) -> None:
        """A certificate that comes later is noticed at the next look."""
        path = str(self.directory / "late.pem")
        certificates = self.of(path)
        self.assertEqual((), certificates.shared().paths)
        self.assertFalse(finished(certificates.look()))
        self.authority.issue("late.pem", "late.test")
        generation = certificates.generation
        self.assertTrue(finished(certificates.look()))
        self.assertGreater(certificates.generation, generation)
        self.assertEqual((path,), certificates.shared().paths)

    def test_half_written(self) -> None:
        """A good file that turns bad is held to be good for a while, and then no more."""
        certificates = self.of(self.good)
        certificates.shared()
        self.write("good.pem", b"half")
        self.assertFalse(finished(certificates.look()))
        self.clock.advance(GRACE - 1)
        self.assertFalse(finished(certificates.look()))
        self.assertEqual((self.good,), certificates.shared().paths)
        self.clock.advance(1)
        self.assertTrue(finished(certificates.look()))
        self.assertEqual((), certificates.shared().paths)

    def test_mended_in_time(self) -> None:
        """Where it is good again in time, nothing happened; the next one has as much time."""
        certificates = self.of(self.good)
        certificates.shared()
        whole = self.read(self.good)
        for _ in range(3):
            self.write("good.pem", b"half")
            self.assertFalse(finished(certificates.look()))
            self.clock.advance(GRACE - 1)
            self.write("good.pem", whole)
            self.assertFalse(finished(certificates.look()))

    def test_expires_meanwhile(self) -> None:
        """Time alone makes a warning."""
        certificates = self.of(self.good)
        self.assertEqual((), certificates.shared().problems)
        self.clock.advance(80 * 86400)
        self.assertTrue(finished(certificates.look()))
        self.assertIn("expires at", certificates.shared().problems[0].reason)
        self.clock.advance(86400)
        self.assertFalse(finished(certificates.look()))

    def test_refused_by_haproxy(self) -> None:
        """What HAProxy refuses all the same is left out until the file changes."""
        certificates = self.of(self.good)
        certificates.shared()
        words = f"'bind *:443' in section 'frontend' : unable to load SSL certificate '{self.good}': ee key too small."
        self.assertFalse(certificates.refuse("unknown keyword '/etc/other.pem'"))
        self.assertTrue(certificates.refuse(words))
        self.assertFalse(certificates.refuse(words))
        shared = certificates.shared()
        self.assertEqual((), shared.paths)
        self.assertIn("ee key too small", shared.problems[0].reason)
        self.assertFalse(finished(certificates.look()))
        self.authority.issue("good.pem", "good.test")
        self.assertTrue(finished(certificates.look()))
        self.assertEqual((self.good,), certificates.shared().paths)

    def test_refused_in_a_line_of_an_app(self) -> None:
        """What HAProxy says of an app's line takes nothing from others that have the file, until it has changed."""
        one, two = service("one", ssl_certs=(self.good,)), service("two", ssl_certs=(self.good,))
        certificates = self.of(self.good)
        certificates.shared()
        certificates.admit([one, two])
        words = f"unable to load SSL certificate '{self.good}': ee key too small."
        self.assertFalse(certificates.refuse(words, "/three"))
        self.assertTrue(certificates.refuse(words, "/one"))
        self.assertFalse(certificates.refuse(words, "/one"))
        self.assertEqual((self.good,), certificates.shared().paths)
        kept, (problem,) = certificates.admit([one, two])
        self.assertEqual(([two], "/one"), (kept, problem.app_id))
        self.assertEqual(("quarantine", "MLB-504"), (problem.kind.category, problem.kind.code))
        self.assertEqual(words, problem.haproxy)
        self.authority.issue("good.pem", "good.test")
        self.assertTrue(finished(certificates.look()))
        certificates.shared()
        self.assertEqual(([one, two], []), certificates.admit([one, two]))

    def test_supposing(self) -> None:
        """A copy that plans for something else leaves what is in use as it is."""
        certificates = self.of(self.good)
        certificates.shared()
        certificates.admit(())
        certificates.copy().admit([service(ssl_certs=(self.good,))])
        self.assertEqual({self.good}, set(certificates.certificates.used))


class CopyTests(CertificateTestCase):
    """What HAProxy has is kept, and stands in for a file that turns bad later."""

    def setUp(self) -> None:
        super().setUp()
        self.place = self.directory / "state" / "copies"

    def with_copies(self, *paths: str) -> Prepared:
        """What looks at these as the shared ones, with the copies of whoever looked before."""
        settings = Settings(ssl_certs=paths)
        return Prepared.of(settings, self.clock, self.lists, copies=CertificateCopies(str(self.place)))

    def served(self, certificates: Prepared, *services: Service) -> list[Service]:
        """HAProxy reads what the configuration names."""
        certificates.shared()
        kept, _ = certificates.admit(services)
        assert certificates.certificates.copies is not None
        certificates.certificates.copies.keep(certificates.certificates.used.items())
        return kept

    def copies(self) -> list[Path]:
        """The files that are kept."""
        return sorted(self.place.iterdir())

    def read_copies(self) -> list[Path]:
        """What HAProxy is given of what was read."""
        return sorted(self.directory.joinpath("state", "copies-read").iterdir())

    def test_stands_in(self) -> None:
        """Garbled, unreadable or gone: the last good copy is named with a word to the operator, by every controller."""
        whole = self.read(self.good)
        for bad in (b"half", None):
            self.served(self.with_copies(self.good))
            if bad is None:
                os.unlink(self.good)
            else:
                self.write("good.pem", bad)
            for _ in range(2):
                certificates = self.with_copies(self.good)
                shared = certificates.shared()
                self.assertEqual(tuple(map(str, self.copies())), shared.paths)
                self.assertEqual(whole, self.copies()[0].read_bytes())
                self.assertEqual(0o600, self.copies()[0].stat().st_mode & 0o777)
                (problem,) = shared.problems
                self.assertEqual((self.good, False), (problem.value, problem.fatal))
                self.assertIn("a copy of its last good content is served", problem.reason)
                self.served(certificates)  # a reload with it
            self.write("good.pem", whole)
            shared = self.with_copies(self.good).shared()
            self.assertEqual(((self.good,), ()), (shared.paths, shared.problems))

    def test_after_a_while(self) -> None:
        """Who saw the good file waits for the rest of a half written one before the copy is named."""
        certificates = self.with_copies(self.good)
        self.served(certificates)
        self.write("good.pem", b"half")
        self.assertFalse(finished(certificates.look()))
        self.clock.advance(GRACE)
        self.assertTrue(finished(certificates.look()))
        self.assertEqual(tuple(map(str, self.copies())), certificates.shared().paths)

    def test_refused_while_half_written(self) -> None:
        """Where HAProxy reads a bad file before anyone waits, the copy stands in, and the old content is not blamed."""
        whole = self.read(self.good)
        certificates = self.with_copies(self.good)
        self.served(certificates)
        self.write("good.pem", b"half")
        words = f"unable to load certificate from file '{self.good}'"
        finished(certificates.look_at([words]))
        self.assertTrue(certificates.refuse(words))
        self.assertEqual(tuple(map(str, self.copies())), certificates.shared().paths)
        self.write("good.pem", whole)
        self.assertTrue(finished(certificates.look()))
        self.assertEqual((self.good,), certificates.shared().paths)

    def test_refused(self) -> None:
        """What HAProxy refuses is never copied: the one before stands in."""
        certificates = self.with_copies(self.good)
        self.served(certificates)
        before = self.read(self.good)
        self.authority.issue("good.pem", "good.test")
        finished(certificates.look())
        self.assertTrue(certificates.refuse(f"unable to load certificate from file '{self.good}'"))
        self.assertEqual(before, Path(certificates.shared().paths[0]).read_bytes())
        self.assertTrue(certificates.refuse(f"unable to load certificate from file '{self.copies()[0]}'"))
        self.assertEqual((), certificates.shared().paths)

    def test_companions(self) -> None:
        """The key beside it is copied, too, and either may turn bad."""
        path = self.authority.issue("apart.pem", "apart.test", mode="apart")
        self.served(self.with_copies(path))
        os.unlink(f"{path}.key")
        self.assertEqual((str(self.copies()[0]),), self.with_copies(path).shared().paths)
        self.assertIn(b"PRIVATE KEY", self.copies()[0].read_bytes())

    def test_directory(self) -> None:
        """Of a directory a bad file is stood in for, one that was removed is gone."""
        (self.directory / "dir").mkdir()
        _, two, three = (self.authority.issue(f"dir/{name}.pem", f"{name}.test") for name in "abc")
        path = str(self.directory / "dir")
        self.served(self.with_copies(path))
        self.write("dir/a.pem", b"x")
        os.unlink(two)
        first, second = self.with_copies(path).shared().paths
        self.assertEqual((str(self.place), three), (os.path.dirname(first), second))
        self.assertIn(first, map(str, self.copies()))

    def test_service(self) -> None:
        """A service whose files turn bad is served with the copies, wherever its labels name them."""
        own = service(
            "own",
            ssl_certs=(self.good,),
            bind_options=f"crt {self.good} ca-file {self.authority.path} verify required",
            backend_ssl=str(self.authority.path),
        )
        kept = self.served(self.with_copies(), own)
        read = {str(each) for each in self.read_copies()}
        self.assertEqual(read, {*kept[0].files.certs, kept[0].files.authority})
        self.write("good.pem", b"x")
        os.unlink(self.authority.path)
        (kept_now,), problems = self.with_copies().admit([own])
        (crt,), ca = kept_now.files.certs, kept_now.files.authority
        self.assertEqual({str(each) for each in self.copies()}, {crt, ca})
        self.assertEqual(f"crt {crt} ca-file {ca} verify required", kept_now.files.bind_options)
        self.assertEqual({False}, {problem.fatal for problem in problems})

    def test_forgotten(self) -> None:
        """The copy of a file that nobody names any more is removed."""
        certificates = self.with_copies(self.good)
        self.served(certificates)
        self.assertEqual(1, len(self.copies()))
        assert certificates.certificates.copies is not None
        certificates.certificates.copies.keep(())
        self.assertEqual([], self.copies())

    def test_no_place(self) -> None:
        """Where nothing can be kept that is said, and the file itself is served."""
        (self.directory / "state").write_text("no directory")
        certificates = self.with_copies(self.good)
        self.served(certificates)
        self.assertEqual((self.good,), certificates.shared().paths)
