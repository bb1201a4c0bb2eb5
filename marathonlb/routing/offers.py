"""
What the whole cluster offers: each app's services, kept until that app changes.

A change of one app makes one app's services anew; the flat view over all is made when it is asked for.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from typing import TypeVar

from marathonlb.marathon.model import App, Networking
from marathonlb.routing.groups import DeploymentGroups
from marathonlb.routing.policy.prefixes import OPEN, Policy
from marathonlb.routing.problems import Problem
from marathonlb.routing.services.build import services_of
from marathonlb.routing.services.model import AppServices, Service
from marathonlb.routing.services.servers import Resolve
from marathonlb.settings import Settings

_NOTHING = AppServices()
T = TypeVar("T")


class Offers:
    """
    The services of all apps.

    :param template_names: the templates that a label can override.
    :param resolve: gives the address of an agent's host, None where it has none.
    :param policy: what the apps may claim.
    """

    def __init__(
        self,
        settings: Settings,
        template_names: frozenset[str],
        resolve: Resolve,
        policy: Policy = OPEN,
    ) -> None:
        self._policy = policy
        self._settings = settings
        self._template_names = template_names
        self._resolve = resolve
        self._by_app: dict[str, AppServices] = {}
        self._groups = DeploymentGroups()
        self._needs_port: dict[str, tuple[str, list[int]]] = {}
        self._named_ports: dict[str, tuple[str, frozenset[int]]] = {}
        self._assigned: dict[tuple[str, int], int] = {}

    def copy(self) -> Offers:
        """Another one that knows the same, for a question of what would be."""
        other = Offers(self._settings, self._template_names, self._resolve, self._policy)
        other._by_app, other._groups = dict(self._by_app), self._groups.copy()
        other._needs_port, other._named_ports = dict(self._needs_port), dict(self._named_ports)
        other._assigned = self._assigned
        return other

    def update(
        self, apps: Mapping[str, App], touched: Iterable[str]
    ) -> list[tuple[AppServices, AppServices]]:
        """
        Make the services of some apps anew.

        :param apps: everything that runs, by id; a touched app that is not among them is gone.
        :return: what each of them, or its deployment group, offered before, and what it offers now.
        """
        ids = set(touched)
        ids |= self._assign_ports(apps, ids)
        changes = []
        for app_id in ids:
            app = apps.get(app_id)
            before = self._by_app.pop(app_id, _NOTHING)
            after = _NOTHING
            if app is not None:
                mine = {index: port for (owner, index), port in self._assigned.items() if owner == app_id}
                after = services_of(app, self._settings, self._template_names, self._resolve, mine)
                after = self._policy.applied(app, after)
            alone = self._groups.take(app_id, app, after)
            if app is not None and alone is not None:
                self._by_app[app_id] = alone
            changes.append((before, alone or _NOTHING))
        return changes + self._groups.settle(self._by_app)

    def count(self, app: App) -> int:
        """How many services an app has now; what it shares with a newer app of its group does not count."""
        held = self._by_app.get(app.id)
        return len(held.services) if held else self._groups.count(app.id)

    def members(self, app_id: str) -> tuple[str, ...]:
        """The apps whose tasks are behind the services of an app id: itself, or the apps of a deployment group."""
        return self._groups.members(app_id) or (app_id,)

    def attributed(self, problem: Problem) -> Problem:
        """A problem of a service, told to the app whose labels it comes from, where that is a group's."""
        return self._groups.attributed(problem)

    def of(self, app_id: str) -> tuple[Service, ...]:
        """The services that an app's tasks are behind."""
        held = self._by_app.get(app_id)
        return held.services if held else self._groups.of(app_id)

    def services(self) -> Iterator[Service]:
        """All services, in no particular order."""
        for offered in self._by_app.values():
            yield from offered.services
        yield from self._groups.services()

    def problems(self) -> list[Problem]:
        """All problems, by app id."""
        found = [problem for offered in self._by_app.values() for problem in offered.problems]
        return sorted([*found, *self._groups.problems()], key=lambda problem: problem.app_id)

    def _assign_ports(self, apps: Mapping[str, App], touched: set[str]) -> set[str]:
        """
        Give service ports to the ports that Marathon gave none; who was first keeps its own.

        A port that an app names is given to no younger app.

        :return: the apps whose ports are others than before.
        """
        low, high = self._settings.min_serv_port_ip_per_task, self._settings.max_serv_port_ip_per_task
        if not high:
            return set()
        other = False
        for app_id in touched:
            app = apps.get(app_id)
            indexes = _without_port(app) if app else []
            since = (app.config_changed_at or app.version) if app else ""
            other |= _note(self._needs_port, app_id, (since, indexes) if indexes else None)
            named = frozenset(port for port in _named_ports(app) if low <= port <= high) if app else None
            other |= _note(self._named_ports, app_id, (since, named) if named else None)
        if not other:
            return set()
        assigned: dict[tuple[str, int], int] = {}
        taken: set[int] = set()
        for (_, app_id), named, indexes in self._by_age():
            taken |= named
            for index in indexes:
                port = _free_port(app_id, index, low, high, taken)
                if port is not None:
                    taken.add(port)
                    assigned[app_id, index] = port
        moved = {
            key
            for key in assigned.keys() | self._assigned.keys()
            if assigned.get(key) != self._assigned.get(key)
        }
        self._assigned = assigned
        return {app_id for app_id, _ in moved if app_id in apps}

    def _by_age(self) -> Iterator[tuple[tuple[str, str], frozenset[int], list[int]]]:
        """The apps that name ports of the range, or need some, the oldest first: age and id, the ports, the indexes."""
        ages = {
            (since, app_id) for app_id, (since, _) in (*self._needs_port.items(), *self._named_ports.items())
        }
        for age in sorted(ages):
            named, needs = self._named_ports.get(age[1]), self._needs_port.get(age[1])
            yield age, named[1] if named else frozenset(), needs[1] if needs else []


def _note(known: dict[str, T], app_id: str, value: T | None) -> bool:
    """Keep a value, or that there is none; whether that is something new."""
    before = known.get(app_id)
    if value:
        known[app_id] = value
    else:
        known.pop(app_id, None)
    return before != known.get(app_id)


def _without_port(app: App) -> list[int]:
    """
    The ports for which neither Marathon nor a label names a service port: of container networking, and of pods.

    Other modes are left to those whose labels speak to us, lest pods that nobody wants to balance use the range up.
    """
    if app.networking is not Networking.CONTAINER and not app.labels:
        return []
    return [
        index
        for index, port in enumerate(app.ports)
        if not port.service_port and "tcp" in port.protocol and f"HAPROXY_{index}_PORT" not in app.labels
    ]


def _named_ports(app: App) -> Iterator[int]:
    for index, port in enumerate(app.ports):
        label = app.labels.get(f"HAPROXY_{index}_PORT", "").strip()
        yield int(label) if label.isdecimal() and len(label) < 6 else port.service_port


def _free_port(app_id: str, index: int, low: int, high: int, taken: set[int]) -> int | None:
    """A port that follows from the app's id and index alone where nobody older has it; else the next free one."""
    size = high - low + 1
    digest = hashlib.sha1(f"{app_id}:{index}".encode(), usedforsecurity=False).digest()
    start = int.from_bytes(digest[:4], "big") % size
    for step in range(size):
        port = low + (start + step) % size
        if port not in taken:
            return port
    return None
