"""The apps of a deployment group as Marathon tells them: which is the older one, and how far the newer one has come."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta

from attrs import field, frozen

from marathonlb.routing.deployments import GroupMember, by_age, target_of
from marathonlb.zdd.definition import BLUE, GREEN, AppFile, Build, Json
from marathonlb.zdd.errors import Refused
from marathonlb.zdd.plan import Count

_ENDING = frozenset({"TASK_KILLING"})
Place = tuple[str, int]
"""A host, or a task's own address, and a port."""


@frozen
class Side:
    """
    One app of the pair.

    :param body: Marathon's own JSON of it.
    :param told: ids of tasks that were told to end, though Marathon may not show it.
    """

    member: GroupMember
    body: Json = field(repr=False)
    told: frozenset[str] = frozenset()

    @property
    def id(self) -> str:
        """The app's id."""
        return self.member.app.id

    @property
    def instances(self) -> int:
        """How many tasks it shall have."""
        return self.member.app.instances

    @property
    def tasks(self) -> tuple[str, ...]:
        """The ids of its tasks, without those that are told to end."""
        return tuple(
            task.id
            for task in self.member.app.tasks
            if task.id not in self.told and task.state not in _ENDING
        )

    @property
    def empty(self) -> bool:
        """Whether no task of it is left, not even one that is about to end."""
        return not self.member.app.tasks

    @property
    def healthy(self) -> frozenset[str]:
        """The ids of its tasks that run and, where the app has health checks, are alive."""
        return self.member.healthy & frozenset(self.tasks)

    @property
    def target(self) -> int | None:
        """How many instances its deployment was to come to, by its label."""
        named = self.member.offered.labels.get("DEPLOYMENT_TARGET_INSTANCES")
        return None if named is None else int(named)

    @property
    def split(self) -> int:
        """By its label, how many of its tasks get traffic at most; 0 where it has none."""
        return int(self.member.offered.labels.get("DEPLOYMENT_NEW_INSTANCES") or 0)

    def tasks_at(self, tasks: Iterable[str]) -> dict[str, frozenset[Place]]:
        """Where each of these tasks is served; nowhere those that no load balancer serves."""
        places = self.places()
        return {task: places.get(task, frozenset()) for task in tasks}

    def count(self) -> Count:
        """What a plan is made from."""
        return Count(self.instances, self.tasks, self.healthy, self.empty)

    def places(self) -> Mapping[str, frozenset[Place]]:
        """Where each task is served, all ports together, by the task's id."""
        found: dict[str, set[Place]] = {}
        for service in self.member.offered.services:
            for server in service.servers:
                found.setdefault(server.task_id, set()).add((server.host, server.port))
        return {task: frozenset(places) for task, places in found.items()}


@frozen
class Pair:
    """A deployment group with two apps, one or none; one that is alone is the older one."""

    older: Side | None = None
    newer: Side | None = None


def pair_of(group: str, sides: Iterable[Side]) -> Pair:
    """
    The pair among these apps.

    :raises Refused: there are more than two.
    """
    found = {side.id: side for side in sides}
    ordered = by_age(side.member for side in found.values())
    if len(ordered) > 2:
        ids = ", ".join(member.app.id for member in ordered)
        raise Refused(f"{group} is the group of {ids}; a pair has two apps, so all but two have to go first")
    return Pair(*(found[member.app.id] for member in ordered))


def target(older: Side, newer: Side) -> int:
    """How many tasks of both shall serve, as the load balancers reckon it."""
    return target_of(older.member, newer.member)[0]


def next_build(file: AppFile, older: Side | None, instances: int, now: datetime) -> Build:
    """
    The app that comes next to this one.

    Its beginning is later than the older app's whatever this machine's clock says, since that is who is newer.
    """
    if older is None:
        return Build(BLUE, instances, now)
    labels = older.member.offered.labels
    colour = GREEN if BLUE in (labels.get("DEPLOYMENT_COLOUR"), older.id.rpartition("-")[2]) else BLUE
    started = older.member.started_at
    if started is not None:
        started = started if started.tzinfo else started.replace(tzinfo=UTC)
        now = max(now, started + timedelta(seconds=1))
    taken = frozenset(port.service_port for port in older.member.app.ports)
    bound = {service.port_index: service.service_port for service in older.member.offered.services}
    return Build(colour, instances, now, taken, bound)
