"""The files, their marker and their archive."""

from __future__ import annotations

import errno
import os
import shutil

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from marathonlb.config.text.model import Config
from marathonlb.haproxy.applier import Applier
from marathonlb.haproxy.background import WRITE_DELAY
from marathonlb.haproxy.config_store import ConfigStore
from marathonlb.haproxy.files.publish import Files
from marathonlb.haproxy.files.state_directory import STATE_HEADER, StateDirectory
from marathonlb.haproxy.outcome import action_word
from marathonlb.haproxy.reload_reason import FIRST_START, NOT_RUNNING, UNCONFIRMED, ReasonKind, ReloadReason
from marathonlb.haproxy.rollback.archive import Archive
from tests.fakes.disks import Crash, FailingDisk, crashing, refusing
from tests.haproxy.installation import Installation, InstallationCase, S, shops


class ArchiveTests(InstallationCase):
    """The archive follows every change of more than tasks, whatever led HAProxy there."""

    one, other = "server 10_0_0_1_80 10.0.0.1:80", "server 10_0_0_2_80 10.0.0.2:80"

    def setUp(self) -> None:
        super().setUp()
        self.applier.service.startService()
        self.addCleanup(self.applier.service.stopService)

    def kept(self, *shop: str, **more: dict[str, str]) -> list[str]:
        """The reasons in the archive after a change."""
        self.apply(shops(*shop, **more))
        self.installation.clock.advance(2 * WRITE_DELAY)
        archive = Archive(StateDirectory(os.path.join(self.installation.directory, "state")), 9)
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


class FollowCrashTests(InstallationCase):
    """A crash at any operation of the disk while the file follows."""

    def follow(self, installation: Installation, applier: Applier, wanted: Config) -> None:
        """Steps to a configuration, the file behind them."""
        applier.apply(wanted).addErrback(lambda failure: failure.trap(Crash))
        self.assertTrue(installation.serves(wanted))

    def test_every_operation(self) -> None:
        """Whatever the instant, the files are whole, and the next controller adopts without a reload."""
        installation, disk = Installation(self.mktemp()), FailingDisk()
        before = shops(S[1], S[2])
        after = shops(S[1], f"{S[3]} weight 5", maps={"a": "cart", "b": "shop"})
        self.apply(before, installation.controller())
        self.follow(installation, installation.controller(disk), after)
        self.assertGreater(len(disk.done), 12)
        for at in range(len(disk.done)):
            for wanted in (before, after):
                installation = self.installation = Installation(self.mktemp())
                copy = os.path.abspath(self.mktemp())
                self.apply(before, installation.controller())
                self.follow(
                    installation,
                    installation.controller(crashing(at, installation.directory, copy, partly=True)),
                    after,
                )
                shutil.rmtree(installation.directory)
                os.rename(copy, installation.directory)
                applier = installation.controller()
                self.successResultOf(applier.recover())
                where = f"at {at}, {disk.done[at]}"
                self.assertTrue(installation.holds(before) or installation.holds(after), where)
                self.assertIn(action_word(self.apply(wanted, applier)), ("steps", "nothing"), where)
                self.assertTrue(installation.serves(wanted) and installation.holds(wanted), where)
                self.assertEqual(len(installation.reloader.reloaded), 1, where)


WHY = (FIRST_START,)


class MarkerTests(SynchronousTestCase):
    """The marker says which texts HAProxy confirmed."""

    def setUp(self) -> None:
        self.directory = os.path.abspath(self.mktemp())
        os.makedirs(self.directory)
        self.store = self.opened()

    def opened(self, disk: FailingDisk | None = None) -> ConfigStore:
        """A store that begins."""
        state = StateDirectory(os.path.join(self.directory, "state"), disk=disk)
        files = Files(os.path.join(self.directory, "haproxy.cfg"), disk)
        return ConfigStore(files, state, Archive(state, 9), Clock())

    def reasons(self) -> list[str]:
        archive = Archive(StateDirectory(os.path.join(self.directory, "state")), 9)
        return [kept.reason for kept in archive.list()]

    def test_confirmed(self) -> None:
        """Texts are trusted from their confirmation on, by the next controller, too."""
        published = self.store.texts(shops(S[1]))
        self.store.publish(published, STATE_HEADER)
        self.assertFalse(self.store.trusts(published))
        self.assertIsNone(self.store.confirmed_on_disk())
        self.store.confirm(published, WHY, ())
        self.assertTrue(self.opened().trusts(published))
        self.assertEqual(self.opened().confirmed_on_disk(), published)

    def test_published(self) -> None:
        """From the moment that other files are put into place the confirmation of those before counts no more."""
        before, after = (self.store.texts(shops(server)) for server in S[1:3])
        self.store.publish(before, STATE_HEADER)
        self.store.confirm(before, WHY, ())
        self.store.publish(after, STATE_HEADER)
        self.assertFalse(self.store.trusts(before) or self.store.trusts(after))
        self.assertTrue(self.store.put_back(before))
        self.assertTrue(self.store.trusts(before))
        self.assertEqual(self.store.read(), before)

    def test_followed(self) -> None:
        """Texts that HAProxy runs already are written and confirmed."""
        self.successResultOf(self.store.follow(shops(S[1])))
        self.assertEqual(self.opened().confirmed_on_disk(), self.store.texts(shops(S[1])))

    def test_archived(self) -> None:
        """The first texts are archived, and those that differ in more than tasks, each with its reasons."""
        first, second, third = (self.store.texts(shops(server)) for server in S[1:4])
        self.store.confirm(first, WHY, ())
        self.store.confirm(second, (NOT_RUNNING,), ())
        self.assertEqual(self.reasons(), ["there was no configuration"])
        self.store.confirm(third, (NOT_RUNNING,), (UNCONFIRMED,))
        self.assertEqual(self.reasons(), ["there was no configuration", "HAProxy does not run"])
        self.store.archive_next((UNCONFIRMED,))
        self.store.archive_next(())
        self.successResultOf(self.store.follow(shops(f"{S[4]} maxconn 5")))
        self.assertEqual(self.reasons()[-1], "the last reload was not confirmed")

    def test_cannot_be_put_back(self) -> None:
        """Files that cannot be put back are said, and it is known that they are not in place."""
        before = self.store.texts(shops(S[1]))
        store = self.opened(refusing(0, errno.ENOSPC, "No space left on device"))
        self.assertFalse(store.put_back(before))
