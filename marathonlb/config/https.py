"""
The https port: one frontend that ends TLS, or one that asks for the name in the handshake and those behind it.

Where it has to ask (`marathonlb.routing.sni`), a TCP frontend stands on the port. The frontends behind it listen on
sockets in the state directory, where the PROXY protocol tells them the client's address. Nobody but HAProxy may connect
to these: whoever can says who the client is.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

from attrs import frozen

from marathonlb.config.requests import guards
from marathonlb.config.templates.loader import Templates
from marathonlb.config.templates.structure import checked_text
from marathonlb.config.templates.variables import HOST, certificates
from marathonlb.config.text.model import Chunk, Owner, Section
from marathonlb.problem_kinds.operators import HAPROXY_USER
from marathonlb.routing import sni
from marathonlb.routing.hosts import is_wildcard
from marathonlb.routing.problems import Problem
from marathonlb.routing.rules import AclRule, Rules, RulesByHost
from marathonlb.routing.services.model import Service
from marathonlb.routing.sni import SHARED, Sni, SniRule
from marathonlb.routing.tls_hosts import TlsHost
from marathonlb.settings import Settings

Routing = Callable[[Sequence[AclRule], Sequence[AclRule]], Iterable[Chunk]]
"""The ACL rules before the maps and those after them → the chunks of the routing of a TLS frontend."""

SOCKET_PREFIX = "tls-"
"""How the names of the sockets begin."""

_DIGEST_BYTES = 10

LONGEST_SOCKET_NAME = len(SOCKET_PREFIX) + len(base64.b32encode(bytes(_DIGEST_BYTES)))
"""Bytes; no other socket of the state directory has a longer name."""

_NOBODY = Owner(None, None, "", "default")
_MANY = 40
"""So many hosts stand on one line, which HAProxy cuts off after 64 words."""

_SECTION = re.compile(r"^([ \t]*)(?:frontend|listen)[ \t]+\S+", re.MULTILINE)
_FRONTEND = re.compile(r"^([ \t]*frontend[ \t]+)(\S+)[ \t]*$", re.MULTILINE)
_BIND = re.compile(r"^([ \t]*bind)[ \t]+\S+(.*)\n?", re.MULTILINE)


@frozen
class Behind:
    """
    The socket of a frontend behind the https port.

    :param address: as HAProxy takes it.
    :param options: what a bind line says besides: who may connect.
    """

    address: str
    options: str = ""

    @property
    def bound(self) -> str:
        """The words of a bind line."""
        return self.address + self.options

    def instead(self, text: str, name: str) -> str:
        """The text of an operator's template, in which an abstract socket of this name stands for ours."""
        if f"abns@{name}" not in text:
            return text
        pattern = rf"^([ \t]*bind[ \t]+)?(.*?)abns@{re.escape(name)}(?=\s|$)"
        return re.sub(
            pattern,
            lambda found: f"{found[1] or ''}{found[2]}{self.bound if found[1] else self.address}",
            text,
            flags=re.MULTILINE,
        )


def behind(settings: Settings, name: str) -> Behind:
    """
    The socket of the frontend with this name.

    Its path differs with the user that it is for, since HAProxy hands a socket on over reloads as it was bound. Where
    HAProxy's worker cannot reach the state directory it is an abstract one, to which every local user can connect.
    """
    account = settings.account
    if account is not None and not account.reaches:
        return Behind(f"abns@{name}")
    owner = f" uid {account.uid} gid {account.gid}" if account is not None else ""
    digest = hashlib.sha256(f"{name}{owner}".encode()).digest()[:_DIGEST_BYTES]
    word = base64.b32encode(digest).decode().lower()
    return Behind(f"unix@{settings.state_dir}/{SOCKET_PREFIX}{word}", f" mode 600{owner}")


@frozen(slots=False)
class HttpsPort:
    """
    Renders the sections of the https port.

    :param shared: the variables of templates that belong to no service.
    :param routing: writes the routing rules, which are the same in every TLS frontend.
    :param rules: those rules.
    """

    settings: Settings
    templates: Templates
    shared: Mapping[str, Any]
    sni: Sni
    routing: Routing
    rules: Rules

    @cached_property
    def _rules_by_host(self) -> tuple[RulesByHost, RulesByHost]:
        hosts = [own.host for own in self.sni.ended]
        return RulesByHost(self.rules.first, hosts), RulesByHost(self.rules.later, hosts)

    def problems(self) -> Iterator[Problem]:
        """What the operator should know."""
        account = self.settings.account
        if self.sni.split and account is not None and not account.reaches:
            value = f"user {account.user}" + (f", chroot {account.chroot}" if account.chroot else "")
            reason = (
                "keeps HAProxy from the state directory, so every local user can connect to the frontends behind the "
                "https port and say that it is any client. Leave `user`, `group` and `chroot` out: HAProxy gives root "
                "up anyway; or choose a --state-dir that this user reaches, within the chroot"
            )
            yield Problem("", None, "HAPROXY_HEAD", value, reason, fatal=False, kind=HAPROXY_USER)

    def sections(self) -> Iterator[Section]:
        """The sections, each where its head is not switched off. Raises `TemplateError` where one is closed."""
        if not self.sni.split:
            if self._ends_shared:
                head = self._chunk("HTTPS_FRONTEND_HEAD", self.shared)
                if head.text.strip():
                    shared = self.routing(self.rules.first, self.rules.later)
                    begin = (head, guards(head, self.settings))
                    yield _section("frontend", "marathon_https_in", (*begin, *shared))
            return
        yield from self._asking()
        for own in self.sni.ended:
            yield from self._ended(own)
        if self._ends_shared:
            yield from self._ended(None)

    @property
    def _ends_shared(self) -> bool:
        """Whether there is a frontend that ends TLS with the shared certificates."""
        head = self.templates.get("HTTPS_FRONTEND_HEAD")
        used = not (self.sni.split and self.settings.group_https_by_vhost)
        return bool(self.settings.ssl_certs) and not (used and head.closed)

    def _asking(self) -> Iterator[Section]:
        """The TCP frontend that asks for the name."""
        head = self._chunk("HTTPS_GROUPED_FRONTEND_HEAD", self.shared)
        led = [rule for rule in self.sni.rules if self._leads_to(rule)]
        exact = [rule for rule in led if not is_wildcard(rule.host)]
        apart = [rule for rule in exact if not rule.plain]
        shared = [rule.host for rule in exact if rule.plain]
        rules = [self._rule(rule, rule.host) for rule in apart]
        for first in range(0, len(shared), _MANY):  # they lead to one place, and may be very many
            rules.append(self._rule(SniRule(""), " ".join(shared[first : first + _MANY])))
        wild = [rule for rule in led if is_wildcard(rule.host)]
        rules += [self._rule(rule, f"-m end {rule.host[1:]}") for rule in wild]
        rest = Chunk(f"  default_backend {self._name(SHARED)}\n", _NOBODY)
        chunks = (head, *rules, *((rest,) if self._ends_shared else ()))
        if head.text.strip() and len(chunks) > 1:
            yield _section("frontend", "marathon_https_in", chunks)

    def _leads_to(self, rule: SniRule) -> str:
        """The backend of a rule; empty where there is none, since there is no certificate."""
        if rule.passed is not None:
            return rule.passed.backend
        if rule.ended is not None:
            return self._name(rule.host)
        return self._name(SHARED) if self._ends_shared else ""

    def _rule(self, rule: SniRule, host: str) -> Chunk:
        variables = {**self.shared, "backend": self._leads_to(rule), "host": host}
        service = rule.passed or (rule.ended.service if rule.ended is not None else None)
        return self._chunk("HTTPS_GROUPED_VHOST_FRONTEND_ACL", variables, service)

    def _ended(self, own: TlsHost | None) -> Iterator[Section]:
        """The TLS frontend of a host, or that of the shared certificates, and the backend that leads there."""
        name = self._name(own.host if own is not None else SHARED)
        service = own.service if own is not None else None
        place = behind(self.settings, name)
        variables = {
            **self.shared,
            "name": name,
            "address": place.address,
            "bound": place.bound,
            "sslCerts": certificates((own.certs if own is not None else ()) or self.settings.ssl_certs),
            "bindOpts": f" {own.bind_options}" if own is not None and own.bind_options else "",
        }
        if own is None and not self.settings.group_https_by_vhost:
            head = self._chunk("HTTPS_FRONTEND_HEAD", variables)
            head = Chunk(moved(head.text, name, place.bound), head.owner)
        else:
            head = self._chunk("HTTPS_GROUPED_VHOST_FRONTEND_HEAD", variables, service)
            head = Chunk(place.instead(renamed(head.text, name), name), head.owner)
        back = self._chunk("HTTPS_GROUPED_VHOST_BACKEND_HEAD", variables, service)
        back = Chunk(place.instead(back.text, name), back.owner)
        if not head.text.strip() or not back.text.strip():
            return
        host = own.host if own is not None else None
        first: Sequence[AclRule] = self.rules.first
        later: Sequence[AclRule] = self.rules.later
        if host is not None:
            first, later = (rules.overlapping(host) for rules in self._rules_by_host)
        begin = (head, guards(head, self.settings), Chunk(self._guard(host), _NOBODY))
        yield _section("backend", name, (back,))
        yield _section("frontend", f"{name}_in", (*begin, *self.routing(first, later)))

    def _guard(self, host: str | None) -> str:
        """What sends a request back to the client whose host is another frontend's."""
        steps = sni.misdirected(self.sni, host)
        lines: list[str] = []
        for number, (sends_back, names) in enumerate(steps):
            word = "yes" if sends_back else "no"
            rule = f"  http-request set-var(txn.misdirected) str({word})"
            lines += _acl(f"misdirected_{number}", names)
            lines.append(f"{rule} if misdirected_{number}\n" if names else f"{rule}\n")
        if not lines:
            return ""
        answer = 'content-type text/plain string "421 Misdirected Request"'
        return (
            "".join(lines)
            + f"  http-request return status 421 {answer} if {{ var(txn.misdirected) -m str yes }}\n"
        )

    def _name(self, host: str) -> str:
        return sni.frontend_name(self.settings, host)

    def _chunk(self, name: str, variables: Mapping[str, Any], service: Service | None = None) -> Chunk:
        template = self.templates.get(name)
        app_id, index = service.key if service is not None else (None, None)
        text = checked_text(template, template.render(variables))
        if text and not text.endswith("\n"):
            text += "\n"
        return Chunk(text, Owner(app_id, index, name, template.source))


def moved(text: str, name: str, bound: str) -> str:
    """
    A frontend of the https port as one behind it: under another name, on its socket.

    :param bound: the words of the bind line for that.
    """
    taken = False

    def instead(found: re.Match[str]) -> str:
        nonlocal taken
        if taken:
            return ""
        taken = True
        return f"{found[1]} {bound} accept-proxy{found[2]}\n"

    return _BIND.sub(instead, _SECTION.sub(rf"\1frontend {name}_in", text, count=1))


def renamed(text: str, name: str) -> str:
    """The frontend under a name that is not its backend's, since HAProxy 3.3 refuses two of one name."""
    return _FRONTEND.sub(lambda found: f"{found[1]}{name}_in" if found[2] == name else found[0], text)


def _acl(name: str, hosts: Sequence[str]) -> Iterator[str]:
    """An ACL that matches some exact hosts, or one wildcard."""
    if hosts and is_wildcard(hosts[0]):
        yield f"  acl {name} {HOST} -m end {hosts[0][1:]}\n"
        return
    for first in range(0, len(hosts), _MANY):
        yield f"  acl {name} {HOST} -m str {' '.join(hosts[first : first + _MANY])}\n"


def _section(kind: str, name: str, chunks: Iterable[Chunk]) -> Section:
    return Section(kind, name, tuple(chunk for chunk in chunks if chunk.text))
