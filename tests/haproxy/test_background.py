"""The files follow what runs, and drained servers are deleted."""

from __future__ import annotations

import errno

from twisted.internet.defer import Deferred
from twisted.logger import (
    FilteringLogObserver,
    LogLevel,
    LogLevelFilterPredicate,
    formatEvent,
    globalLogPublisher,
)

from marathonlb.errors import PublishFailed
from marathonlb.haproxy.applier import Applier
from marathonlb.haproxy.background import DELETE_INTERVAL, RETRY_DELAY, WRITE_DELAY
from marathonlb.haproxy.outcome import action_word, changes_of, explanation
from tests.fakes.disks import FailingDisk, refusing
from tests.haproxy.installation import InstallationCase, S, shops


class FileTests(InstallationCase):
    """The file follows what runs."""

    def serve(self, applier: Applier | None = None) -> None:
        """Start the applier's service; it is stopped at the end of the test."""
        self.applier = applier or self.applier
        self.applier.service.startService()
        self.addCleanup(lambda: self.applier.service.running and self.applier.service.stopService())

    def test_within_a_second(self) -> None:
        """Many steps are one writing, within a second."""
        self.serve()
        self.begin(S[1])
        first = shops(S[1])
        for number in range(2, 6):
            self.apply(shops(S[number]))
            self.installation.clock.advance(WRITE_DELAY / 5)
            self.assertTrue(self.installation.holds(first))
        self.installation.clock.advance(WRITE_DELAY)
        self.assertTrue(self.installation.holds(shops(S[5])))
        self.assertLess(2 * WRITE_DELAY, 1.1)
        self.assertEqual(self.reloads(), 1)

    def test_stop_and_flush(self) -> None:
        """What is behind is written when it is asked for, and when the service stops."""
        self.serve()
        self.begin(S[1])
        self.apply(shops(S[2]))
        self.successResultOf(self.applier.flush())
        self.assertTrue(self.installation.holds(shops(S[2])))
        self.apply(shops(S[3]))
        self.successResultOf(self.applier.service.stopService())
        self.assertTrue(self.installation.holds(shops(S[3])))
        self.assertEqual(self.installation.clock.getDelayedCalls(), [])

    def test_reload_is_not_undone(self) -> None:
        """What was behind when a reload came is not written over it."""
        self.serve()
        self.begin(S[1])
        self.apply(shops(S[2]))
        wanted = shops(f"{S[2]} maxconn 5")
        self.assertEqual(action_word(self.apply(wanted)), "reload")
        self.installation.clock.advance(2 * WRITE_DELAY)
        self.assertTrue(self.installation.holds(wanted))

    def test_unconfirmed_reload(self) -> None:
        """A reload with an unknown result keeps its file, though the steps before were not written yet."""
        self.serve()
        self.begin(S[1])
        self.apply(shops(S[2]))
        self.reloader.held = Deferred()
        waiting = self.applier.apply(shops(f"{S[2]} maxconn 5"))
        self.installation.clock.advance(2 * WRITE_DELAY)
        waiting.cancel()
        self.failureResultOf(waiting)
        self.installation.clock.advance(2 * WRITE_DELAY)
        self.assertTrue(self.installation.holds(shops(f"{S[2]} maxconn 5")))

    def test_disk_full(self) -> None:
        """A write that fails is logged with what to do and tried again; HAProxy is updated meanwhile."""
        said: list[str] = []
        observer = FilteringLogObserver(
            lambda event: said.append(formatEvent(event)),
            [LogLevelFilterPredicate(LogLevel.error)],
        )
        globalLogPublisher.addObserver(observer)
        self.addCleanup(globalLogPublisher.removeObserver, observer)
        before = self.installation.controller(FailingDisk())
        self.apply(shops(S[1]), before)
        disk = refusing(0, errno.ENOSPC, "No space left on device")
        self.serve(self.installation.controller(disk))
        self.apply(shops(S[1]))
        self.assertEqual(disk.done, [])
        self.assertEqual(action_word(self.apply(shops(S[2]))), "steps")
        self.installation.clock.advance(WRITE_DELAY)
        self.assertTrue(self.installation.holds(shops(S[1])))
        (words,) = said
        self.assertIn("the file is behind: No space left on device; free some space. It is tried", words)
        self.assertEqual(action_word(self.apply(shops(S[3]))), "steps")
        self.installation.clock.advance(RETRY_DELAY)
        self.assertTrue(self.installation.holds(shops(S[3])))

    def test_disk_full_without_a_service(self) -> None:
        """A single run whose file cannot follow fails."""
        self.begin(S[1])
        applier = self.installation.controller(refusing(1, errno.ENOSPC, "No space left on device"))
        self.failureResultOf(applier.apply(shops(S[2])), PublishFailed, OSError)

    def test_restarted_before_it_was_written(self) -> None:
        """A worker that restarted from the older file is updated as soon as that is noticed, without a new request."""
        self.serve()
        self.begin(S[1])
        wanted = shops(S[1], S[2])
        self.apply(wanted)
        self.reloader.read()
        self.assertFalse(self.installation.serves(wanted))
        self.installation.clock.advance(WRITE_DELAY)
        self.assertTrue(self.installation.serves(wanted))
        self.assertTrue(self.installation.holds(wanted))
        self.assertEqual(self.reloads(), 1)

    def test_restarted_while_it_was_written(self) -> None:
        """A worker that cannot be asked when the file has followed is asked again later."""
        self.serve()
        self.begin(S[1])
        wanted = shops(S[1], S[2])
        self.apply(wanted)
        self.reloader.read()
        self.worker.up = False
        self.installation.clock.advance(WRITE_DELAY)
        self.worker.up = True
        self.assertFalse(self.installation.serves(wanted))
        self.installation.clock.advance(RETRY_DELAY)
        self.assertTrue(self.installation.serves(wanted))
        self.installation.clock.advance(10 * RETRY_DELAY)
        self.assertEqual(self.reloads(), 1)


class DrainedServerTests(InstallationCase):
    """Servers that are to go and are in use."""

    def setUp(self) -> None:
        super().setUp()
        self.applier.service.startService()
        self.addCleanup(self.applier.service.stopService)
        self.begin(S[1], S[2])
        self.worker.server("shop/s2").busy = True
        self.assertEqual(action_word(self.apply(shops(S[1]))), "steps")

    def test_waits(self) -> None:
        """It takes no new request, is out of the text, and is deleted when it is not in use any more."""
        self.assertEqual(self.worker.server("shop/s2").admin, 1)
        self.installation.clock.advance(DELETE_INTERVAL)
        self.assertIn("s2", self.worker.backends["shop"])
        self.assertTrue(self.installation.holds(shops(S[1])))
        self.worker.server("shop/s2").busy = False
        self.installation.clock.advance(DELETE_INTERVAL)
        self.assertNotIn("s2", self.worker.backends["shop"])
        self.worker.commands()
        self.installation.clock.advance(DELETE_INTERVAL)
        self.assertEqual(self.worker.commands(), [])
        self.assertEqual(self.reloads(), 1)

    def test_does_not_disturb(self) -> None:
        """Other steps of its backend go on, and leave it."""
        outcome = self.apply(shops(S[1], S[3]))
        self.assertEqual((action_word(outcome), dict(changes_of(outcome).counts)), ("steps", {"added": 1}))
        self.assertEqual(self.worker.server("shop/s2").admin, 1)

    def test_wanted_again(self) -> None:
        """One that is wanted again is put back, connections and all."""
        outcome = self.apply(shops(S[1], S[2]))
        self.assertEqual((action_word(outcome), explanation(outcome)), ("steps", "1 server put back"))
        self.assertTrue(self.installation.serves(shops(S[1], S[2])))
        self.worker.server("shop/s2").busy = False
        self.installation.clock.advance(DELETE_INTERVAL)
        self.assertIn("s2", self.worker.backends["shop"])

    def test_wanted_again_otherwise(self) -> None:
        """One that is wanted again with other arguments while it is in use takes a reload, and serves until then."""
        outcome = self.apply(shops(S[1], f"{S[2]} maxconn 5"), may_reload=False)
        self.assertEqual(action_word(outcome), "postponed")
        self.assertEqual(
            explanation(outcome),
            "HAProxy refuses 'del server shop/s2': Server still has connections attached to it, cannot remove it.",
        )
        self.assertEqual(action_word(self.apply(shops(S[1], f"{S[2]} maxconn 5"))), "reload")

    def test_reload(self) -> None:
        """A reload forgets it: the old worker ends what it holds."""
        self.apply(shops(S[1], S[3], f"{S[4]} track x/y"))
        self.worker.commands()
        self.installation.clock.advance(DELETE_INTERVAL)
        self.assertEqual(self.worker.commands(), [])

    def test_in_use_and_changed(self) -> None:
        """A server that is in use and changes its arguments goes on serving, and the change takes a reload."""
        self.worker.server("shop/s1").busy = True
        self.apply(shops(S[1], S[3]))
        self.worker.commands()
        outcome = self.apply(shops(f"{S[1]} maxconn 5", S[3]), may_reload=False)
        self.assertEqual(action_word(outcome), "postponed")
        self.assertEqual(self.worker.server("shop/s1").admin, 0)
        self.assertEqual(self.worker.commands()[-1], "enable server shop/s1")
