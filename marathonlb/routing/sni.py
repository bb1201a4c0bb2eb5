"""
Which frontend or backend gets a TLS connection, by the name in its handshake (SNI).

A TCP frontend inspects the name only where some host's TLS is its own: it is passed through, or under
``--group-https-by-vhost`` the host has a certificate or bind options (client certificates, say) of its own. All other
connections go to the frontend of the shared certificates.

Browsers share HTTP/2 connections between hosts: one that has a connection to ``a.example.com`` sends requests for
``b.example.com`` over it if the certificate is valid for both. So each frontend also checks the Host header, and
answers 421 (Misdirected Request) for another frontend's host; the browser then opens a new connection.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property

from attrs import evolve, frozen
from msgspec import Struct

from marathonlb.routing.hosts import covers, has_wildcard_above, hosts_below, is_wildcard
from marathonlb.routing.precedence import Key
from marathonlb.routing.problems import Problem
from marathonlb.routing.rules import AclRule, MapRule, Rules
from marathonlb.routing.services.model import Service
from marathonlb.routing.tls_hosts import HOST_OF_ENTRY, HostTls, TlsHost, services_by_host
from marathonlb.settings import Settings

SHARED = "shared."
"""The name of the frontend of the shared certificates in the place of a host; no host ends with a dot."""


class SniRule(Struct, frozen=True):
    """
    The destination of connections for a name; a wildcard begins with ``*.``.

    :param passed: the service that gets them with their TLS passed through.
    :param ended: the host whose frontend terminates their TLS; without both it is the frontend of the shared
        certificates.
    """

    host: str
    passed: Service | None = None
    ended: TlsHost | None = None

    @property
    def plain(self) -> bool:
        """True if it leads to the frontend of the shared certificates."""
        return self.passed is None and self.ended is None

    @property
    def guarded(self) -> bool:
        """True if a request for this host that comes over another host's connection must be answered with 421."""
        return self.passed is not None or (self.ended is not None and self.ended.demands)


@frozen(slots=False)
class Sni:
    """
    The rules of the https port.

    :param split: True if it inspects the names of handshakes.
    :param rules: exact names first, then wildcards, the longest first.
    :param contested: the keys of services whose bind options or certificates compete for a host.
    :param excluded: services, by key, that ask for client certificates where a host does not; each with that host.
    """

    split: bool = False
    rules: tuple[SniRule, ...] = ()
    problems: tuple[Problem, ...] = ()
    contested: frozenset[Key] = frozenset()
    excluded: frozenset[tuple[Key, str]] = frozenset()

    @property
    def ended(self) -> tuple[TlsHost, ...]:
        """The hosts with a frontend of their own."""
        return tuple(rule.ended for rule in self.rules if rule.ended is not None)

    @cached_property
    def below(self) -> Mapping[str, list[str]]:
        """By wildcard, the hosts of the rules below it, in their order."""
        hosts = [rule.host for rule in self.rules]
        return hosts_below(hosts, {host for host in hosts if is_wildcard(host)})

    @cached_property
    def guarded(self) -> frozenset[str]:
        """The hosts whose requests are answered with 421 where they come over another host's connection."""
        return frozenset(rule.host for rule in self.rules if rule.guarded)


def tls_of(services: Sequence[Service], rules: Rules, settings: Settings) -> tuple[Rules, Sni]:
    """
    Return the rules of the https port, and the routing rules without those of excluded services.

    A service that asks for client certificates has no part of a host that does not ask for them.
    """
    sni = sni_of(services, rules, settings)
    if not sni.excluded:
        return rules, sni
    kept = evolve(
        rules,
        first=_without_excluded(rules.first, sni),
        later=_without_excluded(rules.later, sni),
        paths=_entries_without_excluded("paths", rules.paths, sni),
        hosts=_entries_without_excluded("hosts", rules.hosts, sni),
        wildcards=_entries_without_excluded("wildcards", rules.wildcards, sni),
    )
    return kept, evolve(sni_of(services, kept, settings), problems=sni.problems, contested=sni.contested)


def _without_excluded(rules: Iterable[AclRule], sni: Sni) -> tuple[AclRule, ...]:
    kept = []
    for rule in rules:
        hosts = tuple(host for host in rule.hosts if (rule.service.key, host) not in sni.excluded)
        if hosts:
            kept.append(rule if hosts == rule.hosts else evolve(rule, hosts=hosts))
    return tuple(kept)


def _entries_without_excluded(name: str, entries: Iterable[MapRule], sni: Sni) -> tuple[MapRule, ...]:
    host_of = HOST_OF_ENTRY[name]
    return tuple(entry for entry in entries if (entry.service.key, host_of(entry)) not in sni.excluded)


def sni_of(services: Iterable[Service], rules: Rules, settings: Settings) -> Sni:
    """
    Return the rules of the https port.

    :param services: with the hosts that each may have passed through.
    :param rules: the routing rules of the shared frontends: the services of each host.
    """
    if settings.dont_bind_http_https:
        return Sni()
    passed = {host: service for service in services for host in service.passthrough}
    if not passed and not settings.group_https_by_vhost:
        return Sni()
    by_host = services_by_host(rules)
    decided = (
        {host: HostTls(by_host[host], settings) for host in sorted(by_host)}
        if settings.group_https_by_vhost
        else {}
    )
    ended = {host: tls.own for host, tls in decided.items() if tls.own is not None and host not in passed}
    return Sni(
        split=True,
        rules=_rules(passed, ended, by_host),
        problems=tuple(problem for tls in decided.values() for problem in tls.problems),
        contested=frozenset(
            key for of_host in by_host.values() if of_host.contested for key in of_host.services
        ),
        excluded=frozenset((key, host) for host, tls in decided.items() for key in tls.excluded),
    )


def _rules(
    passed: Mapping[str, Service], ended: Mapping[str, TlsHost], hosts: Iterable[str]
) -> tuple[SniRule, ...]:
    """Return the rules of hosts with TLS of their own, and of the other hosts below a wildcard among them."""
    rules = [SniRule(host, passed=service) for host, service in passed.items()]
    rules += [SniRule(host, ended=own) for host, own in ended.items()]
    wildcards = {rule.host for rule in rules if is_wildcard(rule.host)}
    rules += [
        SniRule(host)
        for host in hosts
        if host not in passed and host not in ended and has_wildcard_above(host, wildcards)
    ]
    return tuple(sorted(rules, key=lambda rule: specificity(rule.host)))


def specificity(host: str) -> tuple[bool, int, str]:
    """Return the sort key of a host among the rules: exact names, then wildcards, the longest first."""
    wildcard = is_wildcard(host)
    return wildcard, -len(host) if wildcard else 0, host


def rule_for(sni: Sni, host: str) -> SniRule | None:
    """Return the rule for the name of a handshake; None if it goes to the shared certificates."""
    return next((rule for rule in sni.rules if covers(rule.host, host)), None)


def frontend_name(settings: Settings, host: str) -> str:
    """
    Return the name of a host's frontend, which is also that of the backend before it.

    It is distinct for hosts that look alike when cleaned, and no host can be made up that has another's name.
    """
    digest = hashlib.sha256(f"{settings.bind_https} {host}".encode()).hexdigest()[:20]
    return f"marathon_https_{re.sub(r'[^A-Za-z0-9-]', '_', host, flags=re.ASCII)[:40]}_{digest}"


def misdirected(sni: Sni, host: str | None) -> list[tuple[bool, tuple[str, ...]]]:
    """
    Return which requests a frontend answers with 421: steps from the general to the special; the last match applies.

    :param host: the host of the frontend; None for that of the shared certificates, which answers 421 only for the
        hosts that must have a connection of their own.
    :return: True if they are answered with 421, and the hosts: exact ones, or one wildcard; none means all.
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
        guarded = rule.host in sni.guarded
        if not guarded and not has_wildcard_above(rule.host, wildcards):
            continue
        if is_wildcard(rule.host):
            steps.append((guarded, (rule.host,)))
        else:
            exact[guarded].append(rule.host)
    return [*steps, *((guarded, tuple(sorted(hosts))) for guarded, hosts in exact.items() if hosts)]
