"""
Deployment groups (blue/green): two apps of one group are one service.

The pair has one backend name, made of the group and the port that the older app binds. The name is the same before,
during and after a deployment, so the backend, sessions and changes through the runtime API outlive it. Each port index
is joined separately; a port of only one of the two apps stays with that app.

*The older app*: by ``HAPROXY_DEPLOYMENT_STARTED_AT`` where all of the group's apps have it, else by their last change
in Marathon, and by their ids if that is equal too.

*The servers in rotation*: see `shares`. The older app's tasks are drained in the order of their ids, unhealthy ones
first; of the newer app the healthy ones are put into rotation first.

*The labels that apply*: those of the app with more healthy servers in rotation; the newer app's on a tie. So a health
check or a virtual host that differs between the two never costs more than half of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import cached_property

import msgspec
from attrs import Factory, evolve, frozen
from msgspec import Struct

from marathonlb.marathon.model import App
from marathonlb.problem_kinds.sharing import GROUP_FULL, GROUP_PARENT, GROUP_PORT
from marathonlb.routing.names import backend_name, parent_of
from marathonlb.routing.problems import Problem
from marathonlb.routing.services.model import AppServices, Service
from marathonlb.routing.services.servers import Server, distinct

_LABEL = "HAPROXY_DEPLOYMENT_GROUP"
DEFAULT_WEIGHT = 100
"""The weight of servers without a weight label, where the other app of the group has one."""

_UNDATED = datetime(1, 1, 1, tzinfo=UTC)
_RUNNING = frozenset({None, "TASK_RUNNING"})
"""The states that count as healthy: a task behind a partition is a server, but no other is drained for it."""


@frozen(slots=False, eq=False)
class GroupMember:
    """An app of a group, and what it offers without the group."""

    app: App
    offered: AppServices

    @property
    def started_at(self) -> datetime | None:
        """The start of its deployment, by its label."""
        return self.offered.labels.get("DEPLOYMENT_STARTED_AT")

    @cached_property
    def healthy(self) -> frozenset[str]:
        """The ids of its tasks that run and, if the app has health checks, are alive."""
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
        """True if any of its tasks is a server."""
        return any(service.servers for service in self.offered.services)


@frozen
class JoinedGroup:
    """
    The services of a group.

    :param app_id: the app id of its services.
    :param members: the ids of the apps that are joined, the older one first.
    :param leads: by the index of the port, the app whose labels apply.
    :param newest: by the index of the port, the newest app that has it.
    """

    app_id: str
    offered: AppServices
    members: tuple[str, ...] = ()
    leads: Mapping[int, str] = Factory(dict)
    newest: Mapping[int, str] = Factory(dict)


class Shares(Struct, frozen=True):
    """The number of servers of each app that are in rotation; the others are drained."""

    older: int
    newer: int


def shares(*, older: int, newer: int, healthy: int, target: int, split: int = 0) -> Shares:
    """
    Return the number of servers in rotation of each app.

    With O servers of the older app, H healthy ones of the newer and a target of T, ``max(0, T - H)`` of the older are
    in rotation, and never more than O. None is drained before the first of the newer is healthy, whatever the target.
    All of the newer app's servers are in rotation; unhealthy ones are left to health checks, as everywhere.

    A split S, 0 < S < T, holds the newer app at S servers: H counts as S at most, so the older app keeps ``T - S``. A
    split has no effect where the older app has no server.

    :param older: O, the number of the older app's servers.
    :param newer: the number of the newer app's servers.
    :param healthy: H, the number of those that are healthy.
    :param target: T, the number of servers of both apps that shall be in rotation.
    :param split: S, the number of the newer app's servers; 0 is no split.
    """
    divided = 0 < split < target and older > 0
    if divided:
        healthy = min(healthy, split)
    serving = min(older, max(0, target - healthy)) if healthy else older
    return Shares(serving, min(newer, split) if divided else newer)


def target_of(older: GroupMember, newer: GroupMember, *, weighed: bool = False) -> tuple[int, int]:
    """
    Return the target of both apps together, and the split: the maximum of the newer app's servers (0: no split).

    If the newer app names no target, it is the larger of both apps' instances: too many are better than too few.

    :param weighed: True if one of them names a weight for its servers. Then its owner shares the traffic by weight, and
        the default target is the sum of both apps' instances.
    """
    labels = newer.offered.labels
    target = labels.get("DEPLOYMENT_TARGET_INSTANCES")
    if target is None:
        wanted = (older.app.instances, newer.app.instances)
        target = sum(wanted) if weighed else max(wanted)
    return target, labels.get("DEPLOYMENT_NEW_INSTANCES") or 0


def join(group: str, app_id: str, members: Iterable[GroupMember], elder: str | None = None) -> JoinedGroup:
    """
    Return the services of a group; they depend only on its members.

    :param group: the group's id, from which the names of backends are made.
    :param app_id: the app id of the services.
    :param elder: an older group of the same name, of another parent group.
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
            of_another_parent(member.app.id, member.offered.labels["DEPLOYMENT_GROUP"], elder)
            for member in ordered
        ]
    return JoinedGroup(app_id, AppServices(tuple(services), tuple(problems)), ids, leads, newest)


def by_age(members: Iterable[GroupMember]) -> list[GroupMember]:
    """Return the apps of a group, the oldest first."""
    unordered = list(members)
    dated = all(member.started_at is not None for member in unordered)

    def age(member: GroupMember) -> tuple[datetime, str, str]:
        started = member.started_at if dated else None
        return started or _UNDATED, since(member.app), member.app.id

    return sorted(unordered, key=age)


def since(app: App) -> str:
    """Return when an app last changed, as Marathon writes it."""
    return app.config_changed_at or app.version


def of_another_parent(app_id: str, name: str, elder: str | None = None) -> Problem:
    """
    Return the problem of an app that names a group of another parent group, and so is not joined with it.

    :param elder: that group; None if the name itself is its id.
    """
    where = parent_of(elder if elder is not None else f"/{name}") or "/"
    mine = parent_of(app_id) or "/"
    served = "it is served by itself" if elder is None else f"it is joined with apps of {mine} alone"
    reason = (
        f"names a group of {where}, and a group joins apps of one parent group; this app is in {mine}, and {served}:"
        " give it a name of its own, or the apps one parent group"
    )
    return Problem(app_id, None, _LABEL, name, reason, fatal=False, kind=GROUP_PARENT)


def _two_of(ordered: Sequence[GroupMember]) -> list[GroupMember]:
    """
    Return the two apps of a group that has more: the older ones, so that a third does not disturb what is in service.

    Apps without a server, which an interrupted deployment leaves behind, come last.
    """
    kept = sorted(ordered, key=lambda member: not member.has_servers)[:2]
    return [member for member in ordered if member in kept]


def _shared(older: GroupMember, newer: GroupMember, index: int) -> tuple[GroupMember, tuple[Server, ...]]:
    """
    Return the app whose labels apply to a port, and the servers of the port.

    :param older: the same as ``newer`` if only one app has the port.
    """
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
    healthy_old = sum(server.task_id in older.healthy for server in serving_old)
    healthy_new = sum(server.task_id in newer.healthy for server in serving_new)
    lead = newer if (new and not old) or (healthy_new and healthy_new >= healthy_old) else older
    out_of_rotation = map(_drained, (*leaving[:drained], *coming[share.newer :]))
    return lead, distinct((*out_of_rotation, *serving_old, *serving_new))


def _weighed(servers: Iterable[Server]) -> tuple[Server, ...]:
    """Return the servers with the default weight written out, since the other app's servers have a weight."""
    return tuple(
        msgspec.structs.replace(server, weight=DEFAULT_WEIGHT) if server.weight is None else server
        for server in servers
    )


def _drained(server: Server) -> Server:
    return msgspec.structs.replace(server, weight=0)


def _third(member: GroupMember, kept: Sequence[str]) -> Problem:
    reason = (
        f"is the group of {' and '.join(kept)}, and a group has two apps at most; this one is left out until one of"
        " them is gone or has no tasks, or until it names another group"
    )
    group = member.offered.labels["DEPLOYMENT_GROUP"]
    return Problem(member.app.id, None, _LABEL, group, reason, kind=GROUP_FULL)


def _alternate(member: GroupMember) -> list[Problem]:
    """Return the problem of an app that is left alone with the second app's port, as the first is unknown."""
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
