"""
Checks which other users can write to a directory, or replace it.

Only the state directory protects its sockets: a user who can write there can replace them, and then claim
any client address to HAProxy and any sender of a request to the controller.
"""

from __future__ import annotations

import grp
import os
import pwd
import shlex
import stat
from collections.abc import Callable, Iterable
from contextlib import suppress

from marathonlb.errors import UsageError
from marathonlb.settings import Account, Settings

MAX_LINKS = 40
"""Maximum number of symbolic links on the way to a directory."""

_ACL = "system.posix_acl_access"

Stat = Callable[[str], os.stat_result]


def require_closed(settings: Settings) -> None:
    """
    Require that no other user can write to the state directory.

    :raises UsageError: another user can.
    """
    path = os.path.abspath(settings.state_dir)
    reason = distrusted(path)
    if reason:
        raise UsageError(option="--state-dir", value=path, expected=f"closed to other users: {reason}")


def distrusted(path: str, uid: int | None = None, status_of: Stat = os.lstat) -> str:
    """
    Return which other user can write to a directory or replace it, and the command that fixes it; empty if none can.

    Of a directory that does not exist, the existing part of its path is checked.

    :param uid: the user who is to use it; None for our own. This user and root are trusted.
    :param status_of: `os.lstat`.
    """
    uid = os.geteuid() if uid is None else uid
    todo = [part for part in os.path.abspath(path).split("/") if part][::-1]
    here, links = "/", 0
    if reason := _writable("/", status_of("/"), uid, strict=False):
        return reason
    while todo:
        there = os.path.join(here, todo.pop())
        try:
            status = status_of(there)
        except FileNotFoundError:
            return ""
        if stat.S_ISLNK(status.st_mode):
            links += 1
            target = os.readlink(there)
            if status.st_uid not in (0, uid) or links > MAX_LINKS:
                owner = _user(status.st_uid)
                return f"{there} is a symbolic link of user {owner}; `rm {shlex.quote(there)}` removes it"
            todo += [part for part in target.split("/") if part][::-1]
            here = "/" if target.startswith("/") else here
            continue
        if not stat.S_ISDIR(status.st_mode):
            return f"{there} is not a directory"
        if reason := _writable(there, status, uid, strict=not todo):
            return reason
        here = there
    return ""


def _writable(path: str, status: os.stat_result, uid: int, *, strict: bool) -> str:
    """
    Return which other users can change names in a directory.

    :param strict: True for the directory of the sockets themselves: then neither a sticky bit nor a user's own group is
        enough.
    """
    quoted = shlex.quote(path)
    if status.st_uid not in (0, uid):
        return (
            f"{path} belongs to user {_user(status.st_uid)}, who can write there; `chown {_user(uid)} {quoted}` gives "
            "it to this user"
        )
    mode = f"mode {stat.S_IMODE(status.st_mode):04o}"
    if status.st_mode & stat.S_ISVTX and not strict:
        return ""
    if status.st_mode & stat.S_IWOTH:
        return f"every user can write to {path} ({mode}); `chmod go-w {quoted}` ends that"
    if status.st_mode & stat.S_IWGRP and (strict or not _only_ours(path, status.st_gid, uid)):
        return f"group {_group(status.st_gid)} can write to {path} ({mode}); `chmod g-w {quoted}` ends that"
    return ""


def _only_ours(path: str, gid: int, uid: int) -> bool:
    """Return whether a group has no member but our user, as some systems set up, and no access list names others."""
    with suppress(OSError):
        if _ACL in os.listxattr(path):
            return False
    try:
        names = _members(gid, pwd.getpwall())
        ours = pwd.getpwuid(uid).pw_name
    except KeyError:
        return False
    return names <= {ours, "root"}


def _members(gid: int, users: Iterable[pwd.struct_passwd]) -> set[str]:
    return {*grp.getgrgid(gid).gr_mem, *(user.pw_name for user in users if user.pw_gid == gid)}


def _user(uid: int) -> str:
    with suppress(KeyError):
        return pwd.getpwuid(uid).pw_name
    return str(uid)


def _group(gid: int) -> str:
    with suppress(KeyError):
        return grp.getgrgid(gid).gr_name
    return str(gid)


def may_enter(status: os.stat_result, account: Account) -> bool:
    """Return whether an account may use the names in a directory."""
    if account.uid == 0:
        return True
    if status.st_uid == account.uid:
        return bool(status.st_mode & stat.S_IXUSR)
    if status.st_gid == account.gid:
        return bool(status.st_mode & stat.S_IXGRP)
    return bool(status.st_mode & stat.S_IXOTH)
