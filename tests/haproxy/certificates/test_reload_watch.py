"""A certificate that has changed: what is said to HAProxy, and when it is reloaded instead."""

from __future__ import annotations

from collections.abc import Sequence

from twisted.internet.defer import Deferred

from marathonlb.base.causes import Cause, CauseKind
from marathonlb.errors import HAProxyUnavailable
from marathonlb.haproxy.certificates.loaded import LoadedCertificates, RememberingReloader
from marathonlb.haproxy.certificates.reload_watch import WATCH_INTERVAL, CertificateWatch
from marathonlb.haproxy.certificates.survey import to_be_served
from marathonlb.haproxy.files.state_directory import StateDirectory
from tests.fakes.haproxy import FakeReloader
from tests.haproxy.certificates.cases import CertificateTestCase, finished
from tests.haproxy.samples import A


class FakeWorker:
    """Takes certificates as HAProxy does, in its words; ``says`` overrides an answer."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.says: dict[str, str] = {}
        self.held: Deferred[None] | None = None
        self.away = False

    async def __call__(self, commands: Sequence[str]) -> list[str]:
        if self.held is not None:
            await self.held
        if self.away:
            raise HAProxyUnavailable(reason="nobody listens")
        self.said += commands
        return [self.answer(command) for command in commands]

    def answer(self, command: str) -> str:
        """The answer to one command."""
        first, _, _ = command.partition("\n")
        *verb, path = first.removesuffix(" <<").split(" ")
        default = {
            "set": f"Transaction created for certificate {path}!",
            "commit": f"Committing {path}.\nSuccess!",
            "show": f"Filename: {path}\nStatus: Used\nSHA1 FingerPrint: ",
            "abort": "Transaction aborted",
        }[verb[0]]
        if verb[0] == "show":
            default += to_be_served(path)[1]
        return self.says.get(verb[0], default)


class WatchTestCase(CertificateTestCase):
    """The service with a fake worker, and this as its reconciler."""

    def setUp(self) -> None:
        super().setUp()
        self.certificates = self.of(self.good)
        self.certificates.shared()
        self.certificates.admit(())
        self.state = StateDirectory(str(self.directory / "state"))
        self.loaded = LoadedCertificates(self.certificates.certificates, self.state)
        self.worker = FakeWorker()
        self.planned: list[Cause] = []
        self.reloads: list[Cause] = []
        self.watch = self.make()

    def make(self) -> CertificateWatch:
        """A service that looks."""
        return CertificateWatch(self.loaded, self.worker, self, self.clock)

    def plan_again(self, cause: Cause) -> None:
        """As the reconciler does it."""
        self.planned.append(cause)
        self.certificates.shared()
        self.certificates.admit(())

    def reload(self, cause: Cause) -> None:
        """As the reconciler does it."""
        self.reloads.append(cause)

    def look(self) -> None:
        """One look, to its end."""
        self.successResultOf(self.watch.look())

    def renew(self) -> None:
        """Another certificate in the file."""
        self.good = self.authority.issue("good.pem", "good.test")


class CertificateWatchTests(WatchTestCase):
    """What a look leads to."""

    def test_said(self) -> None:
        """A new certificate is set, committed and seen, once."""
        self.look()
        self.assertEqual([], self.worker.said)
        self.renew()
        self.look()
        text, _ = to_be_served(self.good)
        self.assertEqual(
            [
                f"set ssl cert {self.good} <<\n{text}",
                f"commit ssl cert {self.good}",
                f"show ssl cert {self.good}",
            ],
            self.worker.said,
        )
        self.look()
        self.assertEqual((3, [], []), (len(self.worker.said), self.planned, self.reloads))

    def test_refused(self) -> None:
        """What HAProxy does not take, or does not show afterwards, is given up there and takes one reload."""
        for answers in (
            {"commit": "inconsistencies between private key and certificate\nCan't commit!"},
            {"show": "Filename: x\nStatus: Used\nSHA1 FingerPrint: 00"},
            {"show": "Status: Unused"},
            {
                "set": "Can't replace a certificate which is not referenced by the configuration!",
                "commit": "no",
            },
        ):
            self.look()
            self.worker.said, self.worker.says, self.reloads = [], answers, []
            self.renew()
            self.look()
            self.look()
            self.assertEqual([Cause(CauseKind.CERTIFICATE, str(self.good))], self.reloads)
            self.assertIn(f"abort ssl cert {self.good}", self.worker.said)
            self.worker.says = {}
            self.look()

    def test_nobody_listens(self) -> None:
        """Where HAProxy cannot be spoken to, it is reloaded."""
        self.look()
        self.worker.away = True
        self.renew()
        self.look()
        self.assertEqual([Cause(CauseKind.CERTIFICATE, str(self.good))], self.reloads)

    def test_too_large(self) -> None:
        """What is more than HAProxy reads at once takes a reload, and nothing is said."""
        self.look()
        chain = b"".join([self.read(self.authority.path)] * 40)
        self.write("good.pem", self.read(self.authority.issue("x.pem", "good.test")), chain)
        self.look()
        self.assertEqual((1, []), (len(self.reloads), self.worker.said))

    def test_new_file_in_a_directory(self) -> None:
        """A directory is no certificate: one that comes into it takes a reload."""
        (self.directory / "dir").mkdir()
        self.authority.issue("dir/a.pem", "a.test")
        self.certificates = self.of(str(self.directory / "dir"))
        self.plan_again(Cause(CauseKind.CERTIFICATES))
        self.loaded = LoadedCertificates(self.certificates.certificates, self.state)
        self.watch = self.make()
        self.look()
        self.authority.issue("dir/b.pem", "b.test")
        self.look()
        self.assertEqual([Cause(CauseKind.CERTIFICATE, str(self.directory / "dir"))], self.reloads)

    def test_planned_again(self) -> None:
        """A file that turns bad for good leads to another configuration, not to a reload of this one."""
        self.look()
        self.write("good.pem", b"x")
        for _ in range(5):
            self.look()
            self.clock.advance(5)
        self.look()
        self.assertEqual(([Cause(CauseKind.CERTIFICATES)], []), (self.planned, self.reloads))

    def test_every_few_seconds(self) -> None:
        """The started service looks by the clock; the stopped one does not, and gives up what it says."""
        self.watch.startService()
        self.clock.advance(WATCH_INTERVAL)
        self.renew()
        self.worker.held = Deferred()
        self.clock.advance(WATCH_INTERVAL)
        self.watch.stopService()
        self.renew()
        self.clock.advance(2 * WATCH_INTERVAL)
        self.assertEqual(([], []), (self.worker.said, self.clock.getDelayedCalls()))

    def test_next_controller(self) -> None:
        """What changed while no controller ran is found by the next one."""
        self.look()
        self.renew()
        self.certificates = self.of(self.good)
        self.loaded = LoadedCertificates(self.certificates.certificates, self.state)
        self.assertEqual([self.good], finished(self.loaded.out_of_date()))
        self.plan_again(Cause(CauseKind.CERTIFICATES))
        self.watch = self.make()
        self.look()
        self.assertEqual(3, len(self.worker.said))
        self.assertEqual(
            [], finished(LoadedCertificates(self.certificates.certificates, self.state).out_of_date())
        )

    def test_garbled_notes(self) -> None:
        """Notes that cannot be read are none."""
        for text in ("", "[]", "{", '{"a": 1}', "\ufffd"):
            (self.directory / "state").mkdir(exist_ok=True)
            (self.directory / "state" / "certificates").write_text(text)
            self.loaded = LoadedCertificates(self.certificates.certificates, self.state)
            self.assertEqual([], self.loaded.changed())
            self.watch = self.make()
            self.look()
        self.assertEqual([], self.worker.said)


class DuringAReloadTests(WatchTestCase):
    """A look while HAProxy is reloaded."""

    def test_waits(self) -> None:
        """What changes while HAProxy is reloaded may have been read or not, so it is said afterwards."""
        self.look()
        inner = FakeReloader()
        inner.held = Deferred()
        reloading = RememberingReloader(inner, self.loaded).reload(A)
        self.renew()
        looking = self.watch.look()
        self.assertNoResult(looking)
        self.assertEqual([], self.worker.said)
        inner.held.callback(None)
        self.successResultOf(reloading)
        self.successResultOf(looking)
        self.assertEqual(3, len(self.worker.said))
