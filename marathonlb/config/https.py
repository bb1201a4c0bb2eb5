"""
The https port: one frontend that terminates TLS, or a TCP frontend that reads the SNI and TLS frontends behind it.

If the SNI decides (`marathonlb.routing.sni`), a TCP frontend is bound to the port. The TLS frontends behind it listen
on sockets in the state directory and get the client's address by the PROXY protocol. Only HAProxy may connect to these
sockets, because a program that can connect may claim any client address.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

from attrs import frozen
from msgspec import Struct

from marathonlb.config.requests import guards
from marathonlb.config.templates.chunks import render_chunk
from marathonlb.config.templates.loader import Templates
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
"""Function of the ACL rules before and after the maps, which returns the routing rules of a TLS frontend."""

SOCKET_PREFIX = "tls-"
"""Prefix of the names of the sockets."""

_DIGEST_BYTES = 10

LONGEST_SOCKET_NAME = len(SOCKET_PREFIX) + len(base64.b32encode(bytes(_DIGEST_BYTES)))
"""Bytes of the longest name of a socket in the state directory."""

_OURS = Owner(None, None, "", "default")
_HOSTS_PER_LINE = 40
"""Maximum number of hosts on one line; HAProxy takes 64 words."""

_SECTION = re.compile(r"^([ \t]*)(?:frontend|listen)[ \t]+\S+", re.MULTILINE)
_FRONTEND = re.compile(r"^([ \t]*frontend[ \t]+)(\S+)[ \t]*$", re.MULTILINE)
_BIND = re.compile(r"^([ \t]*bind)[ \t]+\S+(.*)\n?", re.MULTILINE)


class TlsSocket(Struct, frozen=True):
    """
    The socket of a TLS frontend behind the https port.

    :param address: the address as HAProxy takes it.
    :param options: the further words of the bind line, which restrict who may connect.
    """

    address: str
    options: str = ""

    @property
    def bound(self) -> str:
        """The words of the bind line."""
        return self.address + self.options

    def inserted(self, text: str, name: str) -> str:
        """Return an operator's text with this socket in place of the abstract socket of this name."""
        if f"abns@{name}" not in text:
            return text
        pattern = rf"^([ \t]*bind[ \t]+)?(.*?)abns@{re.escape(name)}(?=\s|$)"
        return re.sub(
            pattern,
            lambda match: f"{match[1] or ''}{match[2]}{self.bound if match[1] else self.address}",
            text,
            flags=re.MULTILINE,
        )


def tls_socket(settings: Settings, name: str) -> TlsSocket:
    """
    Return the socket of the TLS frontend with this name.

    The path depends on the socket's owner, because HAProxy passes a socket on over reloads with the rights it was bound
    with. If HAProxy's worker cannot reach the state directory, the socket is an abstract one, to which every local user
    can connect.
    """
    account = settings.account
    if account is not None and not account.reaches:
        return TlsSocket(f"abns@{name}")
    owner = f" uid {account.uid} gid {account.gid}" if account is not None else ""
    digest = hashlib.sha256(f"{name}{owner}".encode()).digest()[:_DIGEST_BYTES]
    word = base64.b32encode(digest).decode().lower()
    return TlsSocket(f"unix@{settings.state_dir}/{SOCKET_PREFIX}{word}", f" mode 600{owner}")


@frozen(slots=False)
class HttpsPort:
    """
    Renders the sections of the https port.

    :param shared: the variables of templates that belong to no service.
    :param routing: renders the routing rules, which are the same in every TLS frontend.
    :param rules: the routing rules.
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
        """Yield the problems of the operator's."""
        account = self.settings.account
        if self.sni.split and account is not None and not account.reaches:
            value = f"user {account.user}" + (f", chroot {account.chroot}" if account.chroot else "")
            reason = (
                "keeps HAProxy from the state directory, so every local user can connect to the frontends behind the "
                "https port and claim any client address. Leave `user`, `group` and `chroot` out: HAProxy gives up "
                "root anyway; or choose a --state-dir that this user reaches, within the chroot"
            )
            yield Problem("", None, "HAPROXY_HEAD", value, reason, fatal=False, kind=HAPROXY_USER)

    def sections(self) -> Iterator[Section]:
        """Yield the sections that are not switched off. Raises `TemplateError` if one needs a closed template."""
        if not self.sni.split:
            if self._has_shared_frontend:
                yield from self._only_frontend()
            return
        yield from self._sni_frontend()
        for tls_host in self.sni.ended:
            yield from self._tls_frontend(tls_host)
        if self._has_shared_frontend:
            yield from self._tls_frontend(None)

    def _only_frontend(self) -> Iterator[Section]:
        """Yield the TLS frontend on the https port if no SNI frontend is needed."""
        head = self._chunk("HTTPS_FRONTEND_HEAD", self.shared)
        if head.text.strip():
            routing = self.routing(self.rules.first, self.rules.later)
            yield _section("frontend", "marathon_https_in", (head, guards(head, self.settings), *routing))

    @property
    def _has_shared_frontend(self) -> bool:
        """True if a frontend terminates TLS with the shared certificates."""
        head = self.templates.get("HTTPS_FRONTEND_HEAD")
        used = not (self.sni.split and self.settings.group_https_by_vhost)
        return bool(self.settings.ssl_certs) and not (used and head.closed)

    def _sni_frontend(self) -> Iterator[Section]:
        """Yield the TCP frontend that reads the SNI."""
        head = self._chunk("HTTPS_GROUPED_FRONTEND_HEAD", self.shared)
        routed = [rule for rule in self.sni.rules if self._backend(rule)]
        exact = [rule for rule in routed if not is_wildcard(rule.host)]
        shared = [rule.host for rule in exact if rule.plain]
        rules = [self._rule(rule, rule.host) for rule in exact if not rule.plain]
        for first in range(0, len(shared), _HOSTS_PER_LINE):  # one backend for all, and possibly very many
            rules.append(self._rule(SniRule(""), " ".join(shared[first : first + _HOSTS_PER_LINE])))
        wildcards = [rule for rule in routed if is_wildcard(rule.host)]
        rules += [self._rule(rule, f"-m end {rule.host[1:]}") for rule in wildcards]
        default = Chunk(f"  default_backend {self._name(SHARED)}\n", _OURS)
        chunks = (head, *rules, *((default,) if self._has_shared_frontend else ()))
        if head.text.strip() and len(chunks) > 1:
            yield _section("frontend", "marathon_https_in", chunks)

    def _backend(self, rule: SniRule) -> str:
        """Return the backend of a rule; empty if there is none because there is no certificate."""
        if rule.passed is not None:
            return rule.passed.backend
        if rule.ended is not None:
            return self._name(rule.host)
        return self._name(SHARED) if self._has_shared_frontend else ""

    def _rule(self, rule: SniRule, host: str) -> Chunk:
        variables = {**self.shared, "backend": self._backend(rule), "host": host}
        service = rule.passed or (rule.ended.service if rule.ended is not None else None)
        return self._chunk("HTTPS_GROUPED_VHOST_FRONTEND_ACL", variables, service)

    def _tls_frontend(self, own: TlsHost | None) -> Iterator[Section]:
        """Yield the backend and the TLS frontend of a host; with None those of the shared certificates."""
        name = self._name(own.host if own is not None else SHARED)
        head, back = self._heads(own, name)
        if not head.text.strip() or not back.text.strip():
            return
        first: Sequence[AclRule] = self.rules.first
        later: Sequence[AclRule] = self.rules.later
        host = own.host if own is not None else None
        if host is not None:
            first, later = (rules.overlapping(host) for rules in self._rules_by_host)
        lines = (guards(head, self.settings), Chunk(self._guard(host), _OURS), *self.routing(first, later))
        yield _section("backend", name, (back,))
        yield _section("frontend", f"{name}_in", (head, *lines))

    def _heads(self, own: TlsHost | None, name: str) -> tuple[Chunk, Chunk]:
        """Return the first lines of a TLS frontend and of the backend that connects to it."""
        service = own.service if own is not None else None
        socket = tls_socket(self.settings, name)
        variables = {
            **self.shared,
            "name": name,
            "address": socket.address,
            "bound": socket.bound,
            "sslCerts": certificates((own.certs if own is not None else ()) or self.settings.ssl_certs),
            "bindOpts": f" {own.bind_options}" if own is not None and own.bind_options else "",
        }
        if own is None and not self.settings.group_https_by_vhost:
            head = self._chunk("HTTPS_FRONTEND_HEAD", variables)
            head = Chunk(moved(head.text, name, socket.bound), head.owner)
        else:
            head = self._chunk("HTTPS_GROUPED_VHOST_FRONTEND_HEAD", variables, service)
            head = Chunk(socket.inserted(renamed(head.text, name), name), head.owner)
        back = self._chunk("HTTPS_GROUPED_VHOST_BACKEND_HEAD", variables, service)
        return head, Chunk(socket.inserted(back.text, name), back.owner)

    def _guard(self, host: str | None) -> str:
        """Return the rules that answer 421 to requests whose host belongs to another frontend."""
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
        return render_chunk(template, Owner(app_id, index, name, template.source), variables)


def moved(text: str, name: str, bound: str) -> str:
    """
    Return the text of a frontend on the https port as one behind it: with another name, on its socket.

    :param bound: the words of the bind line.
    """
    is_bound = False

    def replacement(match: re.Match[str]) -> str:
        nonlocal is_bound
        if is_bound:
            return ""
        is_bound = True
        return f"{match[1]} {bound} accept-proxy{match[2]}\n"

    return _BIND.sub(replacement, _SECTION.sub(rf"\1frontend {name}_in", text, count=1))


def renamed(text: str, name: str) -> str:
    """Return a frontend's text with a name other than its backend's, as HAProxy 3.3 requires."""
    return _FRONTEND.sub(lambda match: f"{match[1]}{name}_in" if match[2] == name else match[0], text)


def _acl(name: str, hosts: Sequence[str]) -> Iterator[str]:
    """Yield the lines of an ACL for exact hosts, or for one wildcard."""
    if hosts and is_wildcard(hosts[0]):
        yield f"  acl {name} {HOST} -m end {hosts[0][1:]}\n"
        return
    for first in range(0, len(hosts), _HOSTS_PER_LINE):
        yield f"  acl {name} {HOST} -m str {' '.join(hosts[first : first + _HOSTS_PER_LINE])}\n"


def _section(kind: str, name: str, chunks: Iterable[Chunk]) -> Section:
    return Section(kind, name, tuple(chunk for chunk in chunks if chunk.text))
