"""What is done behind the steps, out of turn, and by the controller that comes after a crash."""

from __future__ import annotations

import errno
import os
import shutil

from twisted.internet.defer import Deferred
from twisted.logger import (
    FilteringLogObserver,
    LogLevel,
    LogLevelFilterPredicate,
    formatEvent,
    globalLogPublisher,
)

from marathonlb.config.text.model import Config
from marathonlb.errors import PublishFailed
from marathonlb.haproxy.applier import Applier
from marathonlb.haproxy.background import DELETE_INTERVAL, RETRY_DELAY, WRITE_DELAY
from marathonlb.haproxy.files.state_directory import StateDirectory
from marathonlb.haproxy.outcome import action_word, changes_of, explanation
from marathonlb.haproxy.reload_reason import ReasonKind, ReloadReason
from marathonlb.haproxy.rollback.archive import Archive
from tests.fakes.disks import Crash, FailingDisk, crashing, refusing
from tests.haproxy.dynamic.steered import S, SteeredCase, SteeredHouse, shops
from tests.haproxy.samples import backend, config


class FileTests(SteeredCase):
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
            self.house.clock.advance(WRITE_DELAY / 5)
            self.assertTrue(self.house.holds(first))
        self.house.clock.advance(WRITE_DELAY)
        self.assertTrue(self.house.holds(shops(S[5])))
        self.assertLess(2 * WRITE_DELAY, 1.1)
        self.assertEqual(self.reloads(), 1)

    def test_stop_and_flush(self) -> None:
        """What is behind is written when it is asked for, and when the service stops."""
        self.serve()
        self.begin(S[1])
        self.apply(shops(S[2]))
        self.successResultOf(self.applier.flush())
        self.assertTrue(self.house.holds(shops(S[2])))
        self.apply(shops(S[3]))
        self.successResultOf(self.applier.service.stopService())
        self.assertTrue(self.house.holds(shops(S[3])))
        self.assertEqual(self.house.clock.getDelayedCalls(), [])

    def test_reload_is_not_undone(self) -> None:
        """What was behind when a reload came is not written over it."""
        self.serve()
        self.begin(S[1])
        self.apply(shops(S[2]))
        wanted = shops(f"{S[2]} maxconn 5")
        self.assertEqual(action_word(self.apply(wanted)), "reload")
        self.house.clock.advance(2 * WRITE_DELAY)
        self.assertTrue(self.house.holds(wanted))

    def test_unconfirmed_reload(self) -> None:
        """A reload of which nobody knows how it ended keeps its file, though the steps before were not written yet."""
        self.serve()
        self.begin(S[1])
        self.apply(shops(S[2]))
        self.reloader.held = Deferred()
        waiting = self.applier.apply(shops(f"{S[2]} maxconn 5"))
        self.house.clock.advance(2 * WRITE_DELAY)
        waiting.cancel()
        self.failureResultOf(waiting)
        self.house.clock.advance(2 * WRITE_DELAY)
        self.assertTrue(self.house.holds(shops(f"{S[2]} maxconn 5")))

    def test_disk_full(self) -> None:
        """A writing that fails is said, with what to do, and tried again; HAProxy is led on meanwhile."""
        said: list[str] = []
        observer = FilteringLogObserver(
            lambda event: said.append(formatEvent(event)),
            [LogLevelFilterPredicate(LogLevel.error)],
        )
        globalLogPublisher.addObserver(observer)
        self.addCleanup(globalLogPublisher.removeObserver, observer)
        before = self.house.controller(FailingDisk())
        self.apply(shops(S[1]), before)
        disk = refusing(0, errno.ENOSPC, "No space left on device")
        self.serve(self.house.controller(disk))
        self.apply(shops(S[1]))
        self.assertEqual(disk.done, [])
        self.assertEqual(action_word(self.apply(shops(S[2]))), "steps")
        self.house.clock.advance(WRITE_DELAY)
        self.assertTrue(self.house.holds(shops(S[1])))
        (words,) = said
        self.assertIn("the file is behind: No space left on device; free some space. It is tried", words)
        self.assertEqual(action_word(self.apply(shops(S[3]))), "steps")
        self.house.clock.advance(RETRY_DELAY)
        self.assertTrue(self.house.holds(shops(S[3])))

    def test_disk_full_without_a_service(self) -> None:
        """A single run whose file cannot follow fails."""
        self.begin(S[1])
        applier = self.house.controller(refusing(1, errno.ENOSPC, "No space left on device"))
        self.failureResultOf(applier.apply(shops(S[2])), PublishFailed, OSError)

    def test_started_anew_before_it_was_written(self) -> None:
        """A worker that was started anew from the older file is led on as soon as that is noticed, unasked."""
        self.serve()
        self.begin(S[1])
        wanted = shops(S[1], S[2])
        self.apply(wanted)
        self.reloader.read()
        self.assertFalse(self.house.serves(wanted))
        self.house.clock.advance(WRITE_DELAY)
        self.assertTrue(self.house.serves(wanted))
        self.assertTrue(self.house.holds(wanted))
        self.assertEqual(self.reloads(), 1)

    def test_started_anew_while_it_was_written(self) -> None:
        """A worker that cannot be asked when the file has followed is asked again later."""
        self.serve()
        self.begin(S[1])
        wanted = shops(S[1], S[2])
        self.apply(wanted)
        self.reloader.read()
        self.worker.up = False
        self.house.clock.advance(WRITE_DELAY)
        self.worker.up = True
        self.assertFalse(self.house.serves(wanted))
        self.house.clock.advance(RETRY_DELAY)
        self.assertTrue(self.house.serves(wanted))
        self.house.clock.advance(10 * RETRY_DELAY)
        self.assertEqual(self.reloads(), 1)


class HistoryTests(SteeredCase):
    """The archive follows every change of more than tasks, whatever led HAProxy there."""

    one, other = "server 10_0_0_1_80 10.0.0.1:80", "server 10_0_0_2_80 10.0.0.2:80"

    def setUp(self) -> None:
        super().setUp()
        self.applier.service.startService()
        self.addCleanup(self.applier.service.stopService)

    def kept(self, *shop: str, **more: dict[str, str]) -> list[str]:
        """The reasons in the archive after a change."""
        self.apply(shops(*shop, **more))
        self.house.clock.advance(2 * WRITE_DELAY)
        archive = Archive(StateDirectory(os.path.join(self.house.directory, "state")), 9)
        return [each.reason for each in archive.list()]

    def test_steps(self) -> None:
        """Steps that change a map are a version, steps that move tasks are none."""
        first = ["there was no configuration"]
        self.assertEqual(self.kept(self.one), first)
        self.assertEqual(self.kept(self.other), first)
        self.assertEqual(self.kept(self.other, self.one), first)
        routed = [*first, "map domain2backend.map differs"]
        self.assertEqual(self.kept(self.other, self.one, maps={"b": "shop"}), routed)
        self.assertEqual(self.kept(self.one, maps={"b": "shop"}), routed)
        self.assertEqual(self.reloads(), 1)

    def test_reloads(self) -> None:
        """So are reloads: one that moves tasks is no version, one that changes their arguments is."""
        self.assertEqual(len(self.kept(self.one)), 1)
        self.applier.distrust(ReloadReason(ReasonKind.REQUESTED, "SIGUSR1"))
        self.assertEqual(len(self.kept(self.other)), 1)
        self.assertEqual(self.reloads(), 2)
        self.assertEqual(len(self.kept(f"{self.other} check inter 3s")), 2)


class GraveTests(SteeredCase):
    """Servers that are to go and are in use."""

    def setUp(self) -> None:
        super().setUp()
        self.applier.service.startService()
        self.addCleanup(self.applier.service.stopService)
        self.begin(S[1], S[2])
        self.worker.server("shop/s2").busy = True
        self.assertEqual(action_word(self.apply(shops(S[1]))), "steps")

    def test_waits(self) -> None:
        """It takes no new request, is out of the text, and is deleted when nobody uses it any more."""
        self.assertEqual(self.worker.server("shop/s2").admin, 1)
        self.house.clock.advance(DELETE_INTERVAL)
        self.assertIn("s2", self.worker.backends["shop"])
        self.assertTrue(self.house.holds(shops(S[1])))
        self.worker.server("shop/s2").busy = False
        self.house.clock.advance(DELETE_INTERVAL)
        self.assertNotIn("s2", self.worker.backends["shop"])
        self.worker.commands()
        self.house.clock.advance(DELETE_INTERVAL)
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
        self.assertTrue(self.house.serves(shops(S[1], S[2])))
        self.worker.server("shop/s2").busy = False
        self.house.clock.advance(DELETE_INTERVAL)
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
        self.house.clock.advance(DELETE_INTERVAL)
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


class DrainTests(SteeredCase):
    """Servers that are drained out of turn."""

    def setUp(self) -> None:
        super().setUp()
        self.begin(S[1], S[2])
        self.house.clock.advance(100)

    def drain(self, *targets: tuple[str, str]) -> None:
        self.successResultOf(self.applier.drain(targets))

    def test_at_once(self) -> None:
        """They take no new request at once; those that are not there are left out."""
        self.drain(("shop", "s1"), ("shop", "nobody"), ("nowhere", "s1"))
        self.assertEqual(self.worker.commands(), ["set server shop/s1 state drain"])
        self.drain(("shop", "s1"))
        self.assertEqual(self.worker.commands(), [])

    def test_last(self) -> None:
        """The last one that takes requests is left alone: while it ends it may still answer."""
        self.drain(("shop", "s2"), ("shop", "s1"))
        self.assertEqual(self.worker.commands(), ["set server shop/s2 state drain"])
        self.assertEqual(explanation(self.apply(shops(S[3]), as_of=101.0)), "1 server added, 2 removed")

    def test_confirmed(self) -> None:
        """The next configuration confirms it: the server goes."""
        self.drain(("shop", "s1"))
        self.worker.commands()
        self.assertEqual(explanation(self.apply(shops(S[2]), as_of=101.0)), "1 server removed")

    def test_undone(self) -> None:
        """The next configuration undoes it where the server is still wanted, though the text is the same."""
        self.drain(("shop", "s1"))
        self.worker.commands()
        self.assertEqual(explanation(self.apply(shops(S[1], S[2]), as_of=101.0)), "1 server put back")
        self.assertEqual(self.worker.commands(), ["set server shop/s1 state ready"])
        self.assertEqual(action_word(self.apply(shops(S[1], S[2]))), "nothing")

    def test_older_knowledge(self) -> None:
        """A configuration that was asked for before the drain does not undo it, and other steps go on."""
        self.drain(("shop", "s1"))
        self.worker.commands()
        self.assertEqual(action_word(self.apply(shops(S[1], S[2]), as_of=99.0)), "nothing")
        self.assertEqual(self.worker.commands(), [])
        self.assertEqual(explanation(self.apply(shops(S[1], S[2], S[3]), as_of=99.0)), "1 server added")
        self.assertEqual(self.worker.server("shop/s1").admin, 8)
        self.assertEqual(explanation(self.apply(shops(S[1], S[2], S[3]), as_of=101.0)), "1 server put back")

    def test_over_a_reload(self) -> None:
        """A reload for older knowledge keeps it drained."""
        self.drain(("shop", "s1"))
        self.assertEqual(
            action_word(self.apply(shops(S[1], S[2], f"{S[3]} track x/y"), as_of=99.0)), "reload"
        )
        self.assertEqual(self.worker.server("shop/s1").admin, 8)
        self.assertEqual(
            explanation(self.apply(shops(S[1], S[2], f"{S[3]} track x/y"), as_of=101.0)), "1 server put back"
        )

    def test_before_anything_is_known(self) -> None:
        """A controller that has not found out yet what runs leaves it be."""
        self.successResultOf(self.house.controller().drain([("shop", "s1")]))
        self.assertEqual(self.worker.commands(), [])

    def test_cannot_be_asked(self) -> None:
        """Where HAProxy cannot be asked it does not fail, and the next configuration makes it right."""
        self.worker.up = False
        self.drain(("shop", "s1"))
        self.worker.up = True
        self.assertEqual(action_word(self.apply(shops(S[2]), as_of=101.0)), "steps")
        self.assertTrue(self.house.serves(shops(S[2])))

    def test_with_weight_0(self) -> None:
        """Where the text drains it, too, and takes that back later, it serves again."""
        self.drain(("shop", "s1"))
        self.apply(shops(f"{S[1]} weight 0", S[2]), as_of=101.0)
        self.assertEqual(self.worker.server("shop/s1").admin, 8)
        self.apply(shops(S[1], S[2]), as_of=102.0)
        self.assertTrue(self.house.serves(shops(S[1], S[2])))


class OddBackendTests(SteeredCase):
    """A backend whose servers are more than its server lines say."""

    def setUp(self) -> None:
        super().setUp()
        self.odd = shops("default-server weight 7", "server-template w 2 10.9.9.9:80", S[1])
        self.apply(self.odd)
        self.worker.server("shop/s1").weight = 7
        self.successResultOf(self.worker.say(["add server shop/w1 10.9.9.9:80", "enable server shop/w1"]))
        self.worker.commands()

    def test_adopted(self) -> None:
        """It is adopted as it is."""
        self.assertEqual(action_word(self.apply(self.odd, self.house.controller())), "nothing")
        self.assertEqual(self.worker.commands(), [])

    def test_drained(self) -> None:
        """Its servers are drained and put back without a reload."""
        more = shops("default-server weight 7", "server-template w 2 10.9.9.9:80", S[1], S[2])
        self.apply(more)
        self.worker.server("shop/s2").weight = 7
        self.worker.commands()
        self.successResultOf(self.applier.drain([("shop", "s1")]))
        self.assertEqual(explanation(self.apply(more)), "1 server put back")
        self.assertEqual(
            self.worker.commands(), ["set server shop/s1 state drain", "set server shop/s1 state ready"]
        )


class AdoptionTests(SteeredCase):
    """The next controller."""

    def setUp(self) -> None:
        super().setUp()
        self.begin(S[1], S[2])

    def test_difference(self) -> None:
        """What has changed while there was no controller is made up for by steps."""
        wanted = shops(S[1], S[3], maps={"a": "shop", "b": "cart"})
        outcome = self.apply(wanted, self.house.controller())
        self.assertEqual(
            (action_word(outcome), explanation(outcome)),
            ("steps", "1 server added, 1 removed, domain2backend.map changed"),
        )
        self.assertTrue(self.house.serves(wanted) and self.house.holds(wanted))
        self.assertEqual(self.reloads(), 1)

    def test_more_than_steps(self) -> None:
        """What takes a reload is one reload, without steps before it, and says what differs."""
        wanted = config(*shops(S[1], S[3]).sections[2:], backend("new", S[5]), a="shop")
        outcome = self.apply(wanted, self.house.controller())
        self.assertEqual(
            (action_word(outcome), explanation(outcome)),
            ("reload", "adopted with differences: backend new is new"),
        )
        self.assertEqual(self.worker.commands(), [])

    def test_behind_the_file(self) -> None:
        """A server that the file does not have is made anew by its wanted line; a map is put right."""
        for what in ("serves", "does not"):
            wanted = shops(S[1], S[2], S[3], maps={"a": "cart"})
            self.successResultOf(self.worker.say(["add server shop/s3 10.0.0.3:80", "enable server shop/s3"]))
            next(iter(self.worker.maps.values())).versions[0][:] = [("a", "cart")]
            self.worker.commands()
            self.assertEqual(action_word(self.apply(wanted, self.house.controller())), "steps")
            self.assertIn("del server shop/s3", self.worker.commands(), what)
            self.assertTrue(self.house.serves(wanted) and self.house.holds(wanted))
            self.apply(shops(S[1], S[2]), self.house.controller())
        self.assertEqual(self.reloads(), 1)

    def test_unexplained(self) -> None:
        """A server that nobody knows and that is in use, in the place of one that is wanted, takes a reload."""
        self.successResultOf(self.worker.say(["add server shop/s3 10.0.0.3:80", "enable server shop/s3"]))
        self.worker.server("shop/s3").busy = True
        outcome = self.apply(shops(S[1], S[2], S[3]), self.house.controller())
        self.assertEqual(action_word(outcome), "reload")
        self.assertTrue(
            explanation(outcome).startswith("adopted with differences: HAProxy refuses"), explanation(outcome)
        )

    def test_drained_by_the_one_before(self) -> None:
        """What the controller before drained out of turn is put back where it is wanted."""
        self.successResultOf(self.applier.drain([("shop", "s1")]))
        self.assertEqual(
            explanation(self.apply(shops(S[1], S[2]), self.house.controller())), "1 server put back"
        )

    def test_grave_of_the_one_before(self) -> None:
        """A server that the controller before wanted to go is deleted by the next one."""
        self.worker.server("shop/s2").busy = True
        self.apply(shops(S[1]))
        self.worker.server("shop/s2").busy = False
        applier = self.house.controller()
        applier.service.startService()
        self.addCleanup(applier.service.stopService)
        self.assertEqual(action_word(self.apply(shops(S[1]), applier)), "nothing")
        self.house.clock.advance(DELETE_INTERVAL)
        self.assertEqual(list(self.worker.backends["shop"]), ["s1"])

    def test_nobody_answers(self) -> None:
        """Where the worker cannot be asked the file is believed; a difference takes a reload."""
        self.worker.up = False
        applier = self.house.controller()
        self.assertEqual(action_word(self.apply(shops(S[1], S[2]), applier)), "nothing")
        outcome = self.apply(shops(S[1]), self.house.controller())
        self.assertEqual(explanation(outcome), "adopted with differences: backend shop differs")

    def test_asked_again(self) -> None:
        """A worker that could not be asked at first is led by steps once it can be."""
        self.worker.up = False
        applier = self.house.controller()
        self.apply(shops(S[1], S[2]), applier)
        self.worker.up = True
        self.assertEqual(action_word(self.apply(shops(S[1]), applier)), "steps")


class CrashTests(SteeredCase):
    """A crash at any operation of the disk while the file follows."""

    def follow(self, house: SteeredHouse, applier: Applier, wanted: Config) -> None:
        """Steps to a configuration, the file behind them."""
        applier.apply(wanted).addErrback(lambda failure: failure.trap(Crash))
        self.assertTrue(house.serves(wanted))

    def test_every_operation(self) -> None:
        """Whatever the instant, the files are whole, and the next controller adopts without a reload."""
        house, disk = SteeredHouse(self.mktemp()), FailingDisk()
        before = shops(S[1], S[2])
        after = shops(S[1], f"{S[3]} weight 5", maps={"a": "cart", "b": "shop"})
        self.apply(before, house.controller())
        self.follow(house, house.controller(disk), after)
        self.assertGreater(len(disk.done), 12)
        for at in range(len(disk.done)):
            for wanted in (before, after):
                house = self.house = SteeredHouse(self.mktemp())
                copy = os.path.abspath(self.mktemp())
                self.apply(before, house.controller())
                self.follow(house, house.controller(crashing(at, house.directory, copy, partly=True)), after)
                shutil.rmtree(house.directory)
                os.rename(copy, house.directory)
                applier = house.controller()
                self.successResultOf(applier.recover())
                where = f"at {at}, {disk.done[at]}"
                self.assertTrue(house.holds(before) or house.holds(after), where)
                self.assertIn(action_word(self.apply(wanted, applier)), ("steps", "nothing"), where)
                self.assertTrue(house.serves(wanted) and house.holds(wanted), where)
                self.assertEqual(len(house.reloader.reloaded), 1, where)
