"""The sockets, and a reload that is confirmed, in the words of 2.6, 2.8 and 3.4."""

from __future__ import annotations

import re
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from marathonlb.errors import HAProxyUnavailable, ReloadFailed
from marathonlb.haproxy.process.master import RELOAD_TIMEOUT, Master, Processes, Worker, parse_processes
from marathonlb.haproxy.runtime.oneshot import MAX_COMMAND, NO_TARGET, Socket
from tests import shared
from tests.fakes.sockets import FakeSocket
from tests.haproxy.samples import A

ALERT = "[ALERT]    (1) : config : parsing [/etc/haproxy/haproxy.cfg:6] : unknown keyword 'no'\n"


def processes(worker: int, *, reloads: int = 0, failed: int = 0, lived: int = 0, old: int = 0) -> str:
    """The answer to ``show proc``."""
    lines = [
        "#<PID>          <type>          <reloads>       <uptime>        <version>      ",
        f"1               master          {reloads} [failed: {failed}]   0d00h00m08s     2.8.25-5cf5d0683",
        "# workers",
        f"{worker}            worker          {lived}               0d00h00m08s     2.8.25-5cf5d0683",
    ]
    if old:
        lines += ["# old workers", f"{old}            worker          1               0d00h01m08s     2.8.25"]
    return "\n".join([*lines, "# programs", "", ""])


class SocketTests(SynchronousTestCase):
    """One command, the whole answer."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.answers: dict[str, str | None] = {"show version": "2.8.25\n\n"}
        self.fake = FakeSocket(self.answers.get)
        self.socket = Socket(self.fake, self.clock, "/run/stats.sock")

    def test_answer(self) -> None:
        """The answer comes without the newlines at its end."""
        self.assertEqual(self.successResultOf(self.socket.ask("show version")), "2.8.25")
        self.assertEqual(self.fake.said, ["show version\n"])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_master_is_told_to_quit(self) -> None:
        """The master waits for more commands, so it is told that there are none."""
        self.successResultOf(Socket(self.fake, self.clock, "m", master=True).ask("show version"))
        self.assertEqual(self.fake.said, ["show version\nquit\n"])

    def test_pieces(self) -> None:
        """An answer that comes in pieces, split within a character too, is put together."""
        asking = self.socket.ask("show map")
        assert self.fake.last is not None
        for piece in ("0x1 ä".encode()[:5], "0x1 ä".encode()[5:], b" b\n\n"):
            self.fake.last.protocol.dataReceived(piece)
        self.assertNoResult(asking)
        self.fake.last.hang_up()
        self.assertEqual(self.successResultOf(asking), "0x1 ä b")

    def test_no_such_worker(self) -> None:
        """2.8 keeps the connection after it found no worker; the answer is taken all the same."""
        asking = self.socket.ask("@99 show version")
        assert self.fake.last is not None
        self.fake.last.say(f"{NO_TARGET} PID matching the prefix '@99'\n")
        self.assertEqual(self.successResultOf(asking), "Can't find the target PID matching the prefix '@99'")

    def test_silence(self) -> None:
        """Silence is an error after the time that was given, which says whose it was."""
        asking = self.socket.ask("show map", timeout=3)
        self.clock.advance(3)
        error = self.failureResultOf(asking, HAProxyUnavailable).value
        self.assertEqual(str(error), "/run/stats.sock: HAProxy does not answer within 3 s")

    def test_nobody(self) -> None:
        """Where nobody listens the error says so."""
        self.fake.listening = False
        error = self.failureResultOf(self.socket.ask("show map"), HAProxyUnavailable).value
        self.assertIn("/run/stats.sock: HAProxy cannot be asked", str(error))

    def test_too_long(self) -> None:
        """A command that HAProxy would swallow is never sent."""
        self.assertRaises(ValueError, self.socket.ask, "x" * MAX_COMMAND)
        self.assertEqual(self.fake.said, [])


class ProcessesTests(SynchronousTestCase):
    """``show proc``."""

    def test_old_workers(self) -> None:
        """Workers that only finish what they hold are told apart."""
        found = parse_processes(processes(30, reloads=2, failed=1, old=20))
        assert found is not None
        self.assertEqual((found.reloads, found.failed, found.current), (2, 1, {30}))
        self.assertEqual(found.workers[1], Worker(pid=20, reloads=1, old=True))

    def test_recorded(self) -> None:
        """The answers of real masters are understood, before and after a reload."""
        if reason := shared.absent("haproxy", "sockets"):
            self.skipTest(reason)
        for version in ("2.6", "2.8", "3.4"):
            text = shared.data("haproxy", "sockets", f"master.{version}.txt").read_text()
            answers = re.findall(r"> show proc\n(.*?)(?=\n> |\Z)", text, re.DOTALL)
            before, after = (parse_processes(answer) for answer in answers)
            assert before is not None and after is not None
            self.assertEqual((before.reloads, before.failed, len(before.current)), (0, 0, 1))
            self.assertEqual((after.reloads, after.failed, len(after.current)), (1, 0, 1))
            self.assertEqual(before.master, after.master)
            self.assertNotEqual(before.current, after.current)

    def test_another_answer(self) -> None:
        """What is no such answer is none."""
        self.assertIsNone(parse_processes("Unknown command"))


class ReloadTests(SynchronousTestCase):
    """A reload is confirmed by a worker that was not there before."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.alive = True
        self.show = processes(10)
        self.after = processes(11, reloads=1)
        self.reloaded: str | None = ""
        self.fake = FakeSocket(self.answer)
        socket = Socket(self.fake, self.clock, "/run/master.sock", master=True)
        self.master = Master(socket, self.clock, lambda: self.alive)

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
        found: Processes = self.successResultOf(
            Deferred.fromCoroutine(self.master.until(lambda p: p.master == 1, None, str))
        )
        self.assertEqual(found.current, {10})
