"""
The deployment groups of all clusters, each joined anew when one of its apps has changed.

A group is one parent group's: it joins apps with the same parent group, and is known by its name as an id among theirs.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from attrs import evolve

from marathonlb.marathon.model import App, cluster_of, qualified
from marathonlb.routing.deployments import Joined, Member, elsewhere, join, since
from marathonlb.routing.names import group_id
from marathonlb.routing.problems import Problem
from marathonlb.routing.services.model import AppServices, Service

_NOTHING = AppServices()


class DeploymentGroups:
    """Keeps the members of every group; what they come to depends on them alone, not on the order of changes."""

    def __init__(self) -> None:
        self._members: dict[str, dict[str, Member]] = {}
        self._group_of: dict[str, str] = {}
        self._joined: dict[str, Joined] = {}
        self._names: dict[str, str] = {}
        self._dirty: set[str] = set()
        self._ages: dict[str, tuple[str, str]] = {}
        self._alike: dict[str, set[str]] = {}
        self._oldest: dict[str, str] = {}

    def copy(self) -> DeploymentGroups:
        """Another one that knows the same, for a question of what would be."""
        other = DeploymentGroups()
        other._members = {group: dict(members) for group, members in self._members.items()}
        other._group_of, other._joined = dict(self._group_of), dict(self._joined)
        other._names, other._dirty = dict(self._names), set(self._dirty)
        other._ages, other._oldest = dict(self._ages), dict(self._oldest)
        other._alike = {name: set(groups) for name, groups in self._alike.items()}
        return other

    def take(self, app_id: str, app: App | None, offered: AppServices) -> AppServices | None:
        """
        Note what an app would offer by itself; `settle` is to follow.

        :param app: None where it is gone.
        :return: what it does offer by itself: all of it, or None where it belongs to a group.
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
            return evolve(offered, problems=(*offered.problems, elsewhere(app_id, name)))
        self._dirty.add(group)
        self._group_of[app_id] = group
        self._members.setdefault(group, {})[app_id] = Member(app, offered)
        return None

    def settle(self, alone: Mapping[str, AppServices]) -> list[tuple[AppServices, AppServices]]:
        """
        Join the groups that have changed.

        :param alone: what the apps that belong to no group offer, by their ids.
        :return: what each of them offered before, and what it offers now.
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
                del self._names[before.app_id]
            members = self._members[group]
            after = _NOTHING
            if members:
                app_id = group
                if alone.get(app_id, _NOTHING).services or self._group_of.get(app_id, group) != group:
                    app_id += "~"  # no id in Marathon holds one
                others = self._oldest[_name(group)]
                joined = join(group, app_id, members.values(), others if others != group else None)
                self._joined[group], self._names[app_id] = joined, group
                after = joined.offered
            else:
                del self._members[group]
            changes.append((before.offered if before is not None else _NOTHING, after))
        self._dirty.clear()
        return changes

    def _compare(self, name: str, changed: Iterable[str]) -> None:
        """Find the oldest of the groups of one name; where that is another one now, all of them are told."""
        groups = self._alike.setdefault(name, set())
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
            del self._alike[name]
            self._oldest.pop(name, None)
        elif self._oldest.get(name) != oldest:
            self._oldest[name] = oldest
            self._dirty |= groups

    def services(self) -> Iterator[Service]:
        """The services of all groups."""
        for joined in self._joined.values():
            yield from joined.offered.services

    def of(self, app_id: str) -> tuple[Service, ...]:
        """The services of the group that an app belongs to."""
        joined = self._joined.get(self._group_of.get(app_id, ""))
        return joined.offered.services if joined else ()

    def problems(self) -> Iterator[Problem]:
        """The problems of all their apps."""
        for joined in self._joined.values():
            yield from joined.offered.problems

    def count(self, app_id: str) -> int:
        """How many services would go with an app: those that no newer app of its group shares."""
        joined = self._joined.get(self._group_of.get(app_id, ""))
        return sum(newest == app_id for newest in joined.newest.values()) if joined else 0

    def members(self, app_id: str) -> tuple[str, ...]:
        """The apps that a service's app id stands for, the older one first; none where it is no group's."""
        joined = self._joined.get(self._names.get(app_id, ""))
        return joined.members if joined else ()

    def attributed(self, problem: Problem) -> Problem:
        """The same problem with the app whose labels made it, where it is a group's."""
        joined = self._joined.get(self._names.get(problem.app_id, ""))
        if joined is None:
            return problem
        index = problem.port_index
        owner = joined.leads.get(-1 if index is None else index, joined.members[-1])
        return evolve(problem, app_id=owner)


def _name(group: str) -> str:
    """A group's name, with its cluster's: what the groups of several parent groups may have in common."""
    return qualified(cluster_of(group), f"/{group.rpartition('/')[2]}")
