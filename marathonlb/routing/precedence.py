"""
The order of overlapping routing rules: the weight label, and its limits. Pure.

``HAPROXY_{n}_BACKEND_WEIGHT`` orders rules. It takes no request from an older app of another owner that the app would
get without the weight: such a weight is not used.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Container, Iterable, Iterator, Mapping, Sequence
from itertools import takewhile
from string import ascii_lowercase, ascii_uppercase

from attrs import field, frozen
from msgspec import Struct

from marathonlb.base import limits
from marathonlb.routing.hosts import hosts_below, is_wildcard, wildcards_above
from marathonlb.routing.names import owner_of
from marathonlb.routing.services.model import Service

Key = tuple[str, int]
"""The key of a service: the app's id and the port's index."""

HostPath = tuple[str, str]
"""A virtual host and a path prefix; the empty prefix is every path."""

MOST_COMPARED = 100_000
"""Maximum number of rules that the weights of one owner are compared with; a weight that meets more is not used."""

MOST_MOVED = 100
"""
Maximum number of other owners' hosts that one weight takes out of the map files; a weight that takes more is not used.

HAProxy finds a host in a map at once, and evaluates ACLs one by one: 5,000 of them take two milliseconds per request.
"""

_LOWER = str.maketrans(ascii_uppercase, ascii_lowercase)


def fold_case(path: str) -> str:
    """Return a path as HAProxy compares it where case is ignored: ASCII letters in lower case, others unchanged."""
    return path.translate(_LOWER)


def narrows(paths: Iterable[str]) -> bool:
    """Return True if prefixes exclude some path of the host; every path begins with ``/``."""
    prefixes = set(paths) - {""}
    return bool(prefixes) and "/" not in prefixes


def default_weight(has_path: bool, wildcard: bool) -> int:
    """Return the weight of a rule without a label: 0, 1 if a path is set, and less than both for wildcards."""
    return (1 if has_path else 0) - (2 if wildcard else 0)


def weight_of(service: Service, has_path: bool, wildcard: bool = False) -> int:
    """
    Return the weight of a rule: that of the service's label, else the default.

    :param has_path: the rule `narrows` its hosts.
    """
    return default_weight(has_path, wildcard) if service.weight is None else service.weight


def wishes(service: Service) -> list[HostPath]:
    """Return every host and path that a service wants."""
    return [(host, path) for host in service.hosts for path in (service.paths or ("",))]


def seniority(service: Service) -> tuple[str, str, int]:
    """Return the sort key by age: the smallest keeps what several services want."""
    return service.since, service.app_id, service.port_index


class _HostRule(Struct, frozen=True):
    """One host and path of a service."""

    service: Service
    host: str
    path: str

    def place(self, weight: int | None) -> tuple[int, bool, int, int]:
        """
        Return the rule's place if it had a weight; HAProxy evaluates the smallest first.

        :param weight: None for the default weight.
        """
        wildcard = is_wildcard(self.host)
        narrow = narrows((self.path,))
        if weight is None:
            weight = default_weight(narrow, wildcard)
        return -weight, wildcard, -len(self.host) if wildcard else 0, -len(self.path) if narrow else 0

    def meets(self, other: _HostRule) -> bool:
        """Return True if some path matches both rules; their hosts are known to overlap."""
        mine, theirs = self.path, other.path
        if self.service.ignore_path_case or other.service.ignore_path_case:
            mine, theirs = fold_case(mine), fold_case(theirs)
        return mine.startswith(theirs) or theirs.startswith(mine)


@frozen
class _HostRules:
    """
    The rules of all services by their hosts, to find those of older services that overlap.

    Everything is in the order of age, and each search ends at the first younger service: so the rules of younger
    services do not count towards the maximum that an owner's weights are compared with.
    """

    _by_host: Mapping[str, list[_HostRule]] = field(factory=dict)
    _below: Mapping[str, list[str]] = field(factory=dict)
    _age: Mapping[Key, int] = field(factory=dict)
    _compared: Counter[str] = field(factory=Counter, init=False)

    @classmethod
    def of(cls, services: Iterable[Service], lost: Mapping[Key, Collection[HostPath]]) -> _HostRules:
        """Return the rules of these services, the oldest first, without what each has lost."""
        age: dict[Key, int] = {}
        by_host: dict[str, list[_HostRule]] = {}
        wildcards: set[str] = set()
        for service in services:
            out = lost.get(service.key, ())
            age[service.key] = len(age)
            wildcards.update(host for host in service.hosts if is_wildcard(host))
            for host, path in wishes(service):
                if (host, path) not in out:
                    by_host.setdefault(host, []).append(_HostRule(service, host, path))
        return cls(by_host, hosts_below(by_host, wildcards), age)

    def overtaken(self, service: Service, unused: Container[Key]) -> Iterator[tuple[Service | None, bool]]:
        """
        Yield the older services of other owners that a weight puts behind, and the default weight would not.

        :param unused: the services, by key, whose own weight is not used.
        :return: each with True if both rules are of one host; None ends them if there are too many to compare.
        """
        owner = owner_of(service.app_id)
        for host, path in wishes(service):
            mine = _HostRule(service, host, path)
            place, default = mine.place(service.weight), mine.place(None)
            if place >= default:
                continue
            for other in self._overlapping(host, service):
                if self._exceeds_maximum(owner, 1):
                    yield None, False
                    return
                theirs = other.place(None if other.service.key in unused else other.service.weight)
                if place < theirs < default and owner_of(other.service.app_id) != owner and mine.meets(other):
                    yield other.service, other.host == host

    def moves_too_many(self, service: Service) -> bool:
        """Return True if a service's weight takes too many hosts of older services out of the map files."""
        owner = owner_of(service.app_id)
        others: set[str] = set()
        own: set[str] = set()
        for name in self._moved(service):
            rules = list(self._older(name, service))
            exceeded = self._exceeds_maximum(owner, len(rules))
            foreign = any(owner_of(rule.service.app_id) != owner for rule in rules)
            (others if foreign else own).add(name)
            if exceeded or len(others) > MOST_MOVED or len(own) > limits.ACL_RULES:
                return True
        return False

    def _moved(self, service: Service) -> Iterator[str]:
        """Yield the hosts of older services that a service's weight takes out of the maps; some more than once."""
        for host in service.hosts:
            wildcard = is_wildcard(host)
            if not wildcard and (service.weight or 0) >= 0:
                continue
            above = [name for name in wildcards_above(host) if name in self._by_host]
            for root in (*([host] if wildcard else ()), *above):
                yield from self._older_below(root, service)

    def _exceeds_maximum(self, owner: str, rules: int) -> bool:
        """Count rules that an owner's weights are compared with; return True if these were too many."""
        self._compared[owner] += rules
        return self._compared[owner] > MOST_COMPARED

    def _overlapping(self, host: str, service: Service) -> Iterator[_HostRule]:
        """Yield the rules of older services whose hosts overlap a host: itself, wildcards above it, names below it."""
        yield from self._older(host, service)
        for wildcard in wildcards_above(host):
            yield from self._older(wildcard, service)
        if is_wildcard(host):
            for name in self._older_below(host, service):
                yield from self._older(name, service)

    def _older(self, host: str, service: Service) -> Iterator[_HostRule]:
        """Yield the rules of a host that are older than a service."""
        own = self._age[service.key]
        return takewhile(lambda rule: self._age[rule.service.key] < own, self._by_host.get(host, ()))

    def _older_below(self, wildcard: str, service: Service) -> Iterator[str]:
        """Yield the hosts below a wildcard that have a rule older than a service."""
        own = self._age[service.key]
        hosts = self._below.get(wildcard, ())
        return takewhile(lambda host: self._age[self._by_host[host][0].service.key] < own, hosts)


def unused_weights(
    services: Sequence[Service], lost: Mapping[Key, Collection[HostPath]]
) -> tuple[dict[Key, Service | None], frozenset[Key]]:
    """
    Find the weights that would take requests from an older app of another owner.

    :param services: the oldest first.
    :param lost: by the service's key, the hosts and paths that other services have.
    :return: by key of each service with such a weight the older service, or None if too many rules are concerned;
        and the keys of all services whose age decides here.
    """
    weighted = [service for service in services if service.weight is not None and service.hosts]
    if not weighted:
        return {}, frozenset()
    rules = _HostRules.of(services, lost)
    unused: dict[Key, Service | None] = {}
    for service in weighted:
        if rules.moves_too_many(service):
            unused[service.key] = None
            continue
        for other, one_host in rules.overtaken(service, unused):
            if other is None:
                unused.setdefault(service.key, None)
            elif not (one_host and other.since == service.since):
                # Of two equally old apps neither is the younger: their weights order the paths of one host.
                unused.setdefault(service.key, other)
    return unused, frozenset(_meeting(services, weighted))


def _meeting(services: Iterable[Service], weighted: Collection[Service]) -> set[Key]:
    """Return the keys of services with a weight, and of those of other owners whose hosts overlap theirs."""
    owners: dict[str, set[str]] = {}
    for service in weighted:
        for host in service.hosts:
            for name in (host, *wildcards_above(host)):
                owners.setdefault(name, set()).add(owner_of(service.app_id))
    wild = {host: owners[host] for service in weighted for host in service.hosts if is_wildcard(host)}
    keys = {service.key for service in weighted}
    for service in services:
        mine = {owner_of(service.app_id)}
        for host in service.hosts:
            above = (wild.get(wildcard, mine) for wildcard in wildcards_above(host))
            if not owners.get(host, mine) <= mine or not all(theirs <= mine for theirs in above):
                keys.add(service.key)
                break
    return keys
