"""The hosts whose routing rules cannot be map entries and are ACLs, before the maps or after them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from marathonlb.routing.hosts import hosts_below, is_wildcard, wildcards_above
from marathonlb.routing.precedence import HostPath, Key
from marathonlb.routing.services.model import Service

_LIGHTEST = -2
"""The weight of a wildcard without a weight label: a rule with a smaller one comes after all wildcards."""


class AclPlacement:
    """
    The hosts whose rules are ACLs, before the maps or after them.

    A wildcard with a weight label, or one that the negative weight of an exact host puts below that host, stands before
    the maps; so does every host that it covers, and every wildcard that overlaps it.

    :ivar before_maps: the hosts and wildcards whose ACLs precede the maps.
    :ivar after_maps: those whose ACLs follow the maps of exact hosts: mostly wildcards.
    """

    def __init__(
        self,
        services: Sequence[Service],
        won: Mapping[Key, Sequence[HostPath]],
        needs_acl: Callable[[Service], bool],
    ) -> None:
        self.before_maps: set[str] = set()
        self.after_maps: set[str] = set()
        self._weighted: set[str] = set()
        hosts: set[str] = set()
        below_all_wildcards = False
        for service in services:
            overridden = needs_acl(service)
            deferred = overridden and (service.weight or 0) < 0
            below_all_wildcards |= deferred and (service.weight or 0) < _LIGHTEST
            hosts.update(host for host, _ in won[service.key])
            self._place(service, won[service.key], overridden, deferred)
        self._wildcards = {host for host in hosts if is_wildcard(host)}
        self._below = hosts_below(hosts, self._wildcards)
        self._spread_before_maps()
        self.after_maps -= self.before_maps
        if below_all_wildcards:
            self.after_maps |= self._wildcards - self.before_maps
        self._spread_after_maps()

    @classmethod
    def everything(cls, won: Mapping[Key, Sequence[HostPath]]) -> AclPlacement:
        """Return the placement without maps: every rule is an ACL, and none comes later."""
        placement = cls((), {}, lambda service: False)
        placement.before_maps = {host for pairs in won.values() for host, _ in pairs}
        return placement

    def _place(self, service: Service, pairs: Iterable[HostPath], overridden: bool, deferred: bool) -> None:
        """
        Place the hosts of one service by its own labels.

        :param overridden: a template of its routing is overridden.
        :param deferred: its overridden template may match more than its hosts, and its weight puts it after the maps.
        """
        special = service.weight is not None or service.ignore_path_case or overridden
        negative = service.weight is not None and service.weight < 0
        for host, path in pairs:
            if is_wildcard(host):
                if special or path:
                    self.after_maps.add(host)
                if service.weight is not None:
                    self._weighted.add(host)
                continue
            if special:
                (self.after_maps if deferred else self.before_maps).add(host)
            if negative and not deferred:
                self._weighted.add(host)

    def _spread_before_maps(self) -> None:
        """Move what overlaps before the maps: wildcards above a host of negative weight, then all below a wildcard."""
        self.before_maps |= self._weighted
        pending = {host for host in self.before_maps if is_wildcard(host)}
        for host in self._weighted:
            if not is_wildcard(host):
                pending.update(self._above(host))
        self.before_maps |= pending
        while pending:
            wildcard = pending.pop()
            moved = {*self._below.get(wildcard, ()), *self._above(wildcard)} - self.before_maps
            self.before_maps |= moved
            pending |= {host for host in moved if is_wildcard(host)}

    def _spread_after_maps(self) -> None:
        """Take the wildcards that overlap an ACL after the maps out of the map of wildcards."""
        pending = list(self.after_maps)
        while pending:
            host = pending.pop()
            below = (name for name in self._below.get(host, ()) if name in self._wildcards)
            moved = {*self._above(host), *below} - self.before_maps - self.after_maps
            self.after_maps |= moved
            pending += moved

    def _above(self, host: str) -> list[str]:
        """Return the wildcards of services above a host or a wildcard."""
        return [wildcard for wildcard in wildcards_above(host) if wildcard in self._wildcards]
