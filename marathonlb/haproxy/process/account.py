"""
The user that HAProxy's worker runs as.

A HAProxy that root starts drops root once it has bound its ports: its worker becomes ``haproxy`` and sees only the
state directory, whose sockets connect it with the controller. The master stays root, so a reload binds ports below 1024
and reads certificates as before. An ``HAPROXY_HEAD`` that names a user, a group or a chroot overrides this.
"""

from __future__ import annotations

import grp
import os
import pwd
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress

from attrs import evolve, field, frozen

from marathonlb.config.templates.loader import Templates
from marathonlb.config.templates.variables import shared_variables
from marathonlb.config.text.model import SECTION_KEYWORDS
from marathonlb.errors import TemplateError
from marathonlb.haproxy.files.trust import may_enter
from marathonlb.settings import Account, Settings

USER = "haproxy"
"""
HAProxy's user, if this system has it.

A process of this user may connect to the sockets of the state directory and claim any client address. So if the user
does not exist, an unused number takes its place, and not ``nobody``, as which tasks run, too.
"""

UNNAMED = range(64_999, 61_183, -1)
"""User and group ids, the first unused of which replaces `USER`; systemd assigns these to services temporarily."""

_ACCOUNT_KEYWORDS = frozenset({"user", "uid", "group", "gid", "chroot"})
"""Keywords of ``global`` that set HAProxy's user, group and root directory."""

_NEEDS_ROOT = re.compile(r"\busesrc\b")
"""HAProxy does not start if it is to connect with the clients' addresses and may not stay root."""

_NEEDS_FILES = re.compile(
    r"unix@|uxst@|uxdg@|\bexternal-check\b|^[ \t]*(?:log|server|server-template|peer)[ \t](?:.*[ \t])?[\"']?/",
    re.MULTILINE,
)
"""Lines that make a worker open files while it runs."""

_CAP_SETGID, _CAP_SETUID, _CAP_SYS_CHROOT = 6, 7, 18


@frozen
class System:
    """
    The users and capabilities on this machine; tests pass their own.

    :param capabilities: the effective capabilities of this process, as a bit mask.
    :param named: returns whether a number is a user's or a group's id.
    """

    uid: int = field(factory=os.geteuid)
    capabilities: int = field()
    user: Callable[[str], pwd.struct_passwd] = pwd.getpwnam
    group: Callable[[str], grp.struct_group] = grp.getgrnam
    named: Callable[[int], bool] = lambda number: _is_named(number)

    @capabilities.default
    def _of_this_process(self) -> int:
        with suppress(OSError), open("/proc/self/status", encoding="ascii", errors="replace") as file:
            for line in file:
                if line.startswith("CapEff:"):
                    return int(line.split()[1], 16)
        return -1

    def may(self, capability: int) -> bool:
        """Return whether a capability is in effect."""
        return bool(self.capabilities >> capability & 1)


def with_account(
    settings: Settings, templates: Templates, system: System | None = None
) -> tuple[Settings, str]:
    """
    Return the settings with HAProxy's account.

    :return: and a remark for the operator; empty if there is none.
    """
    system = system or System()
    head = templates.get("HEAD")
    text = ""
    if not head.is_default:
        with suppress(TemplateError):  # the renderer reports it
            text = head.render(shared_variables(settings))
    named = dict(_account_settings(text))
    if named:
        if system.uid != 0 and settings.manage_haproxy:
            return settings, ""  # without root HAProxy cannot change its user
        return evolve(settings, account=_of_operator(settings, named, system)), ""
    if system.uid != 0:
        return settings, ""
    written = (template.written for template in templates.shared.values() if not template.is_default)
    account, obstacle = _chosen(settings, "\n".join((text, *written)), head.is_default, system)
    if account is None:
        return settings, f"HAProxy's worker stays root: {obstacle}"
    return evolve(settings, account=account), ""


def _chosen(settings: Settings, texts: str, default_head: bool, system: System) -> tuple[Account | None, str]:
    """
    Return the default account.

    :param texts: the operator's templates.
    :return: None if the worker has to stay root, with the reason and what to do.
    """
    if not (system.may(_CAP_SETUID) and system.may(_CAP_SETGID)):
        return None, "this process may not change users (it lacks the capabilities SETUID and SETGID)"
    if _NEEDS_ROOT.search(texts):
        return None, "a template has `usesrc`, which only root may use"
    account = _account(system)
    elsewhere = (settings.access_log or "").startswith("/") or _NEEDS_FILES.search(texts)
    if default_head and not elsewhere and system.may(_CAP_SYS_CHROOT):
        return evolve(account, chroot=os.path.realpath(settings.state_dir)), ""
    if not _leads_to(settings.state_dir, account):
        directory = os.path.dirname(os.path.abspath(settings.state_dir))
        return None, (
            f"user {account.user} could not reach --state-dir {settings.state_dir}: `chmod o+x` the directories above "
            f"it, from {directory} on, or choose another one"
        )
    return account, ""


def _of_operator(settings: Settings, named: Mapping[str, str], system: System) -> Account:
    """Return the account that ``HAPROXY_HEAD`` names; if it cannot be looked up, one that reaches nothing."""
    user, group = named.get("user", named.get("uid", "0")), named.get("group", named.get("gid", "0"))
    chroot = named.get("chroot", "").rstrip("/")
    account = Account(user=user, group=group, uid=0, gid=0, chroot=chroot, ours=False)
    try:
        uid = int(user) if user.isdecimal() else system.user(user).pw_uid
        gid = int(group) if group.isdecimal() else system.group(group).gr_gid
    except KeyError:
        return evolve(account, reaches=False)
    account = evolve(account, uid=uid, gid=gid)
    place = os.path.realpath(settings.state_dir)
    inside = not chroot or os.path.commonpath([place, os.path.realpath(chroot)]) == os.path.realpath(chroot)
    return evolve(account, reaches=inside and _leads_to(settings.state_dir, account))


def _account(system: System) -> Account:
    """Return the account of `USER`, or one with an unused number."""
    try:
        user = system.user(USER)
    except KeyError:
        number = next(number for number in UNNAMED if not system.named(number))
        return Account(user=str(number), group=str(number), uid=number, gid=number)
    account = Account(user=user.pw_name, group=str(user.pw_gid), uid=user.pw_uid, gid=user.pw_gid)
    with suppress(KeyError):
        account = evolve(account, group=grp.getgrgid(account.gid).gr_name)
    return account


def _is_named(number: int) -> bool:
    with suppress(KeyError):
        return bool(pwd.getpwuid(number))
    with suppress(KeyError):
        return bool(grp.getgrgid(number))
    return False


def _leads_to(directory: str, account: Account) -> bool:
    """Return whether the account may pass every directory above this one, up to its chroot."""
    place, top = os.path.realpath(directory), os.path.realpath(account.chroot or "/")
    while place != top and place != "/":
        place = os.path.dirname(place)
        with suppress(FileNotFoundError):
            if not may_enter(os.stat(place), account):
                return False
    return True


def _account_settings(head: str) -> Iterator[tuple[str, str]]:
    """Yield the account keywords of ``global`` with their values, in order; the last one counts."""
    section = ""
    for line in head.split("\n"):
        words = line.partition("#")[0].split()
        if words and words[0] in SECTION_KEYWORDS:
            section = words[0]
        elif section == "global" and len(words) > 1 and words[0] in _ACCOUNT_KEYWORDS:
            yield words[0], words[1].strip("\"'")
