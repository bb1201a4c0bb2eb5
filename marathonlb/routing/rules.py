"""
By which rule a request of the shared frontends reaches its service: maps where they can say it, ACLs where not.

The frontends ask, in this order:

1. *first*: ACLs of the hosts that maps cannot say (an overridden template, a weight, a path that ignores case);
   such a host leaves the maps entirely, so each host is routed by one mechanism;
2. ``path2backend.map`` (host and path, longest prefix), then ``domain2backend.map`` (exact host);
3. *later*: ACLs of such wildcards, which lose to every exact name, and of hosts whose own text may match more than them
   and whose weight is negative;
4. ``wildcard2backend.map`` (longest suffix first).

Within the ACLs, and for all rules where there are no maps, one order holds: the owner's weight, exact before
wildcard, longer host suffix and longer path first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from attrs import evolve, frozen

from marathonlb.routing.claims import seniority
from marathonlb.routing.names import acl_stem
from marathonlb.routing.precedence import HostPath, narrows, suffixes, wishes
from marathonlb.routing.precedence import weight_of as weight_of
from marathonlb.routing.services.model import Service


@frozen
class AclRule:
    """
    One service's rule in the language of ACLs.

    :param hosts: all exact or all wildcards.
    :param paths: the prefixes; empty means every path.
    :param number: tells the rules of one service apart (0 is the first).
    :param overridden: somebody's template is among those that write it.
    :param alike: an older service's rule has the plain names of its ACLs, which overrides expect.
    """

    service: Service
    hosts: tuple[str, ...]
    paths: tuple[str, ...]
    number: int = 0
    overridden: bool = False
    alike: bool = False

    @property
    def wildcard(self) -> bool:
        """Whether its hosts are wildcards."""
        return self.hosts[0].startswith("*.")

    @property
    def order(self) -> tuple[int, bool, int, int, tuple[str, int], int]:
        """The place of the rule: the smallest is asked first."""
        narrow = narrows(self.paths)
        return (
            -weight_of(self.service, narrow, self.wildcard),
            self.wildcard,
            -max(len(host) for host in self.hosts) if self.wildcard else 0,
            -max(len(path) for path in self.paths) if narrow else 0,
            self.service.key,
            self.number,
        )


@frozen
class MapRule:
    """One entry of a routing map; ``key`` as the map file has it."""

    map: str
    key: str
    service: Service


@frozen
class Rules:
    """
    The rules of a shared frontend, in the order in which they are asked.

    :param alike: the services, by key, whose age says which of them has the plain names of ACLs.
    :param maps: False where all rules are ACLs.
    """

    first: tuple[AclRule, ...] = ()
    paths: tuple[MapRule, ...] = ()
    hosts: tuple[MapRule, ...] = ()
    later: tuple[AclRule, ...] = ()
    wildcards: tuple[MapRule, ...] = ()
    app_ids: tuple[MapRule, ...] = ()
    alike: frozenset[tuple[str, int]] = frozenset()
    maps: bool = True


def rules_of(
    services: Iterable[Service],
    lost: dict[tuple[str, int], frozenset[HostPath]],
    needs_acl: Callable[[Service], bool],
    *,
    maps: bool,
    names_app: Callable[[Service], bool] = lambda service: False,
) -> Rules:
    """
    Order the rules of all services.

    :param lost: what a service wanted and another one got.
    :param needs_acl: whether a template of the service's routing is overridden.
    :param maps: False puts everything into ACLs.
    :param names_app: whether a service's rule of the app-id frontend is somebody's own text.
    """
    routed = [s for s in services if s.mode == "http"]
    won = {s.key: _won(s, lost.get(s.key, frozenset())) for s in routed}
    special = {s.key for s in routed if not maps or _is_special(s, needs_acl)}
    last = {s.key for s in routed if maps and s.weight is not None and s.weight < 0 and needs_acl(s)}
    front, tail = _hosts_in_acls(routed, won, special, last, maps)
    first: list[AclRule] = []
    later: list[AclRule] = []
    entries: dict[str, list[MapRule]] = {"path": [], "domain": [], "wildcard": []}
    for service in routed:
        mine = won[service.key]
        before, after = _acl_rules(service, mine, front, tail, needs_acl(service))
        first += before
        later += after
        for host, path in mine:
            if host not in front and host not in tail:
                _add_entry(entries, service, host, path)
    first, later, alike = _told_apart(first, later)
    return Rules(
        first=tuple(sorted(first, key=lambda rule: rule.order)),
        paths=tuple(sorted(entries["path"], key=lambda rule: rule.key)),
        hosts=tuple(sorted(entries["domain"], key=lambda rule: rule.key)),
        later=tuple(sorted(later, key=lambda rule: rule.order)),
        wildcards=tuple(sorted(entries["wildcard"], key=lambda rule: (-len(rule.key), rule.key))),
        app_ids=_app_ids(routed, names_app) if maps else (),
        alike=alike,
        maps=maps,
    )


def app_id_services(services: Iterable[Service]) -> list[Service]:
    """For each app the service that its id leads to: the first of its HTTP ports."""
    found: dict[str, Service] = {}
    for service in services:
        if service.mode == "http":
            held = found.setdefault(service.app_id, service)
            if service.port_index < held.port_index:
                found[service.app_id] = service
    return [found[app_id] for app_id in sorted(found)]


def _app_ids(services: Sequence[Service], names_app: Callable[[Service], bool]) -> tuple[MapRule, ...]:
    return tuple(
        MapRule("app2backend.map", s.app_id, s) for s in app_id_services(services) if not names_app(s)
    )


def _won(service: Service, lost: frozenset[HostPath]) -> list[HostPath]:
    return [wish for wish in wishes(service) if wish not in lost]


def _is_special(service: Service, needs_acl: Callable[[Service], bool]) -> bool:
    return service.weight is not None or service.ignore_path_case or needs_acl(service)


def _hosts_in_acls(
    services: Sequence[Service],
    won: dict[tuple[str, int], list[HostPath]],
    special: set[tuple[str, int]],
    last: set[tuple[str, int]],
    maps: bool,
) -> tuple[set[str], set[str]]:
    """
    The hosts whose rules are ACLs before the maps, and those whose rules are ACLs after them: wildcards, mostly.

    A wildcard with an owner's weight, or one that an exact host's weight puts below it, stands before the maps: then
    every host that it covers does too, and every wildcard that overlaps it.

    :param last: services whose own text may match more than their hosts, and whose weight puts it below the maps.
    """
    front: set[str] = set()
    tail: set[str] = set()
    weighted: set[str] = set()
    hosts: set[str] = set()
    for service in services:
        for host, path in won[service.key]:
            hosts.add(host)
            wildcard = host.startswith("*.")
            if not maps or (service.key in special and not wildcard):
                (tail if service.key in last else front).add(host)
            if service.weight is not None and (wildcard or (service.weight < 0 and service.key not in last)):
                weighted.add(host)
            if wildcard and maps and (service.key in special or path):
                tail.add(host)
    if not maps:
        return front, set()
    wildcards = {host for host in hosts if host.startswith("*.")}
    below = _below(hosts)
    front |= weighted
    _spread(front, wildcards, below, {host for host in weighted if not host.startswith("*.")})
    tail -= front
    if any(service.key in last and (service.weight or 0) < _LIGHTEST for service in services):
        tail |= wildcards - front
    todo = list(tail)
    while todo:
        host = todo.pop()
        covered = below.get(host[1:], ()) if host.startswith("*.") else ()
        near = {*_over(host, wildcards), *(each for each in covered if each in wildcards)}
        more = near - front - tail
        tail |= more
        todo += more
    return front, tail


_LIGHTEST = -2
"""The weight of a wildcard whose owner names none: a smaller one is asked after all of them."""


def _below(hosts: Iterable[str]) -> dict[str, list[str]]:
    """The hosts and wildcards that a wildcard covers, by what stands behind its ``*``."""
    found: dict[str, list[str]] = {}
    for host in hosts:
        for suffix in suffixes(host):
            found.setdefault(suffix, []).append(host)
    return found


def _over(host: str, wildcards: set[str]) -> list[str]:
    """The wildcards that cover a host or a wildcard."""
    return [f"*{suffix}" for suffix in suffixes(host) if f"*{suffix}" in wildcards]


def _spread(front: set[str], wildcards: set[str], below: Mapping[str, list[str]], light: set[str]) -> None:
    """Take along what overlaps: wildcards over a host of negative weight, then all that a wildcard covers."""
    todo = {host for host in front if host.startswith("*.")}
    todo |= {wildcard for host in light for wildcard in _over(host, wildcards)}
    front |= todo
    while todo:
        wildcard = todo.pop()
        more = {*below.get(wildcard[1:], ()), *_over(wildcard, wildcards)} - front
        front |= more
        todo |= {host for host in more if host.startswith("*.")}


def _acl_rules(
    service: Service, pairs: Iterable[HostPath], front: set[str], tail: set[str], overridden: bool
) -> tuple[list[AclRule], list[AclRule]]:
    """
    A service's ACL rules, those before the maps and those after them.

    Exact hosts, each wildcard and each path stand apart, unless somebody's template speaks for all of them. The
    number tells the names of a service's ACLs apart; in an override they have none, since it expects plain names.
    """
    groups: dict[tuple[bool, str, tuple[str, ...]], dict[str, None]] = {}
    all_paths: dict[tuple[bool, str], dict[str, None]] = {}
    for host, path in pairs:
        kind = (host in tail and host not in front, "*" if host.startswith("*.") else "")
        if overridden:
            all_paths.setdefault(kind, {}).update({path: None} if path else {})
            groups.setdefault((*kind, ()), {})[host] = None
        elif host in front or host in tail:
            alike = host if kind[1] else ""
            groups.setdefault((kind[0], alike, (path,) if path else ()), {})[host] = None
    rules: tuple[list[AclRule], list[AclRule]] = ([], [])
    for number, ((late, wildcard, paths), hosts) in enumerate(groups.items()):
        if overridden:
            rule = AclRule(service, tuple(hosts), tuple(all_paths[late, wildcard]), 0, overridden=True)
        else:
            rule = AclRule(service, tuple(hosts), paths, number)
        rules[late].append(rule)
    return rules


def _told_apart(
    first: list[AclRule], later: list[AclRule]
) -> tuple[list[AclRule], list[AclRule], frozenset[tuple[str, int]]]:
    """
    The rules, marked where an older service has the plain names: HAProxy would make one ACL of both.

    ``a.example`` of ``/com/x`` and ``a.example.com`` of ``/x`` have one stem.

    :return: with them the services, by key, that have such names.
    """
    plain: dict[str, dict[tuple[str, int], Service]] = {}
    for rule in (*first, *later):
        if rule.overridden:
            stem = acl_stem(rule.hosts, rule.service.app_id)
            plain.setdefault(stem, {})[rule.service.key] = rule.service
    shared = {stem: min(found.values(), key=seniority) for stem, found in plain.items() if len(found) > 1}

    def told(rule: AclRule) -> AclRule:
        oldest = shared.get(acl_stem(rule.hosts, rule.service.app_id)) if rule.overridden else None
        return rule if oldest is None or oldest.key == rule.service.key else evolve(rule, alike=True)

    keys = frozenset(key for stem in shared for key in plain[stem])
    return [*map(told, first)], [*map(told, later)], keys


def _add_entry(entries: dict[str, list[MapRule]], service: Service, host: str, path: str) -> None:
    if host.startswith("*."):
        entries["wildcard"].append(MapRule("wildcard2backend.map", host[1:], service))
    elif path:
        entries["path"].append(MapRule("path2backend.map", host + path, service))
    else:
        entries["domain"].append(MapRule("domain2backend.map", host, service))
