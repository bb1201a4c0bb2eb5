"""A reload: what is confirmed, what is put back, and what a crash leaves to the next controller."""

from __future__ import annotations

import errno
import os
import shutil

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock

from marathonlb.config.text.model import Config
from marathonlb.errors import InvalidConfiguration, PublishFailed, ReloadFailed
from marathonlb.haproxy.applier import Applier
from marathonlb.haproxy.config_store import ConfigStore
from marathonlb.haproxy.dynamic.updater import RuntimeUpdater
from marathonlb.haproxy.files.publish import Files
from marathonlb.haproxy.files.state_directory import StateDirectory
from marathonlb.haproxy.outcome import action_word, explanation
from marathonlb.haproxy.process.port_check import Bind
from marathonlb.haproxy.rollback.archive import Archive
from tests.fakes.disks import Crash, FailingDisk, crashing, refusing
from tests.fakes.haproxy import FakeChecker, FakeReloader
from tests.haproxy.installation import InstallationCase, S, shops
from tests.haproxy.plain_installation import PlainInstallation, PlainInstallationCase, no_runtime_api
from tests.haproxy.samples import BAD, A, B, config, frontend


class ConfirmationTests(PlainInstallationCase):
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
        self.assertEqual(
            text.replace(staged, os.path.abspath(self.installation.directory)), self.installation.text()
        )
        self.assertFalse(os.path.exists(staged))

    def test_seconds(self) -> None:
        """Each stage says how long it took."""
        self.reloader.held = Deferred()
        waiting = self.applier.apply(A)
        self.installation.clock.advance(2)
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
        self.assertTrue(self.installation.holds(A))
        self.assertEqual(len(self.reloader.reloaded), 1)
        self.assertEqual(
            sorted(os.listdir(self.installation.directory)), ["domain2backend.map", "haproxy.cfg", "state"]
        )

    def test_written(self) -> None:
        """Where no HAProxy runs the file is written, said so, and not written again."""
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
        self.assertTrue(self.installation.holds(A))


class FailedReloadTests(PlainInstallationCase):
    """A reload that fails is tried again, and what HAProxy runs lies on disk."""

    def test_refused_is_put_back(self) -> None:
        """Where HAProxy surely refused, the files before are put back, and they need no reload."""
        self.apply(A)
        self.reloader.failures = [ReloadFailed(reason="cannot bind", refused=True)]
        self.refused(B, ReloadFailed)
        self.assertTrue(self.installation.holds(A))
        self.assertIs(self.applier.running, A)
        self.assertEqual(action_word(self.apply(A)), "nothing")
        self.assertEqual(action_word(self.apply(A, self.installation.controller())), "nothing")

    def test_same_text_is_tried_again(self) -> None:
        """The same configuration is loaded again when it is asked for again, whatever kind of failure it was."""
        self.apply(A)
        for refused in (True, False):
            self.reloader.failures = [ReloadFailed(reason="not now", refused=refused)]
            self.refused(B, ReloadFailed)
            self.assertEqual(len(self.reloader.failures), 0)
        self.assertEqual(action_word(self.apply(B)), "reload")
        self.assertTrue(self.installation.holds(B))

    def test_uncertain_is_not_put_back(self) -> None:
        """Where HAProxy may run the new one it stays on disk, and going back to the old one is a reload."""
        self.apply(A)
        self.reloader.failures = [ReloadFailed(reason="no answer in time")]
        self.refused(B, ReloadFailed)
        self.assertTrue(self.installation.holds(B))
        self.assertEqual(explanation(self.apply(A)), "the last reload was not confirmed")

    def test_uncertain_and_a_new_controller(self) -> None:
        """A new controller does not trust what was not confirmed, though it lies on disk as wanted."""
        self.apply(A)
        self.reloader.failures = [ReloadFailed(reason="no answer in time")]
        self.refused(B, ReloadFailed)
        self.assertEqual(
            explanation(self.apply(B, self.installation.controller())), "the last reload was not confirmed"
        )

    def test_there_and_back_uncertain(self) -> None:
        """After two reloads that may or may not have happened, the old confirmation is worth nothing."""
        self.apply(A)
        self.reloader.failures = [ReloadFailed(reason="no answer"), ReloadFailed(reason="no answer")]
        self.refused(B, ReloadFailed)
        self.refused(A, ReloadFailed)
        self.assertEqual(
            explanation(self.apply(A, self.installation.controller())), "the last reload was not confirmed"
        )

    def test_put_back_by_a_new_controller(self) -> None:
        """A controller that has only adopted puts back what it found confirmed on disk."""
        self.apply(A)
        adopted = self.installation.controller()
        self.reloader.failures = [ReloadFailed(reason="cannot bind", refused=True)]
        self.refused(B, ReloadFailed, adopted)
        self.assertTrue(self.installation.holds(A))
        self.assertEqual(action_word(self.apply(A, adopted)), "nothing")

    def test_first_start_fails(self) -> None:
        """Where nothing ran before, what failed stays on disk and is tried again."""
        self.reloader.failures = [ReloadFailed(reason="cannot bind", refused=True)]
        self.refused(A, ReloadFailed)
        self.assertTrue(self.installation.holds(A))
        self.assertEqual(action_word(self.apply(A)), "reload")

    def test_port_held_by_another(self) -> None:
        """A new port that another process holds fails before HAProxy is asked; one that HAProxy holds does not."""
        bound = config(frontend("f", "bind 127.0.0.1:10100"))
        self.installation.taken = {Bind("127.0.0.1", 10100)}
        self.apply(A)
        error = self.refused(bound, ReloadFailed)
        self.assertEqual(
            str(error),
            "reload failed: line 6: cannot bind socket (Address already in use) for [127.0.0.1:10100]; "
            "end what has that port (`ss -ltnp` names it), or choose another: --bind-http and the like for the shared "
            "frontends, HAPROXY_{n}_PORT for an app",
        )
        self.assertTrue(self.installation.holds(A))
        self.assertEqual(len(self.reloader.reloaded), 1)
        self.installation.taken = set()
        self.apply(bound)
        self.installation.taken = {Bind("127.0.0.1", 10100)}
        self.assertEqual(
            action_word(self.apply(config(frontend("f", "bind 127.0.0.1:10100"), a="b"))), "reload"
        )


def operations(installation: PlainInstallation) -> list[str]:
    """The operations of the disk from a confirmed A to a confirmed B."""
    disk = FailingDisk()
    for wanted, applier in ((A, installation.controller()), (B, installation.controller(disk))):
        applier.apply(wanted)
    return disk.done


class CrashTests(PlainInstallationCase):
    """A crash at any operation of the disk, from a confirmed configuration to the next."""

    def test_every_operation(self) -> None:
        """Whatever the instant, the files belong together, and nothing that HAProxy did not confirm is believed."""
        done = operations(PlainInstallation(self.mktemp()))
        self.assertGreater(len(done), 15)
        for at in range(len(done)):
            for wanted in (A, B):
                installation, copy = PlainInstallation(self.mktemp()), os.path.abspath(self.mktemp())
                self.apply(A, installation.controller())
                crashed = installation.controller(crashing(at, installation.directory, copy, partly=True))
                self.failureResultOf(crashed.apply(B), Crash)
                self.afterwards(installation, copy, wanted, f"at {at}, {done[at]}")

    def afterwards(self, installation: PlainInstallation, copy: str, wanted: Config, where: str) -> None:
        """The next controller, in the directory as the crash left it."""
        runs = installation.reloader.reloaded[-1]
        shutil.rmtree(installation.directory)
        os.rename(copy, installation.directory)
        after = installation.controller()
        self.successResultOf(after.recover())
        self.assertTrue(installation.holds(A) or installation.holds(B), where)
        if action_word(self.apply(wanted, after)) == "nothing":
            self.assertIs(runs, wanted, where)
        self.assertTrue(installation.holds(wanted), where)
        self.assertEqual(action_word(self.apply(wanted, after)), "nothing", where)


class DiskTests(PlainInstallationCase):
    """A disk that refuses."""

    def test_full(self) -> None:
        """Whatever operation a full disk refuses, the application fails or is whole, and the next one succeeds."""
        failed = 0
        for at in range(len(operations(PlainInstallation(self.mktemp())))):
            installation = PlainInstallation(self.mktemp())
            self.apply(A, installation.controller())
            applier = installation.controller(refusing(at, errno.ENOSPC, "No space left on device"))
            result = self.successResultOf(applier.apply(B).addErrback(lambda f: f.trap(PublishFailed)))
            failed += result is PublishFailed
            self.assertIn(action_word(self.apply(B, applier)), ("reload", "nothing"))
            self.assertIs(applier.running, B)
            self.assertTrue(installation.holds(B))
        self.assertGreater(failed, 8)

    def test_no_place_for_the_state(self) -> None:
        """A state directory that cannot be made is said before anything is touched."""
        installation = PlainInstallation(self.mktemp())
        state = StateDirectory("/proc/nowhere")
        applier = Applier(
            store=ConfigStore(Files(installation.path), state, Archive(state, 3), Clock()),
            checker=FakeChecker(),
            reloader=FakeReloader(),
            updater=RuntimeUpdater(no_runtime_api, installation.directory, Clock()),
            clock=Clock(),
        )
        error = self.refused(A, PublishFailed, applier)
        self.assertIn("choose another --state-dir", str(error))
        self.assertFalse(os.path.exists(installation.path))


class UpdatesAroundTests(InstallationCase):
    """Runtime updates before, during and after a reload."""

    def test_waits_for_a_reload(self) -> None:
        """While a reload is under way no step is said; after it the difference is planned again."""
        self.begin(S[1])
        self.reloader.held = Deferred()
        reloading = self.applier.apply(shops("server s1 10.0.0.1:80 id 1 track x/y", S[2], cart=[]))
        stepping = self.applier.apply(shops("server s1 10.0.0.1:80 id 1 track x/y", S[3], cart=[]))
        draining = self.applier.drain([("shop", "s2")])
        self.worker.commands()
        self.assertNoResult(stepping)
        self.assertNoResult(draining)
        self.assertEqual(self.worker.commands(), [])
        held, self.reloader.held = self.reloader.held, None
        held.callback(None)
        self.assertEqual(action_word(self.successResultOf(reloading)), "reload")
        self.assertEqual(action_word(self.successResultOf(stepping)), "steps")
        self.successResultOf(draining)

    def test_after_a_reload(self) -> None:
        """What a reload did to the backends that differed is read back, and put right."""
        self.begin(S[1])
        wanted = shops(S[1], f"{S[2]} track x/y")
        load = self.worker.load

        def misread(*arguments: object) -> None:
            load(*arguments)  # type: ignore[arg-type]
            self.worker.server("shop/s1").weight = 200

        self.worker.load = misread  # type: ignore[method-assign]
        self.apply(wanted)
        self.assertEqual(self.worker.server("shop/s1").weight, 1)

    def test_health(self) -> None:
        """A server that is down stays down over a reload, in the state file of that reload alone."""
        checked = f"{S[1]} check"
        self.begin(checked, S[2])
        self.worker.server("shop/s1").up = False
        self.worker.server("shop/s2").up = False
        self.apply(shops(checked, S[2], f"{S[3]} track x/y"))
        (line,) = self.reloader.health[-1].splitlines()[1:]
        self.assertEqual(line.split()[1:5], ["shop", "1", "s1", "10.0.0.1"])
        with open(f"{self.installation.directory}/state/server-state", encoding="utf-8") as file:
            self.assertEqual(file.read(), "1\n")
