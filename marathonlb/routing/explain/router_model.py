"""
A model of HAProxy's routing: which rule of a shared frontend catches a request.

It reads the same `Rules` that the configuration's text is made of, in the order in which the frontends ask them. Tests
send the same requests to the model and to a real HAProxy.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from msgspec import Struct

from marathonlb.routing.hosts import covers, is_wildcard
from marathonlb.routing.precedence import fold_case, narrows, weight_of
from marathonlb.routing.rules import AclRule, MapRule, Rules
from marathonlb.routing.services.model import Service

ODD = r"[^!$%&-+.0-;=A-Z_a-z~[\]-]"
"""Characters that no Host header may hold: HAProxy answers 400."""

_ODD_HOST = re.compile(ODD)

PATHS, HOSTS, WILDCARDS = "path2backend.map", "domain2backend.map", "wildcard2backend.map"


class Match(Struct, frozen=True):
    """
    A rule that a request fits.

    :param host: the host of the rule that fits; a wildcard begins with ``*.``.
    :param path: the prefix that fits; empty means every path.
    """

    rule: AclRule | MapRule
    host: str
    path: str = ""

    @property
    def service(self) -> Service:
        """The service that the rule leads to; its servers may be older than the rule's text."""
        return self.rule.service

    @property
    def wildcard(self) -> bool:
        """True if a wildcard fits, and no exact name."""
        return is_wildcard(self.host)

    @property
    def map(self) -> str:
        """The map file that holds the rule; empty if it is an ACL."""
        return self.rule.map if isinstance(self.rule, MapRule) else ""


def route(rules: Rules, host: str, path: str) -> Match | None:
    """
    Return the rule that catches a request; None if the frontend answers 503, or 400 for an invalid host.

    :param host: the Host header as it was sent: any case, with or without a port.
    :param path: the path as it was sent, without the query.
    """
    return next(_asked(rules, plain_host(host), path), None)


def matches(rules: Rules, host: str, path: str) -> tuple[Match, ...]:
    """Return every rule that a request fits, in the order in which HAProxy asks them: the first one catches it."""
    return tuple(_asked(rules, plain_host(host), path))


def plain_host(header: str) -> str:
    """Return the Host header as the rules see it (``host_only,lower,rtrim(.)``): without port and dots at its end."""
    place = max(header.rfind("]"), header.rfind(":"))
    host = header[:place] if header[place : place + 1] == ":" else header
    return fold_case(host).rstrip(".")


def odd_host(header: str) -> bool:
    """Return True if HAProxy answers 400 to a Host header, whatever the rules are."""
    return _ODD_HOST.search(header) is not None


def _asked(rules: Rules, host: str, path: str) -> Iterator[Match]:
    if odd_host(host):
        return
    yield from _by_acls(rules.first, host, path)
    key = host + path
    by_path = [rule for rule in rules.paths if key.startswith(rule.key)]
    for rule in sorted(by_path, key=lambda rule: -len(rule.key)):
        yield Match(rule, rule.key.partition("/")[0], rule.key[rule.key.index("/") :])
    yield from (Match(rule, rule.key) for rule in rules.hosts if rule.key == host)
    yield from _by_acls(rules.later, host, path)
    yield from (Match(rule, name) for rule in rules.wildcards if covers(name := f"*{rule.key}", host))


def _by_acls(rules: Iterable[AclRule], host: str, path: str) -> Iterator[Match]:
    for rule in rules:
        name = next((pattern for pattern in rule.hosts if covers(pattern, host)), None)
        if name is None:
            continue
        if not rule.paths:
            yield Match(rule, name)
            continue
        asked = fold_case(path) if rule.service.ignore_path_case else path
        fold = fold_case if rule.service.ignore_path_case else str
        prefixes = [prefix for prefix in rule.paths if asked.startswith(fold(prefix))]
        if prefixes:
            yield Match(rule, name, max(prefixes, key=len))


def why_before(winner: Match, loser: Match) -> str:
    """Return why one rule is asked before another one that fits as well."""
    mine, other = winner.service, loser.service
    if mine.weight is not None or other.weight is not None:
        ours = weight_of(mine, narrows((winner.path,)), winner.wildcard)
        theirs = weight_of(other, narrows((loser.path,)), loser.wildcard)
        if ours > theirs:
            return f"the larger weight goes first ({ours}, not {theirs})"
    if not winner.wildcard and loser.wildcard:
        return "an exact name goes before a wildcard"
    if winner.wildcard and loser.wildcard and len(winner.host) > len(loser.host):
        return "the longer name goes first"
    if len(winner.path) > len(loser.path):
        return "the longer path goes first"
    if not winner.map and loser.map:
        return "ACLs are asked before the maps"
    return "its rule stands first"
