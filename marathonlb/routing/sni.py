"""
Who answers a TLS connection, by the name in its handshake: a frontend that ends TLS here, or a task behind it.

The port needs that question only where some host's TLS is its own: it is passed through, or under
``--group-https-by-vhost`` it has a certificate or bind options (client certificates, say) of its own. Then a TCP
frontend asks for the name, and everything else goes to the frontend of the shared certificates.

HTTP/2 connections are shared between hosts: a browser that holds one to ``a.example.com`` sends requests for
``b.example.com`` over it where the certificate fits both. So each frontend asks for the Host header as well, and
answers 421 (Misdirected Request) where the host is another one's; the browser then opens a connection of its own.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property

from attrs import evolve, frozen

from marathonlb import limits
from marathonlb.problem_kinds.kind import ProblemKind
from marathonlb.problem_kinds.operators import HOST_CERTIFICATE
from marathonlb.problem_kinds.sharing import CERTIFICATE_LIMIT, TLS_OPTIONS_UNUSED
from marathonlb.routing.hosts import covers, has_wildcard_above, hosts_below, is_wildcard, wildcards_above
from marathonlb.routing.names import owner_of
from marathonlb.routing.precedence import narrows, seniority
from marathonlb.routing.problems import Problem
from marathonlb.routing.rules import AclRule, MapRule, Rules
from marathonlb.routing.services.model import Service
from marathonlb.settings import Settings

SHARED = "shared."
"""What the frontend of the shared certificates is called, in the place of a host; none ends with a dot."""


@frozen
class TlsHost:
    """
    A host whose TLS is ended here in a frontend of its own.

    :param certs: its certificates; empty means the shared ones.
    :param bind_options: what its frontend's bind line has besides.
    :param service: who decides, where several services have this host.
    """

    host: str
    certs: tuple[str, ...]
    bind_options: str
    service: Service

    @property
    def demands(self) -> bool:
        """Whether clients are asked for certificates."""
        return _demands(self.bind_options)


def _demands(bind_options: str) -> bool:
    return re.search(r"(?:^|\s)verify\s+(?:required|optional)\b", bind_options) is not None


@frozen
class SniRule:
    """
    Where connections for a name go; a wildcard begins with ``*.``.

    :param passed: the service to which they are passed through.
    :param ended: the host whose frontend ends their TLS; without both it is the frontend of the shared certificates.
    """

    host: str
    passed: Service | None = None
    ended: TlsHost | None = None

    @property
    def plain(self) -> bool:
        """Whether it leads to the frontend of the shared certificates."""
        return self.passed is None and self.ended is None

    @property
    def guarded(self) -> bool:
        """Whether a request for this host that comes over another host's connection must be sent back."""
        return self.passed is not None or (self.ended is not None and self.ended.demands)


@frozen(slots=False)
class Sni:
    """
    What the https port does with the names.

    :param split: whether it asks for them at all.
    :param rules: exact names first, then wildcards, the longest first.
    :param contested: the services, by key, whose bind options or certificates compete for a host.
    :param shut: the services, by key, whose demand for client certificates is not that of a host; each with that host.
    """

    split: bool = False
    rules: tuple[SniRule, ...] = ()
    problems: tuple[Problem, ...] = ()
    contested: frozenset[tuple[str, int]] = frozenset()
    shut: frozenset[tuple[tuple[str, int], str]] = frozenset()

    @property
    def ended(self) -> tuple[TlsHost, ...]:
        """The hosts with a frontend of their own."""
        return tuple(rule.ended for rule in self.rules if rule.ended is not None)

    @cached_property
    def below(self) -> Mapping[str, list[str]]:
        """By wildcard, the hosts of the rules that it is about, in their order."""
        hosts = [rule.host for rule in self.rules]
        return hosts_below(hosts, {host for host in hosts if is_wildcard(host)})

    @cached_property
    def guarded(self) -> frozenset[str]:
        """The hosts whose requests are sent back where they come over another host's connection."""
        return frozenset(rule.host for rule in self.rules if rule.guarded)


def tls_of(services: Sequence[Service], rules: Rules, settings: Settings) -> tuple[Rules, Sni]:
    """
    What the https port does for these services, and the rules without those that would serve without a demand.

    A service that demands client certificates has no part of a host that does not.
    """
    sni = sni_of(services, rules, settings)
    if not sni.shut:
        return rules, sni
    paths, hosts, wildcards = (
        tuple(entry for entry in entries if (entry.service.key, _HOSTS[name](entry)) not in sni.shut)
        for name, entries in (("paths", rules.paths), ("hosts", rules.hosts), ("wildcards", rules.wildcards))
    )
    first, later = _open(rules.first, sni), _open(rules.later, sni)
    closed = evolve(rules, first=first, later=later, paths=paths, hosts=hosts, wildcards=wildcards)
    return closed, evolve(sni_of(services, closed, settings), problems=sni.problems, contested=sni.contested)


def _open(rules: Iterable[AclRule], sni: Sni) -> tuple[AclRule, ...]:
    kept = []
    for rule in rules:
        hosts = tuple(host for host in rule.hosts if (rule.service.key, host) not in sni.shut)
        if hosts:
            kept.append(rule if hosts == rule.hosts else evolve(rule, hosts=hosts))
    return tuple(kept)


_HOSTS: Mapping[str, Callable[[MapRule], str]] = {
    "paths": lambda entry: entry.key.partition("/")[0],
    "hosts": lambda entry: entry.key,
    "wildcards": lambda entry: f"*{entry.key}",
}
"""The maps of a shared frontend, with the virtual host of an entry."""


def sni_of(services: Iterable[Service], rules: Rules, settings: Settings) -> Sni:
    """
    What the https port does for these services.

    :param services: with the hosts that each may have passed through.
    :param rules: of the shared frontends: who has which host.
    """
    if settings.dont_bind_http_https:
        return Sni()
    passed = {host: service for service in services for host in service.passthrough}
    if not passed and not settings.group_https_by_vhost:
        return Sni()
    by_host: dict[str, dict[tuple[str, int], Service]] = {}
    roots: dict[str, Service] = {}
    for host, service, root in _routed(rules):
        by_host.setdefault(host, {})[service.key] = service
        if root:
            roots[host] = service
    problems: list[Problem] = []
    ended: dict[str, TlsHost] = {}
    shut: set[tuple[tuple[str, int], str]] = set()
    if settings.group_https_by_vhost:
        for host, owners in sorted(by_host.items()):
            ordered = sorted(owners.values(), key=seniority)
            holder = roots.get(host, ordered[0])
            eldest = ordered[0] if ordered[0].since < holder.since else holder
            mine = _of_one_owner(host, ordered, eldest, problems)
            own = _tls_host(host, mine, settings, problems)
            shut |= {(each.key, host) for each in ordered if each not in mine and _demands(each.bind_options)}
            if own is not None and host not in passed:
                ended[host] = own
    found = [SniRule(host, passed=service) for host, service in passed.items()]
    found += [SniRule(host, ended=own) for host, own in ended.items()]
    wildcards = {rule.host for rule in found if is_wildcard(rule.host)}
    found += [
        SniRule(host)
        for host in by_host
        if host not in passed and host not in ended and has_wildcard_above(host, wildcards)
    ]
    contested = frozenset(
        key
        for owners in by_host.values()
        if len(owners) > 1 and any(owner.bind_options or owner.ssl_certs for owner in owners.values())
        for key in owners
    )
    found.sort(key=lambda rule: specificity(rule.host))
    return Sni(True, tuple(found), tuple(problems), contested, frozenset(shut))


def specificity(host: str) -> tuple[bool, int, str]:
    """The place of a host among the rules: exact names, then wildcards, the longest first."""
    wildcard = is_wildcard(host)
    return wildcard, -len(host) if wildcard else 0, host


def rule_for(sni: Sni, host: str) -> SniRule | None:
    """The rule for the name of a handshake; None where it goes to the shared certificates."""
    return next((rule for rule in sni.rules if covers(rule.host, host)), None)


def frontend_name(settings: Settings, host: str) -> str:
    """
    The name of the backend and the frontend of a host.

    It tells apart the hosts that look alike when cleaned, and no host can be made up that has another's name.
    """
    digest = hashlib.sha256(f"{settings.bind_https} {host}".encode()).hexdigest()[:20]
    return f"marathon_https_{re.sub(r'[^A-Za-z0-9-]', '_', host, flags=re.ASCII)[:40]}_{digest}"


class Concerned:
    """
    Knows which routing rules may catch a request for a host, or for one that a wildcard is about.

    :param hosts: those that are asked about.
    """

    def __init__(self, rules: Sequence[AclRule], hosts: Iterable[str]) -> None:
        self._rules = rules
        self._named: dict[str, list[tuple[int, int]]] = {}
        for place, rule in enumerate(rules):
            for number, name in enumerate(rule.hosts):
                self._named.setdefault(name, []).append((place, number))
        self._below = hosts_below(self._named, {host for host in hosts if is_wildcard(host)})

    def about(self, host: str) -> list[AclRule]:
        """
        The rules for a host, in their order: its own, those of wildcards that cover it, and of what it covers.

        Each has those of its hosts alone, lest thousands of frontends name thousands of hosts; one that somebody's
        template writes keeps its first host, after which its ACLs are named.
        """
        names = (host, *wildcards_above(host), *self._below.get(host, ()))
        found: dict[int, set[int]] = {}
        for name in names:
            for place, number in self._named.get(name, ()):
                found.setdefault(place, set()).add(number)
        return [self._with(self._rules[place], found[place]) for place in sorted(found)]

    @staticmethod
    def _with(rule: AclRule, numbers: set[int]) -> AclRule:
        """The rule with some of its hosts."""
        kept = numbers | {0} if rule.overridden else numbers
        return evolve(rule, hosts=tuple(rule.hosts[number] for number in sorted(kept)))


def misdirected(sni: Sni, host: str | None) -> list[tuple[bool, tuple[str, ...]]]:
    """
    Which requests a frontend sends back: hosts, from the general to the special; the last that fits holds.

    :param host: whose frontend it is; None for that of the shared certificates, which sends back what only the guarded
        hosts' own frontends may serve.
    :return: whether they are sent back, and the hosts: exact ones, or a single wildcard; none means all.
    """
    if host is not None:
        special = sni.below.get(host, [])
        names = tuple(name for name in special if not is_wildcard(name))
        deeper = [(True, (name,)) for name in special if is_wildcard(name)]
        return [(True, ()), (False, (host,)), *deeper, *([(True, names)] if names else [])]
    wildcards = {name for name in sni.guarded if is_wildcard(name)}
    steps: list[tuple[bool, tuple[str, ...]]] = []
    exact: dict[bool, list[str]] = {False: [], True: []}
    for rule in reversed(sni.rules):
        sends_back = rule.host in sni.guarded
        if not sends_back and not has_wildcard_above(rule.host, wildcards):
            continue
        if is_wildcard(rule.host):
            steps.append((sends_back, (rule.host,)))
        else:
            exact[sends_back].append(rule.host)
    return [*steps, *((sends_back, tuple(sorted(hosts))) for sends_back, hosts in exact.items() if hosts)]


def _routed(rules: Rules) -> Iterable[tuple[str, Service, bool]]:
    """The hosts of all rules, each with its service and whether that has all of the host."""
    for acl in (*rules.first, *rules.later):
        for host in acl.hosts:
            yield host, acl.service, not narrows(acl.paths)
    for entry in rules.paths:
        host, _, path = entry.key.partition("/")
        yield host, entry.service, not path
    for name in ("hosts", "wildcards"):
        for entry in getattr(rules, name):
            yield _HOSTS[name](entry), entry.service, True


def _tls_host(
    host: str, owners: list[Service], settings: Settings, problems: list[Problem]
) -> TlsHost | None:
    """
    The TLS of one host; where its services want several, the oldest app decides, and its certificate comes first.

    :param owners: the oldest first.
    """
    wishing = [owner for owner in owners if owner.bind_options]
    words = len(wishing[0].bind_options.split()) if wishing else 0
    certs = _certificates(host, owners, min(limits.CERTIFICATES, (limits.BIND_WORDS - words) // 2), problems)
    if not certs and not wishing:
        return None
    options = wishing[0].bind_options if wishing else ""
    for other in wishing[1:]:
        if other.bind_options != options:
            reason = (
                f"is not used for {host} on the https port: those of {wishing[0].app_id} are, which is older"
            )
            problems.append(
                _problem(
                    other, "BIND_OPTIONS", other.bind_options, reason, TLS_OPTIONS_UNUSED, wishing[0].app_id
                )
            )
    decides = wishing[0] if wishing else next(owner for owner in owners if owner.ssl_certs)
    if not certs and not settings.ssl_certs:
        label = f"HAPROXY_{decides.port_index}_SSL_CERT"
        reason = f"has no certificate for https; {label} or --ssl-certs names one"
        problems.append(_problem(decides, "VHOST", host, reason, HOST_CERTIFICATE))
        return None
    return TlsHost(host, certs, wishing[0].files.bind_options if wishing else "", decides)


def _of_one_owner(
    host: str, services: list[Service], holder: Service, problems: list[Problem]
) -> list[Service]:
    """
    The services of a host that have a say in its TLS: those of one owner. The others are told what is not used.

    Whoever has a path of another owner's host could else shut all its clients out, or let all in.

    :param holder: the oldest service, of equally old ones that which has all of the host.
    """
    kept = []
    for service in services:
        if owner_of(service.app_id) == owner_of(holder.app_id):
            kept.append(service)
            continue
        reason = f"is not used for {host} on the https port: the host is that of {holder.app_id}"
        if service.bind_options:
            demand = "; without its demand for client certificates, the service has no part of the host"
            more = demand if _demands(service.bind_options) else ""
            reason_of_options = reason + more
            problems.append(
                _problem(
                    service,
                    "BIND_OPTIONS",
                    service.bind_options,
                    reason_of_options,
                    TLS_OPTIONS_UNUSED,
                    holder.app_id,
                )
            )
        if service.ssl_certs:
            certs = ",".join(service.ssl_certs)
            problems.append(_problem(service, "SSL_CERT", certs, reason, TLS_OPTIONS_UNUSED, holder.app_id))
    return kept


def _certificates(host: str, owners: list[Service], most: int, problems: list[Problem]) -> tuple[str, ...]:
    """The certificates of a host, the oldest app's first: so many that they have room on one line."""
    found: dict[str, None] = {}
    for owner in owners:
        more = [path for path in owner.files.certs if path not in found]
        if len(found) + len(more) > most:
            reason = f"is not used for {host}, which has room for {most}, those of older apps first"
            certs = ",".join(owner.ssl_certs)
            problems.append(_problem(owner, "SSL_CERT", certs, reason, CERTIFICATE_LIMIT))
            continue
        found.update(dict.fromkeys(more))
    return tuple(found)


def _problem(
    service: Service, label: str, value: str, reason: str, kind: ProblemKind, rival: str = ""
) -> Problem:
    index = service.port_index
    label = f"HAPROXY_{index}_{label}"
    return Problem(service.app_id, index, label, value, reason, fatal=False, kind=kind, rival=rival)
