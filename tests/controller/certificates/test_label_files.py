"""Files that labels name, and those that do not come: what is served, and what their owners are told."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred

from marathonlb.controller.certificates.admission import CertificateAdmission
from marathonlb.haproxy.certificates.backup import CertificateCopies
from marathonlb.haproxy.certificates.file_cache import LIMIT
from marathonlb.haproxy.certificates.inventory import Certificates
from marathonlb.routing.policy.prefixes import Grant, Policy
from marathonlb.routing.problems import Problem
from marathonlb.routing.services.files import UNUSABLE, UNUSABLE_AUTHORITY, UNUSABLE_KEYS
from marathonlb.routing.services.model import Service
from marathonlb.settings import Settings
from tests.haproxy.certificates.cases import CertificateTestCase, Hanging, Prepared, finished
from tests.integration.authorities import Authority
from tests.routing.apps import service


class HungTests(CertificateTestCase):
    """A file system that does not answer: nobody waits for it twice, and what was read before is served."""

    def setUp(self) -> None:
        super().setUp()
        self.reads = Hanging()
        copies = CertificateCopies(str(self.directory / "state" / "copies"))
        self.certificates = Certificates(self.clock, self.lists, self.reads, copies)
        self.admission = CertificateAdmission(self.certificates, Settings(ssl_certs=()))
        self.service = service("own", ssl_certs=(self.good,))

    def prepare(self, *services: Service) -> Deferred[None]:
        """The reconciler's first step."""
        return Deferred.fromCoroutine(self.admission.prepare(services))

    def admit(self, *services: Service) -> tuple[list[Service], list[Problem]]:
        """What is served."""
        self.admission.shared()
        return self.admission.admit(services)

    def test_new(self) -> None:
        """A new service is left out for as long as its file does not come; others wait a moment, once."""
        other = service("other", ssl_certs=(self.authority.issue("other.pem", "other.test"),))
        self.reads.hangs.add(self.good)
        waiting = self.prepare(self.service, other)
        self.assertNoResult(waiting)
        self.clock.advance(LIMIT)
        self.successResultOf(waiting)
        kept, (problem,) = self.admit(self.service, other)
        self.assertEqual((["/other"], "/own"), ([each.app_id for each in kept], problem.app_id))
        self.assertIn(UNUSABLE, problem.reason)
        self.successResultOf(self.prepare(self.service, other))
        self.reads.go_on()
        self.assertTrue(finished(self.certificates.look()))
        kept, problems = self.admit(self.service, other)
        self.assertEqual((2, []), (len(kept), problems))

    def test_served(self) -> None:
        """One that was read before is served on, with a word of it."""
        self.successResultOf(self.prepare(self.service))
        before, _ = self.admit(self.service)
        self.reads.hangs.add(self.good)
        looking = Deferred.fromCoroutine(self.certificates.look())
        self.clock.advance(LIMIT)
        self.assertTrue(self.successResultOf(looking))
        kept, (problem,) = self.admit(self.service)
        self.assertEqual((before, False), (kept, problem.fatal))
        self.reads.go_on()
        self.assertTrue(finished(self.certificates.look()))
        self.assertEqual((before, []), self.admit(self.service))

    def test_shared_directory(self) -> None:
        """Where a directory of shared certificates does not answer any more, HAProxy is given the copies."""
        (self.directory / "dir").mkdir()
        path = str(self.directory / "dir")
        self.authority.issue("dir/a.pem", "a.test")
        copies = CertificateCopies(str(self.directory / "state" / "copies"))
        certificates = Certificates(self.clock, self.lists, self.reads, copies)
        admission = CertificateAdmission(certificates, Settings(ssl_certs=(path,)))
        finished(admission.prepare(()))
        self.assertEqual(((path,), ()), (admission.shared().paths, admission.shared().problems))
        self.reads.hangs.add(path)
        looking = Deferred.fromCoroutine(certificates.look())
        self.clock.advance(LIMIT)
        self.assertTrue(self.successResultOf(looking))
        (named,) = admission.shared().paths
        self.assertEqual(copies.as_read("crt", f"{path}/a.pem"), named)


class SpecialTests(CertificateTestCase):
    """What labels name besides plain certificates."""

    def test_keys(self) -> None:
        """Keys of TLS tickets are judged, too, so that HAProxy's words tell nothing of other files."""
        good = self.write("keys", b"\n".join([b"A" * 64] * 3))
        kept, problems = self.of().admit([service(bind_options=f"tls-ticket-keys {good}")])
        self.assertEqual((1, []), (len(kept), problems))
        kept, (problem,) = self.of().admit([service(bind_options=f"tls-ticket-keys {self.good}")])
        self.assertEqual(([], UNUSABLE_KEYS), (kept, problem.reason))

    def test_words(self) -> None:
        """No way of quoting hides a path, and what is not known to name a file may not."""
        for text in (
            f"crt-list {self.good}",
            f"unknown {self.good}",
            "crt own.pem",
            '"c"rt /nowhere.pem',
            "ca-fil\\e /nowhere.pem",
            "cr'l-file' /nowhere.pem",
        ):
            kept, problems = self.of().admit([service(bind_options=text)])
            self.assertEqual((0, 1), (len(kept), len(problems)), text)
        for text in ('ca-"file" /nowhere.pem', "ca\\x2dfile /nowhere.pem", "'ca-file' /nowhere.pem"):
            _, (problem,) = self.of().admit([service(bind_options=text)])
            self.assertEqual(("/nowhere.pem", UNUSABLE_AUTHORITY), (problem.value, problem.reason), text)
        kept, problems = self.of().admit([service(bind_options="ca-file @system-ca verify required")])
        self.assertEqual((1, []), (len(kept), problems))

    def test_directory_of_authorities(self) -> None:
        """HAProxy is given a directory's authorities as one file."""
        (self.directory / "ca").mkdir()
        for name in ("one", "two"):
            text = self.read(Authority(self.directory, f"{name}.test").path)
            (self.directory / "ca" / f"{name}.pem").write_bytes(text)
        copies = CertificateCopies(str(self.directory / "copies"))
        certificates = Prepared.of(Settings(ssl_certs=()), self.clock, self.lists, copies=copies)
        (kept,), problems = certificates.admit([service(backend_ssl=str(self.directory / "ca"))])
        self.assertEqual((2, []), (self.read(kept.files.authority).count(b"BEGIN CERT"), problems))

    def test_one_sentence(self) -> None:
        """Missing, garbled, a directory, a FIFO, or a link to another team's file: its owner cannot tell which."""
        policy = Policy(Grant(certificates=(f"{self.directory}/*",)))
        (self.directory / "empty").mkdir()
        (self.directory / "names").mkdir()
        (self.directory / "names" / "secret-name").write_bytes(b"x")
        os.mkfifo(self.directory / "fifo")
        (self.directory / "elsewhere").mkdir()
        self.authority.issue("elsewhere/bank.pem", "bank.test")
        (self.directory / "link").symlink_to(self.directory / "elsewhere" / "bank.pem")
        self.write("garbled", b"x")
        settings = Settings(ssl_certs=())
        certificates = Prepared.of(settings, self.clock, self.lists, policy=policy)
        for label, sentence in (("ssl_certs", UNUSABLE), ("backend_ssl", UNUSABLE_AUTHORITY)):
            for name in ("gone", "empty", "names", "fifo", "link", "garbled"):
                path = str(self.directory / name)
                wish: dict[str, Any] = {label: (path,) if label == "ssl_certs" else path}
                kept, (problem,) = certificates.admit([service(**wish)])
                self.assertEqual(([], sentence, path), (kept, problem.reason, problem.value))

    def test_companion(self) -> None:
        """What HAProxy says of a companion costs the companion."""
        copies = CertificateCopies(str(self.directory / "copies"))
        for end, words in (
            (
                ".ocsp",
                "'{}.ocsp' is present and activates OCSP but it is impossible to compute the OCSP ID'.",
            ),
            (".issuer", "'{}.issuer' is not an issuer'."),
            (".sctl", "'{}.sctl.sctl' is present but cannot be read or parsed'."),
        ):
            path = self.authority.issue(f"a{end}.pem", "a.test")
            text = self.read(self.authority.path) if end == ".issuer" else b"\0\3\0\1x"
            Path(path + end).write_bytes(text)
            certificates = Prepared.of(Settings(ssl_certs=(path,)), self.clock, self.lists, copies=copies)
            self.assertEqual((path,), certificates.shared().paths)
            self.assertTrue(certificates.refuse(words.format(path)))
            self.assertFalse(certificates.refuse(words.format(path)))
            (named,), (problem,) = certificates.shared().paths, certificates.shared().problems
            self.assertNotEqual(path, named)
            self.assertFalse(os.path.exists(named + end))
            self.assertEqual((path + end, False), (problem.value, problem.fatal))
            self.assertIn("is served without it", problem.reason)
