"""The certificates that HAProxy has in memory, and the reloader that takes note of them."""

from __future__ import annotations

import json

from zope.interface.verify import verifyObject

from marathonlb.errors import ReloadFailed
from marathonlb.haproxy.certificates.backup import CertificateCopies
from marathonlb.haproxy.certificates.loaded import FILE, LoadedCertificates, RememberingReloader
from marathonlb.haproxy.files.state_directory import StateDirectory
from marathonlb.haproxy.interfaces import IReloader
from marathonlb.settings import Settings
from tests.fakes.haproxy import FakeReloader
from tests.haproxy.certificates.cases import CertificateTestCase, Prepared, finished
from tests.haproxy.samples import A


class LoadedTestCase(CertificateTestCase):
    """A certificate that HAProxy has loaded."""

    def setUp(self) -> None:
        super().setUp()
        self.state = StateDirectory(str(self.directory / "state"))
        self.admission, self.loaded = self.begin(self.good)

    def begin(self, *paths: str) -> tuple[Prepared, LoadedCertificates]:
        """A controller's knowledge of these."""
        admission = self.of(*paths)
        admission.shared()
        admission.admit(())
        return admission, LoadedCertificates(admission.certificates, self.state)

    def renew(self) -> None:
        """Another certificate in the file, which is looked at."""
        self.authority.issue("good.pem", "good.test")
        finished(self.admission.look())


class LoadedCertificatesTests(LoadedTestCase):
    """`LoadedCertificates`."""

    def test_new(self) -> None:
        """A file that is not noted yet is assumed to be loaded, and noted with its kind and path."""
        self.assertEqual([], self.loaded.changed())
        noted = json.loads((self.directory / "state" / FILE).read_text())
        digest = self.admission.certificates.used[self.good]
        self.assertEqual({self.good: [digest, "crt", self.good]}, noted)

    def test_changed(self) -> None:
        """A file that has changed since is named until HAProxy has it."""
        self.loaded.changed()
        self.renew()
        self.assertEqual([self.good], self.loaded.changed())
        self.loaded.add(self.good, self.admission.certificates.used[self.good])
        self.assertEqual([], self.loaded.changed())

    def test_replaced(self) -> None:
        """A reload reads what was looked at before it began, and nothing else is loaded after it."""
        self.loaded.changed()
        self.loaded.add("/gone.pem", "digest")
        digests = self.loaded.now()
        self.renew()
        self.loaded.replace(digests)
        self.assertEqual([self.good], self.loaded.changed())
        self.assertNotIn("/gone.pem", json.loads((self.directory / "state" / FILE).read_text()))

    def test_next_controller(self) -> None:
        """The next controller finds what changed while none ran, also by the notes of older versions."""
        self.loaded.changed()
        digest = self.admission.certificates.used[self.good]
        for noted in (None, {self.good: digest}):
            if noted is not None:
                (self.directory / "state" / FILE).write_text(json.dumps(noted))
            self.authority.issue("good.pem", "good.test")
            _, loaded = self.begin(self.good)
            self.assertEqual([self.good], finished(loaded.out_of_date()))
            self.assertEqual([self.good], loaded.changed())

    def test_copies(self) -> None:
        """The contents that HAProxy has are copied for a time when the file turns bad."""
        copies = CertificateCopies(str(self.directory / "copies"))
        settings = Settings(ssl_certs=(self.good,))
        admission = Prepared.of(settings, self.clock, self.lists, copies=copies)
        admission.shared()
        admission.admit(())
        LoadedCertificates(admission.certificates, self.state).changed()
        (copy,) = (self.directory / "copies").iterdir()
        self.assertEqual(self.read(self.good), copy.read_bytes())

    def test_no_place(self) -> None:
        """Where the note cannot be written the controller goes on."""
        (self.directory / "state").write_text("no directory")
        self.assertEqual([], self.loaded.changed())
        self.renew()
        self.assertEqual([self.good], self.loaded.changed())


class RememberingReloaderTests(LoadedTestCase):
    """`RememberingReloader`."""

    def test_reload_reads(self) -> None:
        """A reload reads what is on the disk; a failed one reads nothing."""
        self.loaded.changed()
        inner = FakeReloader()
        reloader = RememberingReloader(inner, self.loaded)
        verifyObject(IReloader, reloader)
        self.renew()
        inner.failures.append(ReloadFailed(reason="no"))
        self.failureResultOf(reloader.reload(A), ReloadFailed)
        self.assertEqual([self.good], self.loaded.changed())
        self.successResultOf(reloader.reload(A))
        self.assertEqual([], self.loaded.changed())
        self.assertTrue(self.successResultOf(reloader.serving()))
        self.assertEqual(self.successResultOf(inner.pids()), self.successResultOf(reloader.pids()))
