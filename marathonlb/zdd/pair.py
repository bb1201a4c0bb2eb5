"""The apps of a deployment group in Marathon: the older one, the newer one, and their state."""

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
"""The address of a server: a host, or a task's own address, and a port."""


@frozen
class PairApp:
    """
    One app of the pair.

    :param body: the app in Marathon's JSON.
    :param ended: ids of tasks that this run has ended, though Marathon may not show it yet.
    """

    member: GroupMember
    body: Json = field(repr=False)
    ended: frozenset[str] = frozenset()

    @property
    def id(self) -> str:
        """The app's id."""
        return self.member.app.id

    @property
    def instances(self) -> int:
        """The number of instances in its definition."""
        return self.member.app.instances

    @property
    def tasks(self) -> tuple[str, ...]:
        """The ids of its tasks, without those that are ending."""
        return tuple(
            task.id
            for task in self.member.app.tasks
            if task.id not in self.ended and task.state not in _ENDING
        )

    @property
    def empty(self) -> bool:
        """True if it has no task, not even one that is ending."""
        return not self.member.app.tasks

    @property
    def healthy(self) -> frozenset[str]:
        """The ids of its running tasks; with health checks, of those that pass them."""
        return self.member.healthy & frozenset(self.tasks)

    @property
    def target(self) -> int | None:
        """The number of instances that its deployment aimed at, by its label; None without the label."""
        label = self.member.offered.labels.get("DEPLOYMENT_TARGET_INSTANCES")
        return None if label is None else int(label)

    @property
    def split(self) -> int:
        """The maximum number of its tasks that get traffic, by its label; 0 without the label."""
        return int(self.member.offered.labels.get("DEPLOYMENT_NEW_INSTANCES") or 0)

    def tasks_at(self, tasks: Iterable[str]) -> dict[str, frozenset[Place]]:
        """Return task id to its servers' addresses; none for tasks that no load balancer serves."""
        places = self.places()
        return {task: places.get(task, frozenset()) for task in tasks}

    def count(self) -> Count:
        """Return the state for the plan."""
        return Count(self.instances, self.tasks, self.healthy, self.empty)

    def places(self) -> Mapping[str, frozenset[Place]]:
        """Return task id to its servers' addresses, of all ports together."""
        by_task: dict[str, set[Place]] = {}
        for service in self.member.offered.services:
            for server in service.servers:
                by_task.setdefault(server.task_id, set()).add((server.host, server.port))
        return {task: frozenset(places) for task, places in by_task.items()}


@frozen
class Pair:
    """The apps of a deployment group; a single app is the older one."""

    older: PairApp | None = None
    newer: PairApp | None = None


def pair_of(group: str, apps: Iterable[PairApp]) -> Pair:
    """
    Return the pair of a deployment group's apps.

    :raises Refused: there are more than two.
    """
    by_id = {app.id: app for app in apps}
    ordered = by_age(app.member for app in by_id.values())
    if len(ordered) > 2:
        ids = ", ".join(member.app.id for member in ordered)
        raise Refused(f"{group} is the group of {ids}; a pair has two apps, so remove all but two first")
    return Pair(*(by_id[member.app.id] for member in ordered))


def target(older: PairApp, newer: PairApp) -> int:
    """Return the number of tasks of both that should serve, as the load balancers calculate it."""
    return target_of(older.member, newer.member)[0]


def next_build(file: AppFile, older: PairApp | None, instances: int, now: datetime) -> Build:
    """
    Return the values of the app that is deployed beside this one.

    Its start is later than the older app's even if this machine's clock is wrong, because the start decides which app
    is newer.
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
