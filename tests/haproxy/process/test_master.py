"""The sockets, and a reload that is confirmed, in the words of 2.6, 2.8 and 3.4."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from marathonlb.errors import HAProxyUnavailable, ReloadFailed
from marathonlb.haproxy.process.master import RELOAD_TIMEOUT, MasterProcess
from marathonlb.haproxy.runtime.connection import RuntimeSocket
from marathonlb.haproxy.runtime.processes import HAProxyProcesses
from tests.fakes.sockets import FakeSocket
from tests.haproxy.samples import A, processes

ALERT = "[ALERT]    (1) : config : parsing [/etc/haproxy/haproxy.cfg:6] : unknown keyword 'no'\n"


class ReloadTests(SynchronousTestCase):
    """A reload is confirmed by a worker that was not there before."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.alive = True
        self.show = processes(10)
        self.after = processes(11, reloads=1)
        self.reloaded: str | None = ""
        self.fake = FakeSocket(self.answer)
        socket = RuntimeSocket(self.fake, self.clock, "/run/master.sock", master=True)
        self.master = MasterProcess(socket, self.clock, lambda: self.alive)

    def answer(self, command: str) -> str | None:
        if command == "reload":
            self.show = self.after
            return self.reloaded
        return self.show

    def reload(self, words: str = "") -> Deferred[Any]:
        return Deferred.fromCoroutine(self.master.reload(A, lambda: words))

    def test_confirmed_by_its_answer(self) -> None:
        """2.8 says Success=1 and its log, and shows the new worker."""
        self.reloaded = "Success=1\n--\n[NOTICE]   (1) : New worker (11) forked\n\n"
        self.assertEqual(self.successResultOf(self.reload()), "[NOTICE]   (1) : New worker (11) forked")

    def test_confirmed_by_asking(self) -> None:
        """2.6 says nothing and does not listen while it loads; it is asked until the new worker is there."""
        reloading = self.reload("[NOTICE] from the log")
        self.assertEqual(self.successResultOf(reloading), "[NOTICE] from the log")
        self.show, self.after = processes(11, reloads=1), processes(11, reloads=1, lived=1)
        reloading = self.reload()
        self.assertNoResult(reloading)
        self.fake.listening = False
        self.clock.pump([0.1] * 30)
        self.assertNoResult(reloading)
        self.fake.listening, self.show = True, processes(12, reloads=2)
        self.clock.pump([0.5, 0.5])
        self.successResultOf(reloading)

    def test_refused_by_its_answer(self) -> None:
        """2.8 says Success=0 and why; the line has an owner."""
        self.reloaded = f"Success=0\n--\n{ALERT}[WARNING]  (1) : Loading failure!\n\n"
        self.after = processes(10, reloads=1, failed=1, lived=1)
        error = self.failureResultOf(self.reload(), ReloadFailed).value
        self.assertIn("reload failed: line 6: unknown keyword 'no'; HAProxy has no such keyword", str(error))
        self.assertEqual((error.complaints[0].owner.app_id, error.refused), ("/a", True))

    def test_refused_by_counting(self) -> None:
        """2.6 only counts the failure; the words come from its log."""
        self.after = processes(10, reloads=1, failed=1, lived=1)
        error = self.failureResultOf(self.reload(ALERT), ReloadFailed).value
        self.assertIn("reload failed: line 6: unknown keyword 'no'; HAProxy has no such keyword", str(error))
        self.assertTrue(error.refused)

    def test_refused_again(self) -> None:
        """A failure that was counted before is not taken for this reload's."""
        self.show = processes(10, reloads=3, failed=2, lived=3)
        self.after = self.show
        reloading = self.reload()
        self.assertNoResult(reloading)
        self.show = processes(11, reloads=4)
        self.clock.advance(1)
        self.successResultOf(reloading)

    def test_no_success_in_time(self) -> None:
        """No success within the bound is a failure, and nobody knows what HAProxy runs."""
        self.after = processes(10, lived=1)
        reloading = self.reload()
        self.clock.pump([0.5] * int(2 * RELOAD_TIMEOUT + 4))
        error = self.failureResultOf(reloading, ReloadFailed).value
        self.assertIn("did not confirm", str(error))
        self.assertFalse(error.refused)

    def test_success_without_a_worker(self) -> None:
        """Success=1 is not believed until there is a new worker."""
        self.reloaded, self.after = "Success=1\n--\n\n", processes(10, lived=1)
        reloading = self.reload()
        self.clock.advance(1)
        self.assertNoResult(reloading)
        self.show = processes(11, reloads=1)
        self.clock.advance(1)
        self.successResultOf(reloading)

    def test_master_ends(self) -> None:
        """A master that ends in a reload ends the waiting."""
        self.after = processes(10)
        reloading = self.reload("[ALERT]    (1) : exit-on-failure: killing every processes\n")
        self.alive = False
        self.clock.advance(1)
        self.assertIn("exit-on-failure", str(self.failureResultOf(reloading, ReloadFailed).value))

    def test_nobody_there(self) -> None:
        """A master that does not answer is no reload that failed."""
        self.fake.listening = False
        self.failureResultOf(self.reload(), HAProxyUnavailable)

    def test_garbage(self) -> None:
        """An answer that cannot be understood is shown."""
        self.show = "Permission denied\n"
        error = self.failureResultOf(self.reload(), HAProxyUnavailable).value
        self.assertIn("'Permission denied'", str(error))

    def test_until_gives_what_settled_it(self) -> None:
        """The answer that settled it is the result."""
        found: HAProxyProcesses = self.successResultOf(
            Deferred.fromCoroutine(self.master.until(lambda p: p.master == 1, None, str))
        )
        self.assertEqual(found.current, {10})
