"""
The services of all apps, each kept until its app changes.

A change of one app rebuilds only that app's services; the flat view of all services is made on demand.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from marathonlb.marathon.model import App
from marathonlb.routing.groups import DeploymentGroups
from marathonlb.routing.policy.prefixes import OPEN, Policy
from marathonlb.routing.problems import Problem
from marathonlb.routing.services.assigned_ports import AssignedPorts
from marathonlb.routing.services.build import services_of
from marathonlb.routing.services.model import AppServices, Service
from marathonlb.routing.services.servers import Resolve
from marathonlb.settings import Settings

_NOTHING = AppServices()


class Offers:
    """
    The services of all apps.

    :param template_names: the templates that a label can override.
    :param resolve: returns the address of an agent's host, or None.
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
        self._ports = AssignedPorts(settings.min_serv_port_ip_per_task, settings.max_serv_port_ip_per_task)

    def copy(self) -> Offers:
        """Return a copy that changes independently, to find out what a change would lead to."""
        other = Offers(self._settings, self._template_names, self._resolve, self._policy)
        other._by_app, other._groups = dict(self._by_app), self._groups.copy()
        other._ports = self._ports.copy()
        return other

    def update(
        self, apps: Mapping[str, App], touched: Iterable[str]
    ) -> list[tuple[AppServices, AppServices]]:
        """
        Rebuild the services of some apps.

        :param apps: everything that runs, by id; a touched app that is not among them is gone.
        :return: for each of them, or for its deployment group, the services before and now.
        """
        ids = set(touched)
        ids |= self._ports.update(apps, ids)
        changes = []
        for app_id in ids:
            app = apps.get(app_id)
            before = self._by_app.pop(app_id, _NOTHING)
            after = self._built(app) if app is not None else _NOTHING
            alone = self._groups.take(app_id, app, after)
            if app is not None and alone is not None:
                self._by_app[app_id] = alone
            changes.append((before, alone or _NOTHING))
        return changes + self._groups.settle(self._by_app)

    def _built(self, app: App) -> AppServices:
        offered = services_of(
            app, self._settings, self._template_names, self._resolve, self._ports.of(app.id)
        )
        return self._policy.applied(app, offered)

    def count(self, app: App) -> int:
        """Return the number of services that an app has; those shared with a newer app of its group do not count."""
        offered = self._by_app.get(app.id)
        return len(offered.services) if offered else self._groups.count(app.id)

    def members(self, app_id: str) -> tuple[str, ...]:
        """Return the apps whose tasks are behind the services of an app id: itself, or those of its group."""
        return self._groups.members(app_id) or (app_id,)

    def attributed(self, problem: Problem) -> Problem:
        """Return a problem with the app whose labels it comes from, if its service is a group's."""
        return self._groups.attributed(problem)

    def of(self, app_id: str) -> tuple[Service, ...]:
        """Return the services that an app's tasks are behind."""
        offered = self._by_app.get(app_id)
        return offered.services if offered else self._groups.of(app_id)

    def services(self) -> Iterator[Service]:
        """Yield all services, in no particular order."""
        for offered in self._by_app.values():
            yield from offered.services
        yield from self._groups.services()

    def problems(self) -> list[Problem]:
        """Return all problems, by app id."""
        alone = [problem for offered in self._by_app.values() for problem in offered.problems]
        return sorted([*alone, *self._groups.problems()], key=lambda problem: problem.app_id)
