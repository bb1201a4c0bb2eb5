"""The user that HAProxy's worker runs as, and what it can reach."""

from __future__ import annotations

import grp
import os
import pwd
import shutil
import stat
import tempfile
from typing import Any

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from marathonlb.config.templates.loader import Templates
from marathonlb.errors import PublishFailed
from marathonlb.haproxy.files.state_directory import StateDirectory
from marathonlb.haproxy.files.trust import may_enter
from marathonlb.haproxy.process.account import System, with_account
from marathonlb.settings import Account, Settings
from tests.config.clusters import DEFAULTS, overriding, renderer

ALL = -1
"""Every capability."""

USERS = {"haproxy": 7001, "nobody": 7002, "lb": 7003}


def system(uid: int = 0, capabilities: int = ALL, users: dict[str, int] | None = None) -> System:
    """A machine with these users, each in a group of its name."""
    known = USERS if users is None else users

    def user(name: str) -> pwd.struct_passwd:
        return pwd.struct_passwd((name, "x", known[name], known[name], "", "/", "/bin/false"))

    def group(name: str) -> grp.struct_group:
        return grp.struct_group((name, "x", known[name], []))

    return System(uid=uid, capabilities=capabilities, user=user, group=group)


class AccountTests(SynchronousTestCase):
    """Who HAProxy becomes."""

    def setUp(self) -> None:
        self.top = tempfile.mkdtemp(prefix="mlb-", dir="/tmp")
        self.addCleanup(shutil.rmtree, self.top, ignore_errors=True)
        self.state = f"{self.top}/state"
        os.mkdir(self.state)

    def open(self) -> None:
        """Let everybody come as far as the state directory."""
        os.chmod(self.top, stat.S_IRWXU | stat.S_IXGRP | stat.S_IXOTH)

    def account(
        self, templates: Templates = DEFAULTS, machine: System | None = None, **options: Any
    ) -> tuple[Account | None, str]:
        """The account, and what is said of it."""
        settings = Settings(**{"state_dir": self.state, "manage_haproxy": True, **options})
        made, remark = with_account(settings, templates, machine or system())
        return made.account, remark

    def test_root(self) -> None:
        """Root's HAProxy becomes ``haproxy``, and sees the state directory alone."""
        account, remark = self.account(machine=system(users=USERS))
        assert account is not None
        self.assertEqual(
            (7001, 7001, self.state, True), (account.uid, account.gid, account.chroot, account.ours)
        )
        self.assertEqual("", remark)

    def test_nobody(self) -> None:
        """Without such a user it becomes a number that nobody has; tasks that run as ``nobody`` reach no socket."""
        machine = evolve(system(users={"nobody": 7002}), named=lambda number: number == 64_999)
        account, remark = self.account(machine=machine)
        assert account is not None
        self.assertEqual((64_998, 64_998, self.state), (account.uid, account.gid, account.chroot))
        self.assertEqual(("uid 64998", "gid 64998"), account.directives)
        self.assertEqual("", remark)

    def test_not_root(self) -> None:
        """Another user's HAProxy stays that user's, whatever the text says."""
        for templates in (DEFAULTS, overriding(HEAD="global\n  user lb\n")):
            self.assertEqual((None, ""), self.account(templates, system(uid=1000)))

    def test_cannot(self) -> None:
        """Where root may not become somebody else it stays root, which is said."""
        account, remark = self.account(machine=system(capabilities=0))
        self.assertIsNone(account)
        self.assertIn("stays root", remark)
        account, remark = self.account(
            overriding(BACKEND_HEAD="backend {backend}\n  source 0.0.0.0 usesrc clientip\n")
        )
        self.assertIsNone(account)
        self.assertIn("usesrc", remark)

    def test_no_chroot(self) -> None:
        """Where HAProxy needs files while it runs it sees them all, and is another user all the same."""
        self.open()
        without_chroot = system(capabilities=ALL & ~(1 << 18))
        for templates, options, machine in (
            (DEFAULTS, {"access_log": "/dev/log"}, system()),
            (overriding(BACKEND_HTTP_OPTIONS="  server x unix@/run/x\n"), {}, system()),
            (overriding(HTTP_FRONTEND_HEAD="frontend x\n  log /dev/log local0\n"), {}, system()),
            (overriding(HEAD="global\n  maxconn 5\n"), {}, system()),
            (DEFAULTS, {}, without_chroot),
        ):
            account, remark = self.account(templates, machine, **options)
            assert account is not None
            self.assertEqual((7001, "", True, ""), (account.uid, account.chroot, account.reaches, remark))

    def test_unreachable(self) -> None:
        """Where that user could not reach the state directory HAProxy stays root, which is said."""
        account, remark = self.account(access_log="/dev/log")
        self.assertIsNone(account)
        self.assertIn("could not reach --state-dir", remark)

    def test_operators(self) -> None:
        """An HAPROXY_HEAD that names any of it decides; a userlist's users are no such names."""
        self.assertFalse(self.account(overriding(HEAD="global\n  user lb\n"))[0].reaches)  # type: ignore[union-attr]
        self.open()
        head = "global\n  user lb\n  group lb\n  chroot {}\nuserlist x\n  user haproxy password y\n"
        for chroot, reaches in ((self.top, True), ("/var/empty", False), ("/", True)):
            account, _ = self.account(overriding(HEAD=head.format(chroot)))
            assert account is not None
            self.assertEqual((7003, 7003, False), (account.uid, account.gid, account.ours))
            self.assertEqual(reaches, account.reaches, chroot)
        account, _ = self.account(overriding(HEAD="global\n  maxconn 5\nuserlist x\n  user a password b\n"))
        assert account is not None
        self.assertTrue(account.ours)
        account, _ = self.account(overriding(HEAD="global\n  uid 0\n"))
        assert account is not None
        self.assertEqual((0, True), (account.uid, account.reaches))
        account, _ = self.account(overriding(HEAD="global\n  user unknown\n"))
        assert account is not None
        self.assertFalse(account.reaches)

    def test_another_haproxy(self) -> None:
        """A HAProxy that is not ours may be root's though we are not: what its text names holds."""
        head = overriding(HEAD="global\n  user lb\n")
        account, _ = self.account(head, system(uid=1000), manage_haproxy=False)
        assert account is not None
        self.assertEqual(7003, account.uid)

    def test_written(self) -> None:
        """The default names the account; an operator's text that names none gets the user before it."""
        account = Account(user="u", group="g", uid=1, gid=2, chroot="/run/mlb")
        text = renderer(account=account).render([]).config.template
        self.assertIn("\n  user u\n  group g\n  chroot /run/mlb\n", text)
        for ours, count in ((True, 1), (False, 0)):
            account = Account(user="u", group="g", uid=1, gid=2, ours=ours)
            text = (
                renderer(overriding(HEAD="global\n  maxconn 5\n"), account=account).render([]).config.template
            )
            self.assertEqual(count, text.count("global\n  user u\n  group g\n"))


class StateTests(SynchronousTestCase):
    """What the state directory does for the account."""

    def setUp(self) -> None:
        self.top = os.path.realpath(tempfile.mkdtemp(prefix="mlb-", dir="/tmp"))
        self.addCleanup(shutil.rmtree, self.top, ignore_errors=True)
        self.path = f"{self.top}/state"

    def make(self, **options: Any) -> os.stat_result:
        """The directory with a way in for another user, as it is then."""
        account = Account(user="u", group="g", uid=7001, gid=7001, **options)
        state = StateDirectory(self.path, account=account)
        return os.stat(state.path)

    def test_let_in(self) -> None:
        """The user may use names in it, and neither write nor, where root can help it, anybody else come in."""
        status = self.make()
        self.assertTrue(may_enter(status, Account(user="u", group="g", uid=7001, gid=7001)))
        self.assertEqual(0, status.st_mode & 0o022)
        if os.geteuid() == 0:
            self.assertEqual((7001, 0), (status.st_gid, status.st_mode & 0o007))

    def test_out_of_reach(self) -> None:
        """Nothing is opened for a user that cannot come so far."""
        self.assertEqual(os.getegid(), self.make(reaches=False).st_gid)

    def test_one_path(self) -> None:
        """Within the chroot the path of the directory leads to it, as outside, and again after it was taken away."""
        for chroot in (self.path, self.top):
            self.make(chroot=chroot)
            within = f"{chroot}{self.path}"
            self.assertTrue(os.path.samefile(within, self.path))
            self.assertFalse(os.path.isabs(os.readlink(within)))
            self.make(chroot=chroot)
            shutil.rmtree(self.path)

    def test_not_ours(self) -> None:
        """Nothing is changed in a directory that is another user's, whatever is asked about it."""
        if os.geteuid() != 0:
            return  # only root can play another user
        os.mkdir(self.path)
        os.chown(self.path, 54321, 54321)
        before = os.stat(self.path)
        after = self.make(chroot=self.path)
        self.assertEqual((before.st_mode, before.st_gid), (after.st_mode, after.st_gid))
        self.assertEqual([], os.listdir(self.path))

    def test_made_again_by_others(self) -> None:
        """A directory that was taken away and is there again, open to others, is not used."""
        state = StateDirectory(self.path)
        shutil.rmtree(state.path)
        with self.assertRaises(PublishFailed) as caught:
            self.replace(state)
        self.assertIn("`chmod go-w ", str(caught.exception))

    def replace(self, state: StateDirectory) -> None:
        """Let everybody write above the directory, which is gone, and use it."""
        os.chmod(self.top, stat.S_IRWXU | stat.S_IWOTH)
        state.file("x")
