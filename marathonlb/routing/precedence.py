"""
The order of overlapping rules: the weight that an owner gives, and what it may not do. Pure.

``HAPROXY_{n}_BACKEND_WEIGHT`` orders rules. It does not take from an older app of another owner what that would get
without it: such a weight is not used.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Container, Iterable, Iterator, Mapping, Sequence
from itertools import takewhile
from string import ascii_lowercase, ascii_uppercase

from attrs import field, frozen

from marathonlb import limits
from marathonlb.routing.names import owner_of
from marathonlb.routing.services.model import Service

Key = tuple[str, int]
"""What names a service: the app's id and the port's index."""

HostPath = tuple[str, str]
"""A virtual host and a path prefix; the empty prefix is every path."""

MOST_COMPARED = 100_000
"""Maximum number of rules that the weights of one owner are compared with; a weight that meets more is not used."""

MOST_MOVED = 100
"""
Maximum number of other owners' hosts that one weight takes out of the map files; a weight that takes more is not used.

HAProxy finds a host in a map at once, and asks ACLs one by one: 5,000 of them take two milliseconds of each request.
"""

_LOWER = str.maketrans(ascii_uppercase, ascii_lowercase)


def fold_case(path: str) -> str:
    """A path as HAProxy compares it where case is ignored: the letters of ASCII in lower case, and no others."""
    return path.translate(_LOWER)


def narrows(paths: Iterable[str]) -> bool:
    """Whether prefixes leave a path of the host out: every path begins with ``/``."""
    found = set(paths) - {""}
    return bool(found) and "/" not in found


def weight_of(service: Service, has_path: bool, wildcard: bool = False) -> int:
    """
    The weight of a rule: its owner's; else 0, 1 where a path is set, and less than both for wildcards.

    :param has_path: the rule `narrows` its hosts.
    """
    if service.weight is not None:
        return service.weight
    return (1 if has_path else 0) - (2 if wildcard else 0)


def wishes(service: Service) -> list[HostPath]:
    """Every host and path that a service wants."""
    return [(host, path) for host in service.hosts for path in (service.paths or ("",))]


@frozen
class _Rule:
    """One host and path of a service."""

    service: Service
    host: str
    path: str

    def place(self, weight: int | None) -> tuple[int, bool, int, int]:
        """The place among the rules with a weight, None being the default; the smallest is asked first."""
        wildcard = self.host.startswith("*.")
        narrow = narrows((self.path,))
        if weight is None:
            weight = (1 if narrow else 0) - (2 if wildcard else 0)
        return -weight, wildcard, -len(self.host) if wildcard else 0, -len(self.path) if narrow else 0

    def meets(self, other: _Rule) -> bool:
        """Whether a path may fit both; their hosts do."""
        mine, theirs = self.path, other.path
        if self.service.ignore_path_case or other.service.ignore_path_case:
            mine, theirs = fold_case(mine), fold_case(theirs)
        return mine.startswith(theirs) or theirs.startswith(mine)


@frozen
class _Rules:
    """
    The rules of all services by their hosts, to find those of older services that overlap.

    Everything is in the order of age, and nobody looks past what is older: so no rules of younger services use up how
    many an owner's weights are compared with.
    """

    _by_host: Mapping[str, list[_Rule]] = field(factory=dict)
    _below: Mapping[str, list[str]] = field(factory=dict)
    _age: Mapping[Key, int] = field(factory=dict)
    _compared: Counter[str] = field(factory=Counter, init=False)

    @classmethod
    def of(cls, services: Iterable[Service], lost: Mapping[Key, Collection[HostPath]]) -> _Rules:
        """The rules of these services, the oldest first, without what each has lost."""
        age: dict[Key, int] = {}
        by_host: dict[str, list[_Rule]] = {}
        below: dict[str, list[str]] = {}
        for service in services:
            out = lost.get(service.key, ())
            age[service.key] = len(age)
            for host, path in wishes(service):
                if (host, path) not in out:
                    by_host.setdefault(host, []).append(_Rule(service, host, path))
        for host in by_host:
            for suffix in suffixes(host):
                below.setdefault(suffix, []).append(host)
        return cls(by_host, below, age)

    def overtaken(self, service: Service, unused: Container[Key]) -> Iterator[tuple[Service | None, bool]]:
        """
        The older services of other owners with a rule that a weight puts behind its service's own, and none would not.

        :param unused: the services, by key, whose own weight is not used.
        :return: each with whether both rules are of one host; None is the last where there are too many to compare.
        """
        owner = owner_of(service.app_id)
        for host, path in wishes(service):
            mine = _Rule(service, host, path)
            place, plain = mine.place(service.weight), mine.place(None)
            if place >= plain:
                continue
            for other in self._about(host, service):
                if self._spent(owner, 1):
                    yield None, False
                    return
                theirs = other.place(None if other.service.key in unused else other.service.weight)
                if place < theirs < plain and owner_of(other.service.app_id) != owner and mine.meets(other):
                    yield other.service, other.host == host

    def moves_too_many(self, service: Service) -> bool:
        """Whether a service's weight takes too many hosts of older services out of the map files."""
        owner = owner_of(service.app_id)
        moved: set[str] = set()
        own: set[str] = set()
        for host in service.hosts:
            wildcard = host.startswith("*.")
            if not wildcard and (service.weight or 0) >= 0:
                continue
            over = [f"*{suffix}" for suffix in suffixes(host) if f"*{suffix}" in self._by_host]
            for root in (*([host] if wildcard else ()), *over):
                for name in self._older_below(root, service):
                    rules = list(self._older(name, service))
                    spent = self._spent(owner, len(rules))
                    theirs = any(owner_of(rule.service.app_id) != owner for rule in rules)
                    (moved if theirs else own).add(name)
                    if spent or len(moved) > MOST_MOVED or len(own) > limits.ACL_RULES:
                        return True
        return False

    def _spent(self, owner: str, rules: int) -> bool:
        """Count rules that a weight of an owner's is compared with; whether these were too many."""
        self._compared[owner] += rules
        return self._compared[owner] > MOST_COMPARED

    def _about(self, host: str, service: Service) -> Iterator[_Rule]:
        """The rules of services older than one whose hosts have a name in common with a host."""
        yield from self._older(host, service)
        for suffix in suffixes(host):
            yield from self._older(f"*{suffix}", service)
        if host.startswith("*."):
            for name in self._older_below(host, service):
                yield from self._older(name, service)

    def _older(self, host: str, service: Service) -> Iterator[_Rule]:
        """The rules of a host that are older than a service."""
        own = self._age[service.key]
        return takewhile(lambda rule: self._age[rule.service.key] < own, self._by_host.get(host, ()))

    def _older_below(self, wildcard: str, service: Service) -> Iterator[str]:
        """The hosts that a wildcard covers and that have an older rule than a service."""
        own = self._age[service.key]
        hosts = self._below.get(wildcard[1:], ())
        return takewhile(lambda host: self._age[self._by_host[host][0].service.key] < own, hosts)


def suffixes(host: str) -> list[str]:
    """The ends of a host, each with its leading dot, under which a wildcard covers it."""
    labels = host.removeprefix("*.").split(".")
    return [f".{'.'.join(labels[place:])}" for place in range(1, len(labels))]


def unused_weights(
    services: Sequence[Service], lost: Mapping[Key, Collection[HostPath]]
) -> tuple[dict[Key, Service | None], frozenset[Key]]:
    """
    Find the weights that would take from an older app of another owner.

    :param services: the oldest first.
    :param lost: the hosts and paths that others have, by the service's key.
    :return: by key of the services with such a weight the older one, or None where too many rules are concerned; and
        the keys of all services whose age matters here.
    """
    weighted = [service for service in services if service.weight is not None and service.hosts]
    if not weighted:
        return {}, frozenset()
    rules = _Rules.of(services, lost)
    unused: dict[Key, Service | None] = {}
    contested = _meeting(services, weighted)
    for service in weighted:
        if rules.moves_too_many(service):
            unused[service.key] = None
            continue
        for other, one_host in rules.overtaken(service, unused):
            if other is None:
                unused.setdefault(service.key, None)
                continue
            equal = (
                other.since == service.since
            )  # then weights order the paths of one host, and nobody is the younger
            if not (equal and one_host):
                unused.setdefault(service.key, other)
    return unused, frozenset(contested)


def _meeting(services: Iterable[Service], weighted: Collection[Service]) -> set[Key]:
    """The keys of services with a weight, and of those of other owners with a host in common with them."""
    owners: dict[str, set[str]] = {}
    for service in weighted:
        for host in service.hosts:
            for name in (host, *(f"*{suffix}" for suffix in suffixes(host))):
                owners.setdefault(name, set()).add(owner_of(service.app_id))
    wild = {host: owners[host] for service in weighted for host in service.hosts if host.startswith("*.")}
    found = {service.key for service in weighted}
    for service in services:
        mine = {owner_of(service.app_id)}
        for host in service.hosts:
            over = (wild.get(f"*{suffix}", mine) for suffix in suffixes(host))
            if not owners.get(host, mine) <= mine or not all(theirs <= mine for theirs in over):
                found.add(service.key)
                break
    return found
