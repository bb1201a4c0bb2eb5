"""
The deployment groups of all clusters; a group is rejoined when one of its apps has changed.

A group belongs to one parent group: it joins apps of that parent group, and its id is its name below it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from attrs import evolve

from marathonlb.marathon.model import App, cluster_of, qualified
from marathonlb.routing.deployments import GroupMember, JoinedGroup, join, of_another_parent, since
from marathonlb.routing.names import group_id
from marathonlb.routing.problems import Problem
from marathonlb.routing.services.model import AppServices, Service

_NOTHING = AppServices()


class DeploymentGroups:
    """
    The members of every group, and its services, which depend on the members alone, not on the order of changes.

    :ivar _group_by_service: the group whose services have an app id, by that id.
    :ivar _groups_by_name: the groups with the same name below several parent groups, by cluster and name.
    :ivar _oldest_by_name: the oldest of these.
    """

    def __init__(self) -> None:
        self._members: dict[str, dict[str, GroupMember]] = {}
        self._group_of: dict[str, str] = {}
        self._joined: dict[str, JoinedGroup] = {}
        self._group_by_service: dict[str, str] = {}
        self._dirty: set[str] = set()
        self._ages: dict[str, tuple[str, str]] = {}
        self._groups_by_name: dict[str, set[str]] = {}
        self._oldest_by_name: dict[str, str] = {}

    def copy(self) -> DeploymentGroups:
        """Return a copy that changes independently, to find out what a change would lead to."""
        other = DeploymentGroups()
        other._members = {group: dict(members) for group, members in self._members.items()}
        other._group_of, other._joined = dict(self._group_of), dict(self._joined)
        other._group_by_service, other._dirty = dict(self._group_by_service), set(self._dirty)
        other._ages, other._oldest_by_name = dict(self._ages), dict(self._oldest_by_name)
        other._groups_by_name = {name: set(groups) for name, groups in self._groups_by_name.items()}
        return other

    def take(self, app_id: str, app: App | None, offered: AppServices) -> AppServices | None:
        """
        Record an app's services without its group; `settle` must follow.

        :param app: None if it is gone.
        :return: its services without a group: all of them, or None if it belongs to a group.
        """
        if app_id in self._members:
            self._dirty.add(app_id)
        former = self._group_of.pop(app_id, None)
        if former is not None:
            self._dirty.add(former)
            del self._members[former][app_id]
        name = offered.labels.get("DEPLOYMENT_GROUP") if offered.services else None
        if app is None or not name:
            return offered
        group = group_id(app_id, name)
        if group is None:
            return evolve(offered, problems=(*offered.problems, of_another_parent(app_id, name)))
        self._dirty.add(group)
        self._group_of[app_id] = group
        self._members.setdefault(group, {})[app_id] = GroupMember(app, offered)
        return None

    def settle(self, alone: Mapping[str, AppServices]) -> list[tuple[AppServices, AppServices]]:
        """
        Join the groups that have changed.

        :param alone: the services of the apps that belong to no group, by app id.
        :return: for each changed group, its services before and now.
        """
        changes = []
        by_name: dict[str, list[str]] = {}
        for group in self._dirty:
            by_name.setdefault(_name(group), []).append(group)
        for name, groups in by_name.items():
            self._compare(name, groups)
        for group in sorted(self._dirty):
            before = self._joined.pop(group, None)
            if before is not None:
                del self._group_by_service[before.app_id]
            after = _NOTHING
            if self._members[group]:
                after = self._join(group, alone).offered
            else:
                del self._members[group]
            changes.append((before.offered if before is not None else _NOTHING, after))
        self._dirty.clear()
        return changes

    def _join(self, group: str, alone: Mapping[str, AppServices]) -> JoinedGroup:
        """Join one group; its services have the group's id as their app id, with a ``~`` where an app has that id."""
        app_id = group
        if alone.get(app_id, _NOTHING).services or self._group_of.get(app_id, group) != group:
            app_id += "~"  # which no id in Marathon contains
        oldest = self._oldest_by_name[_name(group)]
        joined = join(group, app_id, self._members[group].values(), oldest if oldest != group else None)
        self._joined[group], self._group_by_service[app_id] = joined, group
        return joined

    def _compare(self, name: str, changed: Iterable[str]) -> None:
        """Find the oldest of the groups with one name; if that has changed, all of them are rejoined."""
        groups = self._groups_by_name.setdefault(name, set())
        for group in changed:
            members = self._members[group].values()
            if members:
                groups.add(group)
                self._ages[group] = min((since(member.app), member.app.id) for member in members)
            else:
                groups.discard(group)
                self._ages.pop(group, None)
        oldest = min(groups, key=self._ages.__getitem__, default=None)
        if oldest is None:
            del self._groups_by_name[name]
            self._oldest_by_name.pop(name, None)
        elif self._oldest_by_name.get(name) != oldest:
            self._oldest_by_name[name] = oldest
            self._dirty |= groups

    def services(self) -> Iterator[Service]:
        """Yield the services of all groups."""
        for joined in self._joined.values():
            yield from joined.offered.services

    def of(self, app_id: str) -> tuple[Service, ...]:
        """Return the services of the group that an app belongs to."""
        joined = self._joined.get(self._group_of.get(app_id, ""))
        return joined.offered.services if joined else ()

    def problems(self) -> Iterator[Problem]:
        """Yield the problems of all apps of groups."""
        for joined in self._joined.values():
            yield from joined.offered.problems

    def count(self, app_id: str) -> int:
        """Return the number of services that go with an app: those that no newer app of its group shares."""
        joined = self._joined.get(self._group_of.get(app_id, ""))
        return sum(newest == app_id for newest in joined.newest.values()) if joined else 0

    def members(self, app_id: str) -> tuple[str, ...]:
        """Return the apps that the app id of a service stands for, the older first; none if it is no group's."""
        joined = self._joined.get(self._group_by_service.get(app_id, ""))
        return joined.members if joined else ()

    def attributed(self, problem: Problem) -> Problem:
        """Return the problem with the app whose labels caused it, if its service is a group's."""
        joined = self._joined.get(self._group_by_service.get(problem.app_id, ""))
        if joined is None:
            return problem
        index = problem.port_index
        owner = joined.leads.get(-1 if index is None else index, joined.members[-1])
        return evolve(problem, app_id=owner)


def _name(group: str) -> str:
    """Return a group's name with its cluster, without the parent group: several groups may share it."""
    return qualified(cluster_of(group), f"/{group.rpartition('/')[2]}")
