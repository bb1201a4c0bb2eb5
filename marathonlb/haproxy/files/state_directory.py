"""
The state directory: what has to outlive the controller.

::

    lock                                    held by the controller that uses it
    master.sock haproxy.pid haproxy.log     of a managed HAProxy
    tls-*                                   where HAProxy hands connections of the https port to itself
    server-state                            what HAProxy reads of its servers' health when it is loaded
    confirmed                               names the texts that HAProxy confirmed
    archive/                                the last configurations
    templates.json                          the operator's templates that HAProxy accepted last
"""

from __future__ import annotations

import os
import stat
from contextlib import suppress

from attrs import fields
from twisted.logger import Logger

from marathonlb.config.https import LONGEST_SOCKET_NAME
from marathonlb.errors import PublishFailed
from marathonlb.files import Ownership
from marathonlb.haproxy.files.disk import Disk, read_text, reason
from marathonlb.haproxy.files.sockets import remove_dead
from marathonlb.haproxy.files.trust import distrusted
from marathonlb.haproxy.process.account import may_enter
from marathonlb.settings import Account, Settings

MAX_SOCKET_PATH = 95
"""
Bytes of a socket's path: the system takes 107, and HAProxy binds it as ``PATH.PID.tmp`` before it puts it into place.
"""

STATE_HEADER = "1\n"
"""The first line of a server state file: its version. HAProxy 2.6 warns about a file without it."""


def longest_state_directory() -> int:
    """Bytes that the path of a state directory may have."""
    return MAX_SOCKET_PATH - 1 - LONGEST_SOCKET_NAME


def beside(settings: Settings) -> str:
    """The state directory where the default one is not ours to write and nobody chose another."""
    return os.path.join(os.path.dirname(os.path.abspath(settings.haproxy_config)), ".marathon-lb")


class StateDirectory:
    """
    Where things lie, and the marker of what was confirmed. It is made when something is first written.

    :param path: the directory.
    :param fallback: where `path` cannot be made.
    :param account: who has to reach the sockets in it besides us.
    """

    _log = Logger()

    def __init__(
        self,
        path: str,
        fallback: str | None = None,
        disk: Disk | None = None,
        account: Account | None = None,
    ) -> None:
        self._path = os.path.abspath(path)
        self._fallback = fallback
        self._account = account
        self._disk = disk or Disk()
        self._made = False

    @classmethod
    def of(cls, settings: Settings) -> StateDirectory:
        """
        The one that the settings name.

        The default is root's; where it is not ours to write and nobody chose it, the place is beside the configuration.
        """
        default = settings.state_dir == fields(Settings).state_dir.default
        return cls(settings.state_dir, beside(settings) if default else None, account=settings.account)

    @property
    def path(self) -> str:
        """The directory, which is there, also where somebody took it away. Raises `marathonlb.errors.PublishFailed`."""
        if not self._made or not os.path.isdir(self._path):
            self._make()
        return self._path

    def file(self, name: str) -> str:
        """The path of a file in it."""
        return os.path.join(self.path, name)

    def socket(self, name: str) -> str:
        """The path of a socket in it. Raises `PublishFailed` where HAProxy could not bind it, being too long."""
        path = self.file(name)
        if len(os.fsencode(path)) > MAX_SOCKET_PATH:
            raise PublishFailed(
                path=path, reason="longer than a socket's path may be; choose a shorter --state-dir"
            )
        return path

    def _make(self) -> None:
        try:
            os.makedirs(self._path, 0o750, exist_ok=True)
            self._require_closed()
            refusal = self._disk.unwritable(self._path)
            if refusal is not None:
                raise refusal
            if self._account is not None and self._account.reaches:
                self._let_in(self._account)
        except OSError as error:
            if self._fallback is None:
                raise PublishFailed(path=self._path, reason=reason(error, "--state-dir")) from error
            self._log.warn(
                "{path}: {reason}; the state is kept in {fallback}. Name a place with --state-dir to choose another.",
                path=self._path,
                reason=error.strerror,
                fallback=self._fallback,
            )
            self._path, self._fallback = self._fallback, None
            self._make()
            return
        self._made = True

    def _require_closed(self) -> None:
        """Raise `PublishFailed` where a directory that was taken away has been made again by somebody else."""
        if self._made and (why := distrusted(self._path)):
            raise PublishFailed(path=self._path, reason=f"is not closed to other users: {why}")

    def _let_in(self, account: Account) -> None:
        """
        Let HAProxy's worker connect to the sockets here, and do no more. Raises `OSError`.

        Where it sees nothing but this directory, or one above it, the path by which the configuration names it leads
        here from within, too.
        """
        status = os.stat(self._path)
        if status.st_uid != os.geteuid():
            return
        if not may_enter(status, account):
            by_group = status.st_gid == os.getegid() and os.geteuid() == 0
            if by_group:
                os.chown(self._path, -1, account.gid)
            _give(self._path, stat.S_IXGRP if by_group else stat.S_IXOTH)
        if account.chroot:
            self._lead_here(os.path.realpath(account.chroot))

    def _lead_here(self, root: str) -> None:
        """Make a link below the directory that a worker sees as ``/``, so that our path leads here for it, too."""
        link = os.path.join(root, self._path.lstrip("/"))
        if os.path.lexists(link):
            return
        above = root
        for part in os.path.dirname(self._path).strip("/").split("/"):
            above = os.path.join(above, part)
            if part and not os.path.isdir(above):
                os.mkdir(above)
                _give(above, stat.S_IXGRP | stat.S_IXOTH)  # whatever our umask is
        os.symlink(os.path.relpath(os.path.realpath(self._path), above), link)

    def remove_dead_sockets(self, named: str) -> None:
        """See `marathonlb.haproxy.files.sockets.remove_dead`."""
        remove_dead(self.path, named)

    def confirmed(self) -> str | None:
        """The digest of the texts that HAProxy confirmed, or None."""
        with suppress(OSError):
            return (read_text(self.file("confirmed")) or "").strip() or None
        return None

    def trusts(self, digest: str) -> bool:
        """Whether HAProxy confirmed these texts, or runs them but for steps that are known to lead to them."""
        return digest in (self.confirmed() or "").split()

    def confirm(self, *digests: str) -> None:
        """
        Remember, durably, that HAProxy runs these texts. Raises `OSError`.

        Whoever reads it after a crash reads the whole digest or none.

        :param digests: of one; of two where the file is about to change from one to the other behind a HAProxy that was
            led there by steps.
        """
        text = "\n".join(digests) + "\n"
        self._disk.replace(self.file("confirmed"), text, Ownership(0o644), durable=True)

    def doubt(self) -> None:
        """Forget, durably, what HAProxy confirmed: its file is about to change. Raises `OSError`."""
        try:
            self._disk.remove(self.file("confirmed"))
        except FileNotFoundError:
            return
        self._disk.sync(self.path)

    def keep_health(self, text: str | None = None) -> None:
        """
        Write the state file that the next load of HAProxy reads. Raises `OSError`.

        :param text: see `marathonlb.haproxy.dynamic.server_state.state_file`; None says nothing of any server,
            since what was true at one reload is not at the next start.
        """
        path = self.file("server-state")
        self._disk.replace(path, text or STATE_HEADER, Ownership(0o644), durable=False)


def _give(path: str, bits: int) -> None:
    """Add bits to the mode of a file or directory."""
    os.chmod(path, stat.S_IMODE(os.stat(path).st_mode) | bits)
