"""
The routing rules of the shared frontends: how a request reaches its service, by maps where possible, else by ACLs.

HAProxy evaluates the rules in this order:

1. *first*: ACLs of hosts that the maps cannot express (an overridden template, a weight, a path that ignores case);
   such a host leaves the maps entirely, so that each host is routed by one mechanism;
2. ``path2backend.map`` (host and path, longest prefix), then ``domain2backend.map`` (exact host);
3. *later*: ACLs of such wildcards, which lose to every exact name, and of hosts whose overridden template may match
   more than them and whose weight is negative;
4. ``wildcard2backend.map`` (longest suffix first).

Among the ACLs, and among all rules if there are no maps, one order holds: the label's weight, exact before
wildcard, longer host suffix and longer path first.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence

from attrs import evolve, frozen
from msgspec import Struct

from marathonlb.routing.acl_placement import AclPlacement
from marathonlb.routing.hosts import hosts_below, is_wildcard, wildcards_above
from marathonlb.routing.names import acl_stem
from marathonlb.routing.precedence import HostPath, Key, narrows, seniority, weight_of, wishes
from marathonlb.routing.services.model import Service


@frozen
class AclRule:
    """
    A routing rule of one service that is written as ACLs.

    :param hosts: all exact or all wildcards.
    :param paths: the prefixes; empty means every path.
    :param number: the number of the rule among those of its service, from 0.
    :param overridden: True if a template of the app's labels or of the operator writes it.
    :param alike: True if the ACLs of an older service have the plain names, which overridden templates expect.
    """

    service: Service
    hosts: tuple[str, ...]
    paths: tuple[str, ...]
    number: int = 0
    overridden: bool = False
    alike: bool = False

    @property
    def wildcard(self) -> bool:
        """True if its hosts are wildcards."""
        return is_wildcard(self.hosts[0])

    @property
    def order(self) -> tuple[int, bool, int, int, Key, int]:
        """The sort key of the rule: HAProxy evaluates the smallest first."""
        narrow = narrows(self.paths)
        return (
            -weight_of(self.service, narrow, self.wildcard),
            self.wildcard,
            -max(len(host) for host in self.hosts) if self.wildcard else 0,
            -max(len(path) for path in self.paths) if narrow else 0,
            self.service.key,
            self.number,
        )


class MapRule(Struct, frozen=True):
    """One entry of a routing map; ``key`` is the key in the map file."""

    map: str
    key: str
    service: Service


@frozen
class Rules:
    """
    The rules of a shared frontend, in the order in which HAProxy evaluates them.

    :param alike: the keys of services whose ACLs would have the same names; the oldest keeps the plain ones.
    :param maps: False if all rules are ACLs.
    """

    first: tuple[AclRule, ...] = ()
    paths: tuple[MapRule, ...] = ()
    hosts: tuple[MapRule, ...] = ()
    later: tuple[AclRule, ...] = ()
    wildcards: tuple[MapRule, ...] = ()
    app_ids: tuple[MapRule, ...] = ()
    alike: frozenset[Key] = frozenset()
    maps: bool = True


def rules_of(
    services: Iterable[Service],
    lost: dict[Key, frozenset[HostPath]],
    needs_acl: Callable[[Service], bool],
    *,
    maps: bool,
    names_app: Callable[[Service], bool] = lambda service: False,
) -> Rules:
    """
    Return the routing rules of all services, in order.

    :param lost: service key to the hosts and paths that it claimed and another service keeps.
    :param needs_acl: returns True if a template of the service's routing is overridden.
    :param maps: False makes every rule an ACL.
    :param names_app: returns True if the service's rule of the app-id frontend is overridden.
    """
    routed = [service for service in services if service.mode == "http"]
    won = {service.key: _won(service, lost.get(service.key, frozenset())) for service in routed}
    placement = AclPlacement(routed, won, needs_acl) if maps else AclPlacement.everything(won)
    first: list[AclRule] = []
    later: list[AclRule] = []
    entries = _MapEntries()
    for service in routed:
        before, after = _acl_rules(service, won[service.key], placement, needs_acl(service))
        first += before
        later += after
        for host, path in won[service.key]:
            if host not in placement.before_maps and host not in placement.after_maps:
                entries.add(service, host, path)
    first, later, alike = _with_unique_names(first, later)
    return Rules(
        first=tuple(sorted(first, key=lambda rule: rule.order)),
        paths=tuple(sorted(entries.paths, key=lambda rule: rule.key)),
        hosts=tuple(sorted(entries.hosts, key=lambda rule: rule.key)),
        later=tuple(sorted(later, key=lambda rule: rule.order)),
        wildcards=tuple(sorted(entries.wildcards, key=lambda rule: (-len(rule.key), rule.key))),
        app_ids=_app_ids(routed, names_app) if maps else (),
        alike=alike,
        maps=maps,
    )


def app_id_services(services: Iterable[Service]) -> list[Service]:
    """Return for each app, by its id, the service of its first HTTP port: that of the app-id frontend."""
    first: dict[str, Service] = {}
    for service in services:
        if service.mode == "http":
            present = first.setdefault(service.app_id, service)
            if service.port_index < present.port_index:
                first[service.app_id] = service
    return [first[app_id] for app_id in sorted(first)]


def _app_ids(services: Sequence[Service], names_app: Callable[[Service], bool]) -> tuple[MapRule, ...]:
    return tuple(
        MapRule("app2backend.map", service.app_id, service)
        for service in app_id_services(services)
        if not names_app(service)
    )


def _won(service: Service, lost: frozenset[HostPath]) -> list[HostPath]:
    return [wish for wish in wishes(service) if wish not in lost]


class _MapEntries:
    """Collects the entries of the routing maps."""

    def __init__(self) -> None:
        self.paths: list[MapRule] = []
        self.hosts: list[MapRule] = []
        self.wildcards: list[MapRule] = []

    def add(self, service: Service, host: str, path: str) -> None:
        """Add the entry of one host and path; a wildcard in the maps has no path."""
        if is_wildcard(host):
            self.wildcards.append(MapRule("wildcard2backend.map", host[1:], service))
        elif path:
            self.paths.append(MapRule("path2backend.map", host + path, service))
        else:
            self.hosts.append(MapRule("domain2backend.map", host, service))


def _acl_rules(
    service: Service, pairs: Iterable[HostPath], placement: AclPlacement, overridden: bool
) -> tuple[list[AclRule], list[AclRule]]:
    """
    Return a service's ACL rules, those before the maps and those after them.

    Exact hosts, each wildcard and each path have a rule of their own; an overridden template has one rule for all of
    them. The number tells the names of a service's ACLs apart; with an overridden template they have none, since it
    expects plain names.
    """
    groups: dict[tuple[bool, str, tuple[str, ...]], dict[str, None]] = {}
    all_paths: dict[tuple[bool, str], dict[str, None]] = {}
    for host, path in pairs:
        late = host in placement.after_maps and host not in placement.before_maps
        wildcard = is_wildcard(host)
        if overridden:
            kind = (late, "*" if wildcard else "")
            all_paths.setdefault(kind, {}).update({path: None} if path else {})
            groups.setdefault((*kind, ()), {})[host] = None
        elif late or host in placement.before_maps:
            groups.setdefault((late, host if wildcard else "", (path,) if path else ()), {})[host] = None
    rules: tuple[list[AclRule], list[AclRule]] = ([], [])
    for number, ((late, group, paths), hosts) in enumerate(groups.items()):
        if overridden:
            rule = AclRule(service, tuple(hosts), tuple(all_paths[late, group]), 0, overridden=True)
        else:
            rule = AclRule(service, tuple(hosts), paths, number)
        rules[late].append(rule)
    return rules


def _with_unique_names(
    first: list[AclRule], later: list[AclRule]
) -> tuple[list[AclRule], list[AclRule], frozenset[Key]]:
    """
    Mark the rules whose plain ACL names an older service has: HAProxy would make one ACL of both.

    ``a.example`` of ``/com/x`` and ``a.example.com`` of ``/x`` have one stem.

    :return: the rules, and the keys of the services that share such names.
    """
    by_stem: dict[str, dict[Key, Service]] = {}
    for rule in (*first, *later):
        if rule.overridden:
            stem = acl_stem(rule.hosts, rule.service.app_id)
            by_stem.setdefault(stem, {})[rule.service.key] = rule.service
    shared = {
        stem: min(services.values(), key=seniority) for stem, services in by_stem.items() if len(services) > 1
    }

    def marked(rule: AclRule) -> AclRule:
        oldest = shared.get(acl_stem(rule.hosts, rule.service.app_id)) if rule.overridden else None
        return rule if oldest is None or oldest.key == rule.service.key else evolve(rule, alike=True)

    keys = frozenset(key for stem in shared for key in by_stem[stem])
    return [*map(marked, first)], [*map(marked, later)], keys


class RulesByHost:
    """
    Finds the ACL rules that may match a request for a host, or for one below a wildcard.

    :param hosts: the hosts that are looked up.
    """

    def __init__(self, rules: Sequence[AclRule], hosts: Iterable[str]) -> None:
        self._rules = rules
        self._places: dict[str, list[tuple[int, int]]] = {}
        for place, rule in enumerate(rules):
            for number, name in enumerate(rule.hosts):
                self._places.setdefault(name, []).append((place, number))
        self._below = hosts_below(self._places, {host for host in hosts if is_wildcard(host)})

    def overlapping(self, host: str) -> list[AclRule]:
        """
        Return the rules of a host, of wildcards above it and of names below it, in their order.

        Each is reduced to those of its hosts, so that thousands of frontends do not name thousands of hosts each; a
        rule with an overridden template keeps its first host, after which its ACLs are named.
        """
        numbers: dict[int, set[int]] = {}
        for name in (host, *wildcards_above(host), *self._below.get(host, ())):
            for place, number in self._places.get(name, ()):
                numbers.setdefault(place, set()).add(number)
        return [_with_hosts(self._rules[place], numbers[place]) for place in sorted(numbers)]


def _with_hosts(rule: AclRule, numbers: Collection[int]) -> AclRule:
    """Return a rule with some of its hosts."""
    kept = {*numbers, 0} if rule.overridden else numbers
    return evolve(rule, hosts=tuple(rule.hosts[number] for number in sorted(kept)))
