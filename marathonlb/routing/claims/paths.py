"""Paths of hosts: the service that gets a path if several claim it."""

from __future__ import annotations

from collections.abc import Iterable

from marathonlb.problem_kinds.sharing import HOST_TAKEN
from marathonlb.routing.claims.collisions import Collisions
from marathonlb.routing.names import owner_of
from marathonlb.routing.precedence import HostPath, Key, fold_case, weight_of, wishes
from marathonlb.routing.services.model import Service


def lost_paths(services: Iterable[Service], collisions: Collisions) -> dict[Key, frozenset[HostPath]]:
    """
    Give each path of a host to the oldest service; among apps of one owner to the one with the largest weight.

    Paths that differ in case are one path as soon as either service ignores case. All of a host is one path, too.

    :param services: by seniority.
    :return: by the key of a service, the hosts and paths that another one has.
    """
    lost: dict[Key, set[HostPath]] = {}

    def lose(loser: Service, winner: Service, wish: HostPath) -> None:
        lost.setdefault(loser.key, set()).add(wish)
        collisions.lose(loser, winner, "VHOST", "".join(wish), HOST_TAKEN)

    holders: dict[HostPath, _PathHolders] = {}
    for service in services:
        for wish in wishes(service):
            host, path = wish[0], _prefix(wish[1])
            of_path = holders.setdefault((host, fold_case(path)), _PathHolders())
            keeper = of_path.keeper(service, path)
            if keeper is service:
                continue
            if keeper is not None:
                lose(service, keeper, wish)
                continue
            for their_wish, other in of_path.replace(service, path, wish):
                lose(other, service, their_wish)
    return {key: frozenset(wishes_lost) for key, wishes_lost in lost.items()}


def _prefix(path: str) -> str:
    """Return a path prefix; the empty one matches every path."""
    return "" if path == "/" else path


class _PathHolders:
    """The services that have the paths of a host that differ only in case: one each, or one that ignores case."""

    def __init__(self) -> None:
        self._held: dict[str, tuple[HostPath, Service]] = {}
        self._refused: tuple[Key, Service] | None = None

    def _rivals(self, service: Service, path: str) -> Iterable[tuple[HostPath, Service]]:
        if service.ignore_path_case:
            return self._held.values()
        if path in self._held:
            return (self._held[path],)
        first = next(iter(self._held.values()), None)
        return (first,) if first is not None and first[1].ignore_path_case else ()

    def keeper(self, service: Service, path: str) -> Service | None:
        """Return the service that keeps a path claimed by this one; None if there is none."""
        if self._refused is not None and self._refused[0] == service.key and service.ignore_path_case:
            return self._refused[1]  # all its paths here are one
        keeper = next(
            (
                other
                for _, other in self._rivals(service, path)
                if other is service or not _yields(other, service, path)
            ),
            None,
        )
        self._refused = None if keeper is None else (service.key, keeper)
        return keeper

    def replace(self, service: Service, path: str, wish: HostPath) -> list[tuple[HostPath, Service]]:
        """Give a path to a service; return what other services lose by it."""
        rivals = list(self._rivals(service, path))
        for (_, their_path), _ in rivals:
            del self._held[_prefix(their_path)]
        self._held[path] = wish, service
        return rivals


def _yields(holder: Service, service: Service, path: str) -> bool:
    """Return True if a path's holder yields to a younger service: rules of one owner are ordered by their weights."""
    if owner_of(holder.app_id) != owner_of(service.app_id):
        return False
    return weight_of(service, bool(path)) > weight_of(holder, bool(path))
