"""
The state directory: the files that have to outlive the controller.

::

    lock                                    held by the controller that uses it
    web.sock                                of the daemon's pages and API
    master.sock haproxy.pid haproxy.log     of a managed HAProxy
    tls-*                                   HAProxy passes connections of the https port to itself here
    server-state                            the servers' health, which HAProxy reads when it is loaded
    confirmed                               digests of the texts that HAProxy confirmed
    archive/                                the last configurations
    templates.json                          the operator's templates that HAProxy accepted last
"""

from __future__ import annotations

import os
import stat
from contextlib import suppress

from attrs import fields
from twisted.logger import Logger

from marathonlb.base.files import Ownership
from marathonlb.config.https import LONGEST_SOCKET_NAME
from marathonlb.errors import PublishFailed
from marathonlb.haproxy.files.disk import Disk, explain_os_error, read_text
from marathonlb.haproxy.files.sockets import remove_dead
from marathonlb.haproxy.files.trust import distrusted, may_enter
from marathonlb.settings import Account, Settings

WEB_SOCKET = "web.sock"
"""Name of the socket of the daemon's pages and API."""

MAX_SOCKET_PATH = 95
"""
Maximum number of bytes of a socket's path: the system accepts 107, and HAProxy binds ``PATH.PID.tmp`` and renames it.
"""

STATE_HEADER = "1\n"
"""The first line of a server state file: its version. HAProxy 2.6 warns about a file without it."""


def longest_state_directory() -> int:
    """Return the maximum number of bytes of the path of a state directory."""
    return MAX_SOCKET_PATH - 1 - LONGEST_SOCKET_NAME


def state_directory_beside(settings: Settings) -> str:
    """Return the state directory that replaces the default one if that is not writable and none was chosen."""
    return os.path.join(os.path.dirname(os.path.abspath(settings.haproxy_config)), ".marathon-lb")


class StateDirectory:
    """
    The directory's files and the marker of the confirmed texts. It is made when something is first written.

    :param path: the directory.
    :param fallback: the directory that is used if `path` cannot be made.
    :param account: the account that has to reach the sockets in it, besides our own.
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
        Return the state directory of the settings.

        The default is root's; if it is not writable and was not chosen, the directory is beside the configuration.
        """
        default = settings.state_dir == fields(Settings).state_dir.default
        return cls(
            settings.state_dir,
            state_directory_beside(settings) if default else None,
            account=settings.account,
        )

    @property
    def path(self) -> str:
        """The directory's path; it is made if it is missing. Raises `marathonlb.errors.PublishFailed`."""
        if not self._made or not os.path.isdir(self._path):
            self._make()
        return self._path

    def file(self, name: str) -> str:
        """Return the path of a file in it."""
        return os.path.join(self.path, name)

    def socket(self, name: str) -> str:
        """Return the path of a socket in it. Raises `PublishFailed` if it is too long for HAProxy to bind."""
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
                self._grant_access(self._account)
        except OSError as error:
            if self._fallback is None:
                raise PublishFailed(path=self._path, reason=explain_os_error(error, "--state-dir")) from error
            self._log.warn(
                "{path} cannot be used: {reason}. The state is kept in {fallback}; set --state-dir to choose another "
                "directory",
                path=self._path,
                reason=error.strerror,
                fallback=self._fallback,
            )
            self._path, self._fallback = self._fallback, None
            self._make()
            return
        self._made = True

    def _require_closed(self) -> None:
        """Raise `PublishFailed` if the directory was removed and another user has made it again."""
        if self._made and (reason := distrusted(self._path)):
            raise PublishFailed(path=self._path, reason=f"is not closed to other users: {reason}")

    def _grant_access(self, account: Account) -> None:
        """
        Let HAProxy's worker connect to the sockets here, and nothing else. Raises `OSError`.

        If the worker's root is this directory, or one above it, the path in the configuration leads here from inside,
        too.
        """
        status = os.stat(self._path)
        if status.st_uid != os.geteuid():
            return
        if not may_enter(status, account):
            by_group = status.st_gid == os.getegid() and os.geteuid() == 0
            if by_group:
                os.chown(self._path, -1, account.gid)
            _add_mode(self._path, stat.S_IXGRP if by_group else stat.S_IXOTH)
        if account.chroot:
            self._link_in_chroot(os.path.realpath(account.chroot))

    def _link_in_chroot(self, root: str) -> None:
        """Make a link below the worker's root directory, so that our path leads here for the worker, too."""
        link = os.path.join(root, self._path.lstrip("/"))
        if os.path.lexists(link):
            return
        above = root
        for part in os.path.dirname(self._path).strip("/").split("/"):
            above = os.path.join(above, part)
            if part and not os.path.isdir(above):
                os.mkdir(above)
                _add_mode(above, stat.S_IXGRP | stat.S_IXOTH)  # regardless of our umask
        os.symlink(os.path.relpath(os.path.realpath(self._path), above), link)

    def remove_dead_sockets(self, named: str) -> None:
        """See `marathonlb.haproxy.files.sockets.remove_dead`."""
        remove_dead(self.path, named)

    def confirmed(self) -> str | None:
        """Return the digests of the texts that HAProxy confirmed, or None."""
        with suppress(OSError):
            return (read_text(self.file("confirmed")) or "").strip() or None
        return None

    def trusts(self, digest: str) -> bool:
        """Return whether HAProxy confirmed these texts, or runs others that known updates turn into these."""
        return digest in (self.confirmed() or "").split()

    def confirm(self, *digests: str) -> None:
        """
        Record durably that HAProxy runs these texts. Raises `OSError`.

        After a crash the record is complete or absent.

        :param digests: one digest; two if the file is about to change from one to the other after runtime updates.
        """
        text = "\n".join(digests) + "\n"
        self._disk.replace(self.file("confirmed"), text, Ownership(0o644), durable=True)

    def forget_confirmed(self) -> None:
        """Remove the record of what HAProxy confirmed, durably: its file is about to change. Raises `OSError`."""
        try:
            self._disk.remove(self.file("confirmed"))
        except FileNotFoundError:
            return
        self._disk.sync(self.path)

    def write_server_state(self, text: str | None = None) -> None:
        """
        Write the server state file that the next load of HAProxy reads. Raises `OSError`.

        :param text: see `marathonlb.haproxy.dynamic.server_state.state_file`; None for no server, since the state at
            one reload is outdated at the next start.
        """
        path = self.file("server-state")
        self._disk.replace(path, text or STATE_HEADER, Ownership(0o644), durable=False)


def _add_mode(path: str, bits: int) -> None:
    """Add bits to the mode of a file or directory."""
    os.chmod(path, stat.S_IMODE(os.stat(path).st_mode) | bits)
