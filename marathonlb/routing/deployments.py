"""
Deployment groups (blue/green): two apps of one group are one service.

The pair has one name, which follows the group and the port that the older app binds. It is the same while there is one
app, while there are two and when one is left, so backends, sessions and runtime steps outlive a deployment. Each
port index is joined by itself; a port that one of the two alone has is that app's.

*Who is older*: by ``HAPROXY_DEPLOYMENT_STARTED_AT`` where all of the group's apps have it, else by their last change in
Marathon, and by their ids where that is equal too.

*Who serves*: see `shares`. The older app's tasks are drained in the order of their ids, those that are not healthy
first; of the newer app the healthy ones serve first.

*Whose labels hold*: those of the app with more healthy tasks that serve; the newer's where it is a tie. A health check
or a virtual host that differs between the two so never costs more than half of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import cached_property

import msgspec
from attrs import Factory, evolve, frozen

from marathonlb.marathon.model import App
from marathonlb.problem_kinds.sharing import GROUP_FULL, GROUP_PARENT, GROUP_PORT
from marathonlb.routing.names import backend_name, parent_of
from marathonlb.routing.problems import Problem
from marathonlb.routing.services.model import AppServices, Service
from marathonlb.routing.services.servers import Server, distinct

_LABEL = "HAPROXY_DEPLOYMENT_GROUP"
DEFAULT_WEIGHT = 100
"""Of the servers of an app that names none, where the other app of the group does."""

_UNDATED = datetime(1, 1, 1, tzinfo=UTC)
_RUNNING = frozenset({None, "TASK_RUNNING"})
"""What counts as healthy: a task behind a partition is served, but nobody is drained in its favour."""


@frozen(slots=False, eq=False)
class Member:
    """An app of a group, and what it would offer by itself."""

    app: App
    offered: AppServices

    @property
    def started_at(self) -> datetime | None:
        """When its deployment began, as its label says."""
        return self.offered.labels.get("DEPLOYMENT_STARTED_AT")

    @cached_property
    def healthy(self) -> frozenset[str]:
        """The ids of its tasks that run and, where the app has health checks, are alive."""
        checked = bool(self.app.health_checks)
        return frozenset(
            task.id for task in self.app.tasks if task.state in _RUNNING and (task.alive or not checked)
        )

    @cached_property
    def by_index(self) -> Mapping[int, Service]:
        """Its services by the index of their port."""
        return {service.port_index: service for service in self.offered.services}

    @cached_property
    def has_servers(self) -> bool:
        """Whether any of its tasks is served."""
        return any(service.servers for service in self.offered.services)


@frozen
class Joined:
    """
    What a group offers.

    :param app_id: what stands for an app's id in its services.
    :param members: the ids of the apps that are joined, the older one first.
    :param leads: whose labels hold, by the index of the port.
    :param newest: the newest app that has a port, by its index.
    """

    app_id: str
    offered: AppServices
    members: tuple[str, ...] = ()
    leads: Mapping[int, str] = Factory(dict)
    newest: Mapping[int, str] = Factory(dict)


@frozen
class Shares:
    """How many servers of each app get traffic; the others are drained."""

    older: int
    newer: int


def shares(*, older: int, newer: int, healthy: int, target: int, split: int = 0) -> Shares:
    """
    Who serves, in numbers.

    With O servers of the older app, H healthy ones of the newer and a target of T, ``max(0, T - H)`` of the older
    serve, and never more than O. Nothing is drained before the first of the newer is healthy, whatever the target. All
    of the newer's serve; what is not healthy is left to health checks, as everywhere.

    A split S, 0 < S < T, holds the newer app at S servers: H counts as S at most, so the older keep ``T - S``. It is no
    split where the older app has no server to share with.

    :param older: O, of the older app's tasks those that are served at all.
    :param newer: the same of the newer app.
    :param healthy: H, how many of those are healthy.
    """
    divided = 0 < split < target and older > 0
    if divided:
        healthy = min(healthy, split)
    serving = min(older, max(0, target - healthy)) if healthy else older
    return Shares(serving, min(newer, split) if divided else newer)


def target_of(older: Member, newer: Member, *, weighed: bool = False) -> tuple[int, int]:
    """
    How many tasks of both shall serve, and how many of the newer app's at most (0: no split).

    Where the newer app names no target it is the larger one of what both apps want: better too many than too few.

    :param weighed: one of them names a weight for its servers. Then its owner shares the traffic by hand, and a target
        that nobody names is what both apps want together.
    """
    labels = newer.offered.labels
    target = labels.get("DEPLOYMENT_TARGET_INSTANCES")
    if target is None:
        wanted = (older.app.instances, newer.app.instances)
        target = sum(wanted) if weighed else max(wanted)
    return target, labels.get("DEPLOYMENT_NEW_INSTANCES") or 0


def join(group: str, app_id: str, members: Iterable[Member], elder: str | None = None) -> Joined:
    """
    What a group offers; it depends on its members alone.

    :param group: its name as an id, which names the backends.
    :param app_id: what stands for an app's id in what is joined.
    :param elder: an older group of that name, of another parent group.
    """
    ordered = by_age(members)
    kept = _two_of(ordered)
    services: list[Service] = []
    leads: dict[int, str] = {}
    newest: dict[int, str] = {}
    for index in sorted({index for member in kept for index in member.by_index}):
        having = [member for member in kept if index in member.by_index]
        lead, servers = _shared(having[0], having[-1], index)
        port = having[0].by_index[index].service_port
        services.append(
            evolve(
                lead.by_index[index],
                app_id=app_id,
                backend=backend_name(group, port),
                service_port=port,
                servers=servers,
                since=min(member.by_index[index].since for member in having),
            )
        )
        leads[index], newest[index] = lead.app.id, having[-1].app.id
    ids = tuple(member.app.id for member in kept)
    problems = [problem for member in ordered for problem in member.offered.problems]
    problems += [_third(member, ids) for member in ordered if member.app.id not in ids]
    if len(ordered) == 1:
        problems += _alternate(ordered[0])
    if elder is not None:
        problems += [
            elsewhere(member.app.id, member.offered.labels["DEPLOYMENT_GROUP"], elder) for member in ordered
        ]
    return Joined(app_id, AppServices(tuple(services), tuple(problems)), ids, leads, newest)


def by_age(members: Iterable[Member]) -> list[Member]:
    """The oldest first."""
    found = list(members)
    dated = all(member.started_at is not None for member in found)

    def age(member: Member) -> tuple[datetime, str, str]:
        started = member.started_at if dated else None
        return started or _UNDATED, since(member.app), member.app.id

    return sorted(found, key=age)


def since(app: App) -> str:
    """When an app last changed in Marathon."""
    return app.config_changed_at or app.version


def elsewhere(app_id: str, name: str, elder: str | None = None) -> Problem:
    """
    A word to an app that names a group of another parent group, and so is not joined with it.

    :param elder: that group; None where the name itself says which it is.
    """
    where = parent_of(elder if elder is not None else f"/{name}") or "/"
    mine = parent_of(app_id) or "/"
    served = "it is served by itself" if elder is None else f"it is joined with apps of {mine} alone"
    reason = (
        f"names a group of {where}, and a group joins apps of one parent group; this app is of {mine}, and {served}:"
        " give it a name of its own, or the apps one parent group"
    )
    return Problem(app_id, None, _LABEL, name, reason, fatal=False, kind=GROUP_PARENT)


def _two_of(ordered: Sequence[Member]) -> list[Member]:
    """
    The two apps of a group that has more: the older ones, since a newcomer shall not disturb what serves.

    What an interrupted deployment has left behind without a task does not count before all others.
    """
    kept = sorted(ordered, key=lambda member: not member.has_servers)[:2]
    return [member for member in ordered if member in kept]


def _shared(older: Member, newer: Member, index: int) -> tuple[Member, tuple[Server, ...]]:
    """Whose labels hold for a port, and its servers; an app that has the port for itself stands on both sides."""
    old, new = older.by_index[index].servers, newer.by_index[index].servers
    if older is newer:
        return newer, new
    weighed = any(server.weight is not None for server in (*old, *new))
    if weighed:
        old, new = _weighed(old), _weighed(new)
    healthy = sum(server.task_id in newer.healthy and server.weight != 0 for server in new)
    target, split = target_of(older, newer, weighed=weighed)
    share = shares(older=len(old), newer=len(new), healthy=healthy, target=target, split=split)
    leaving = sorted(old, key=lambda server: (server.task_id in older.healthy, server.task_id))
    coming = sorted(new, key=lambda server: (server.task_id not in newer.healthy, server.task_id))
    drained = len(old) - share.older
    serving_old, serving_new = leaving[drained:], coming[: share.newer]
    well_old = sum(server.task_id in older.healthy for server in serving_old)
    well_new = sum(server.task_id in newer.healthy for server in serving_new)
    lead = newer if (new and not old) or (well_new and well_new >= well_old) else older
    out = map(_drained, (*leaving[:drained], *coming[share.newer :]))
    return lead, distinct((*out, *serving_old, *serving_new))


def _weighed(servers: Iterable[Server]) -> tuple[Server, ...]:
    """The servers with the default of the label in words, since the other app's servers name a weight."""
    return tuple(
        msgspec.structs.replace(server, weight=DEFAULT_WEIGHT) if server.weight is None else server
        for server in servers
    )


def _drained(server: Server) -> Server:
    return msgspec.structs.replace(server, weight=0)


def _third(member: Member, kept: Sequence[str]) -> Problem:
    reason = (
        f"is the group of {' and '.join(kept)}, and a group has two apps at most; this one is left out until one of"
        " them is gone or has no tasks, or until it names another group"
    )
    group = member.offered.labels["DEPLOYMENT_GROUP"]
    return Problem(member.app.id, None, _LABEL, group, reason, kind=GROUP_FULL)


def _alternate(member: Member) -> list[Problem]:
    """A word to the app that is left alone with the second app's port: the group's first one is not known any more."""
    alternate = member.offered.labels.get("DEPLOYMENT_ALT_PORT")
    return [
        Problem(
            member.app.id,
            service.port_index,
            "HAPROXY_DEPLOYMENT_ALT_PORT",
            str(alternate),
            f"is bound, since the group has no other app; HAPROXY_{service.port_index}_PORT keeps the group's own port",
            fatal=False,
            kind=GROUP_PORT,
        )
        for service in member.offered.services
        if service.service_port == alternate and f"HAPROXY_{service.port_index}_PORT" not in member.app.labels
    ]
