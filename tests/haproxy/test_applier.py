"""The applier: what is confirmed, what is put back, and what a crash leaves to the next controller."""

from __future__ import annotations

import errno
import os
import shutil
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase, TestCase

from marathonlb.config.text.model import Config
from marathonlb.errors import HAProxyUnavailable, InvalidConfiguration, PublishFailed, ReloadFailed
from marathonlb.haproxy.applier import Applier
from marathonlb.haproxy.config_store import ConfigStore
from marathonlb.haproxy.dynamic.updater import RuntimeUpdater
from marathonlb.haproxy.files.disk import Disk
from marathonlb.haproxy.files.publish import Files
from marathonlb.haproxy.files.state_directory import StateDirectory
from marathonlb.haproxy.outcome import Outcome, action_word, explanation
from marathonlb.haproxy.process.port_check import Bind
from marathonlb.haproxy.rollback.archive import Archive
from marathonlb.haproxy.runtime.interfaces import IRuntimeConnection
from tests.fakes.disks import Crash, FailingDisk, crashing, refusing
from tests.fakes.haproxy import FakeApplier, FakeChecker, FakeReloader
from tests.haproxy.contracts import ApplierContract, ReloaderContract
from tests.haproxy.samples import BAD, A, B, config, frontend


async def no_runtime_api(config: Config) -> IRuntimeConnection:
    raise HAProxyUnavailable(reason="there is no stats socket")


class House:
    """A directory, and the controllers that come and go in it."""

    def __init__(self, directory: str) -> None:
        self.directory = directory
        self.path = os.path.join(directory, "haproxy.cfg")
        os.makedirs(directory, exist_ok=True)
        self.clock = Clock()
        self.checker, self.reloader = FakeChecker(), FakeReloader()
        self.taken: set[Bind] = set()

    def controller(self, disk: Disk | None = None) -> Applier:
        """One that begins."""
        state = StateDirectory(os.path.join(self.directory, "state"), disk=disk)
        return Applier(
            store=ConfigStore(Files(self.path, disk), state, Archive(state, 3), self.clock),
            checker=self.checker,
            reloader=self.reloader,
            updater=RuntimeUpdater(no_runtime_api, self.directory, self.clock),
            clock=self.clock,
            probe=lambda bind: "Address already in use" if bind in self.taken else None,
        )

    def text(self) -> str:
        with open(self.path, encoding="utf-8") as file:
            return file.read()

    def holds(self, config: Config) -> bool:
        return self.text() == config.text(os.path.abspath(self.directory))


class FakeApplierTests(ApplierContract, TestCase):
    """The fake that the reconciler's tests use."""

    def setUp(self) -> None:
        self.applier, self.port = FakeApplier(), 80


class ApplierTests(ApplierContract, TestCase):
    """The real one, over a fake HAProxy."""

    def setUp(self) -> None:
        self.house = House(self.mktemp())
        self.applier, self.port = self.house.controller(), 80


class FakeReloaderTests(ReloaderContract, TestCase):
    """The fake HAProxy."""

    def setUp(self) -> None:
        self.reloader, self.port = FakeReloader(), 80


class ApplyCase(SynchronousTestCase):
    """A house with one controller."""

    def setUp(self) -> None:
        self.house = House(self.mktemp())
        self.reloader, self.checker = self.house.reloader, self.house.checker
        self.applier = self.house.controller()

    def apply(self, wanted: Config, applier: Applier | None = None) -> Outcome:
        return self.successResultOf((applier or self.applier).apply(wanted))

    def refused(self, wanted: Config, kind: type[Exception], applier: Applier | None = None) -> Any:
        return self.failureResultOf((applier or self.applier).apply(wanted), kind).value


class ConfirmationTests(ApplyCase):
    """`running` is what was confirmed."""

    def test_running_changes_last(self) -> None:
        """It does not change before HAProxy confirmed."""
        self.apply(A)
        self.reloader.held = Deferred()
        waiting = self.applier.apply(B)
        self.assertIs(self.applier.running, A)
        self.reloader.held.callback(None)
        self.successResultOf(waiting)
        self.assertIs(self.applier.running, B)

    def test_checks_what_will_run(self) -> None:
        """The check reads the staged text, which is the published one but for its place."""
        self.apply(A)
        path, text = self.checker.checked[0]
        staged = os.path.dirname(path)
        self.assertEqual(text.replace(staged, os.path.abspath(self.house.directory)), self.house.text())
        self.assertFalse(os.path.exists(staged))

    def test_seconds(self) -> None:
        """Each stage says how long it took."""
        self.reloader.held = Deferred()
        waiting = self.applier.apply(A)
        self.house.clock.advance(2)
        self.reloader.held.callback(None)
        self.assertEqual(self.successResultOf(waiting).seconds, {"check": 0, "publish": 0, "reload": 2})

    def test_warnings(self) -> None:
        """HAProxy's warnings come with the outcome."""
        self.checker.warnings = "missing timeouts"
        self.assertEqual(self.apply(A).output, "missing timeouts")

    def test_refused_touches_nothing(self) -> None:
        """A configuration that the check refuses is not published and leaves nothing behind."""
        self.apply(A)
        self.refused(BAD, InvalidConfiguration)
        self.assertTrue(self.house.holds(A))
        self.assertEqual(len(self.reloader.reloaded), 1)
        self.assertEqual(
            sorted(os.listdir(self.house.directory)), ["domain2backend.map", "haproxy.cfg", "state"]
        )

    def test_written(self) -> None:
        """Where nobody runs HAProxy the file is written, said so, and not written again."""
        self.reloader.found = False
        self.assertEqual(action_word(self.apply(A)), "written")
        self.assertEqual(action_word(self.apply(A)), "nothing")

    def test_down(self) -> None:
        """A HAProxy of ours that does not run is started, though nothing differs."""
        self.apply(A)
        self.reloader.up = False
        outcome = self.apply(A)
        self.assertEqual((action_word(outcome), explanation(outcome)), ("reload", "HAProxy does not run"))

    def test_cancelled(self) -> None:
        """An application that is cancelled in its reload is not confirmed; the next one reloads."""
        self.apply(A)
        self.reloader.held = Deferred()
        waiting = self.applier.apply(B)
        waiting.cancel()
        self.failureResultOf(waiting, CancelledError)
        self.assertIs(self.applier.running, A)
        self.reloader.held = None
        outcome = self.apply(A)
        self.assertEqual(
            (action_word(outcome), explanation(outcome)), ("reload", "the last reload was not confirmed")
        )
        self.assertTrue(self.house.holds(A))


class FailedReloadTests(ApplyCase):
    """A reload that fails is tried again, and what HAProxy runs lies on disk."""

    def test_refused_is_put_back(self) -> None:
        """Where HAProxy surely refused, the files before are put back, and they need no reload."""
        self.apply(A)
        self.reloader.failures = [ReloadFailed(reason="cannot bind", refused=True)]
        self.refused(B, ReloadFailed)
        self.assertTrue(self.house.holds(A))
        self.assertIs(self.applier.running, A)
        self.assertEqual(action_word(self.apply(A)), "nothing")
        self.assertEqual(action_word(self.apply(A, self.house.controller())), "nothing")

    def test_same_text_is_tried_again(self) -> None:
        """The same configuration is loaded again when it is asked for again, whatever kind of failure it was."""
        self.apply(A)
        for refused in (True, False):
            self.reloader.failures = [ReloadFailed(reason="not now", refused=refused)]
            self.refused(B, ReloadFailed)
            self.assertEqual(len(self.reloader.failures), 0)
        self.assertEqual(action_word(self.apply(B)), "reload")
        self.assertTrue(self.house.holds(B))

    def test_uncertain_is_not_put_back(self) -> None:
        """Where HAProxy may run the new one it stays on disk, and going back to the old one is a reload."""
        self.apply(A)
        self.reloader.failures = [ReloadFailed(reason="no answer in time")]
        self.refused(B, ReloadFailed)
        self.assertTrue(self.house.holds(B))
        self.assertEqual(explanation(self.apply(A)), "the last reload was not confirmed")

    def test_uncertain_and_a_new_controller(self) -> None:
        """A new controller does not trust what was not confirmed, though it lies on disk as wanted."""
        self.apply(A)
        self.reloader.failures = [ReloadFailed(reason="no answer in time")]
        self.refused(B, ReloadFailed)
        self.assertEqual(
            explanation(self.apply(B, self.house.controller())), "the last reload was not confirmed"
        )

    def test_there_and_back_uncertain(self) -> None:
        """After two reloads that may or may not have happened, the old confirmation is worth nothing."""
        self.apply(A)
        self.reloader.failures = [ReloadFailed(reason="no answer"), ReloadFailed(reason="no answer")]
        self.refused(B, ReloadFailed)
        self.refused(A, ReloadFailed)
        self.assertEqual(
            explanation(self.apply(A, self.house.controller())), "the last reload was not confirmed"
        )

    def test_put_back_by_a_new_controller(self) -> None:
        """A controller that has only adopted puts back what it found confirmed on disk."""
        self.apply(A)
        adopted = self.house.controller()
        self.reloader.failures = [ReloadFailed(reason="cannot bind", refused=True)]
        self.refused(B, ReloadFailed, adopted)
        self.assertTrue(self.house.holds(A))
        self.assertEqual(action_word(self.apply(A, adopted)), "nothing")

    def test_first_start_fails(self) -> None:
        """Where nothing ran before, what failed stays on disk and is tried again."""
        self.reloader.failures = [ReloadFailed(reason="cannot bind", refused=True)]
        self.refused(A, ReloadFailed)
        self.assertTrue(self.house.holds(A))
        self.assertEqual(action_word(self.apply(A)), "reload")

    def test_port_held_by_another(self) -> None:
        """A new port that another process holds fails before HAProxy is asked; one that HAProxy holds does not."""
        bound = config(frontend("f", "bind 127.0.0.1:10100"))
        self.house.taken = {Bind("127.0.0.1", 10100)}
        self.apply(A)
        error = self.refused(bound, ReloadFailed)
        self.assertEqual(
            str(error),
            "reload failed: line 6: cannot bind socket (Address already in use) for [127.0.0.1:10100]; "
            "end what has that port (`ss -ltnp` names it), or choose another: --bind-http and the like for the shared "
            "frontends, HAPROXY_{n}_PORT for an app",
        )
        self.assertTrue(self.house.holds(A))
        self.assertEqual(len(self.reloader.reloaded), 1)
        self.house.taken = set()
        self.apply(bound)
        self.house.taken = {Bind("127.0.0.1", 10100)}
        self.assertEqual(
            action_word(self.apply(config(frontend("f", "bind 127.0.0.1:10100"), a="b"))), "reload"
        )


class AdoptionTests(ApplyCase):
    """What the next controller makes of what it finds."""

    def test_same(self) -> None:
        """What is confirmed and wanted needs nothing, and is known from then on."""
        self.apply(A)
        adopted = self.house.controller()
        self.assertEqual(action_word(self.apply(A, adopted)), "nothing")
        self.assertIs(adopted.running, A)
        self.assertEqual(len(self.reloader.reloaded), 1)

    def test_differences(self) -> None:
        """What differs is named."""
        self.apply(A)
        self.assertEqual(
            explanation(self.apply(B, self.house.controller())),
            "adopted with differences: backend a differs, backend b is new, map domain2backend.map differs",
        )

    def test_edited_by_hand(self) -> None:
        """A file that somebody edited is replaced."""
        self.apply(A)
        with open(self.house.path, "a", encoding="utf-8") as file:
            file.write("backend handmade\n")
        adopted = self.house.controller()
        self.assertEqual(
            explanation(self.apply(A, adopted)), "adopted with differences: backend handmade is gone"
        )
        self.assertTrue(self.house.holds(A))

    def test_not_ours(self) -> None:
        """A haproxy.cfg that lay there before us is replaced; where HAProxy refuses ours in the check, it stays."""
        with open(self.house.path, "w", encoding="utf-8") as file:
            file.write("global\n  maxconn 100\n")
        self.refused(BAD, InvalidConfiguration)
        self.assertEqual(self.house.text(), "global\n  maxconn 100\n")
        self.assertEqual(
            explanation(self.apply(A)),
            "adopted with differences: frontend main is new, backend a is new, map domain2backend.map is new",
        )


def operations(house: House) -> list[str]:
    """The operations of the disk from a confirmed A to a confirmed B."""
    disk = FailingDisk()
    for wanted, applier in ((A, house.controller()), (B, house.controller(disk))):
        applier.apply(wanted)
    return disk.done


class CrashTests(ApplyCase):
    """A crash at any operation of the disk, from a confirmed configuration to the next."""

    def test_every_operation(self) -> None:
        """Whatever the instant, the files belong together, and nothing that HAProxy did not confirm is believed."""
        done = operations(House(self.mktemp()))
        self.assertGreater(len(done), 15)
        for at in range(len(done)):
            for wanted in (A, B):
                house, copy = House(self.mktemp()), os.path.abspath(self.mktemp())
                self.apply(A, house.controller())
                crashed = house.controller(crashing(at, house.directory, copy, partly=True))
                self.failureResultOf(crashed.apply(B), Crash)
                self.afterwards(house, copy, wanted, f"at {at}, {done[at]}")

    def afterwards(self, house: House, copy: str, wanted: Config, where: str) -> None:
        """The next controller, in the directory as the crash left it."""
        runs = house.reloader.reloaded[-1]
        shutil.rmtree(house.directory)
        os.rename(copy, house.directory)
        after = house.controller()
        self.successResultOf(after.recover())
        self.assertTrue(house.holds(A) or house.holds(B), where)
        if action_word(self.apply(wanted, after)) == "nothing":
            self.assertIs(runs, wanted, where)
        self.assertTrue(house.holds(wanted), where)
        self.assertEqual(action_word(self.apply(wanted, after)), "nothing", where)


class DiskTests(ApplyCase):
    """A disk that refuses."""

    def test_full(self) -> None:
        """Whatever operation a full disk refuses, the application fails or is whole, and the next one succeeds."""
        failed = 0
        for at in range(len(operations(House(self.mktemp())))):
            house = House(self.mktemp())
            self.apply(A, house.controller())
            applier = house.controller(refusing(at, errno.ENOSPC, "No space left on device"))
            result = self.successResultOf(applier.apply(B).addErrback(lambda f: f.trap(PublishFailed)))
            failed += result is PublishFailed
            self.assertIn(action_word(self.apply(B, applier)), ("reload", "nothing"))
            self.assertIs(applier.running, B)
            self.assertTrue(house.holds(B))
        self.assertGreater(failed, 8)

    def test_no_place_for_the_state(self) -> None:
        """A state directory that cannot be made is said before anything is touched."""
        house = House(self.mktemp())
        state = StateDirectory("/proc/nowhere")
        applier = Applier(
            store=ConfigStore(Files(house.path), state, Archive(state, 3), Clock()),
            checker=FakeChecker(),
            reloader=FakeReloader(),
            updater=RuntimeUpdater(no_runtime_api, house.directory, Clock()),
            clock=Clock(),
        )
        error = self.refused(A, PublishFailed, applier)
        self.assertIn("choose another --state-dir", str(error))
        self.assertFalse(os.path.exists(house.path))
