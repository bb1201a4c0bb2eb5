"""
The facts that explanations rest on: whether a port of an app is served, and if not, why.

The reasons come from the functions that decide: they are called again for one port instead of all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from functools import cached_property
from heapq import nsmallest

from attrs import Factory, frozen

from marathonlb.base import limits
from marathonlb.marathon.model import App, Task, id_in_cluster
from marathonlb.problem_kinds.apps import PROTOCOL
from marathonlb.problem_kinds.kind import Category
from marathonlb.routing.claims.ports import Bound, own_ports
from marathonlb.routing.explain.model import LeftOut, Reason
from marathonlb.routing.labels.parse import AppLabels, parse_labels
from marathonlb.routing.labels.selection import why_not_offered
from marathonlb.routing.problems import Problem
from marathonlb.routing.quarantine.refused import QuarantineVerdict
from marathonlb.routing.rules import Rules
from marathonlb.routing.services.model import Service
from marathonlb.routing.services.servers import SERVED_STATES, Resolve, address_of
from marathonlb.settings import Settings

Key = tuple[str, int]
"""The key of a service: the app's id and the port's index."""

SHOWN = 200
"""Maximum number of characters of a label's value that are shown."""

NEAR = 5
"""Maximum number of similar names in an answer."""

COMPARED = 200
"""Maximum number of names, those of the most similar length, that one is compared with: each takes up to 1 ms."""


@frozen(slots=False)
class State:
    """
    The state of the routing that explanations rest on.

    :param apps: every running app, by id.
    :param services: the services that are in the configuration.
    :param rules: the rules of the shared frontends.
    :param problems: all problems, those of the quarantine included.
    :param verdicts: the verdicts of the quarantine.
    :param template_names: the templates that a label can override.
    :param resolve: returns the address of an agent's host; None if it has none.
    :param members: the apps whose tasks are behind a service's app id: itself, or those of a deployment group.
    """

    apps: Mapping[str, App]
    settings: Settings
    services: Sequence[Service] = ()
    rules: Rules = Factory(Rules)
    problems: tuple[Problem, ...] = ()
    verdicts: tuple[QuarantineVerdict, ...] = ()
    template_names: frozenset[str] = frozenset()
    resolve: Resolve = lambda host: host
    members: Callable[[str], tuple[str, ...]] = lambda app_id: (app_id,)

    @cached_property
    def by_key(self) -> Mapping[Key, Service]:
        """The services that are in the configuration, by their own keys."""
        return {service.key: service for service in self.services}

    @cached_property
    def _by_port(self) -> Mapping[Key, Service]:
        return {(app_id, s.port_index): s for s in self.services for app_id in self.members(s.app_id)}

    def service_of(self, app_id: str, index: int) -> Service | None:
        """Return the service of an app's port, its own or its deployment group's; None if the port is not served."""
        return self._by_port.get((app_id, index))

    def apps_of(self, service: Service) -> tuple[App, ...]:
        """Return the apps whose tasks are behind a service."""
        return tuple(self.apps[app_id] for app_id in self.members(service.app_id) if app_id in self.apps)

    def labels(self, app: App) -> AppLabels:
        """Return the parsed labels of an app."""
        return parse_labels(app, self.template_names)

    def problems_of(self, app_id: str, index: int) -> Iterator[Problem]:
        """Return the problems of a port of an app or of a deployment group, and those of the whole app."""
        ids = {app_id, *self.members(app_id)}
        return (p for p in self.problems if p.app_id in ids and p.port_index in (index, None))

    def own_ports(self) -> dict[int, list[Bound]]:
        """Return the ports of the load balancer itself; see `marathonlb.routing.claims.ports.own_ports`."""
        return own_ports(self.settings, passing=any(service.passthrough for service in self.services))

    @cached_property
    def tasks(self) -> Mapping[str, Task]:
        """All tasks, by id."""
        return {task.id: task for app in self.apps.values() for task in app.tasks}


def why_not(app: App, index: int, state: State) -> tuple[Reason, ...]:
    """Return why a port of an app is not in the configuration."""
    if id_in_cluster(app.id) in state.settings.own_app_ids:
        return (Reason("own", "it is the load balancer itself, which is never served", app.id, index),)
    labels = state.labels(app)
    reasons = [
        _reason(problem, app.id, index)
        for problem in state.problems_of(app.id, index)
        if problem.fatal or problem.kind is PROTOCOL
    ]
    words = why_not_offered(labels, index, state.settings)
    if words is not None:
        return Reason("selection", words, app.id, index), *reasons
    if not reasons:
        words = f"nothing is offered for it; an empty HAPROXY_{index}_BACKEND_HEAD switches a service off"
        reasons = [Reason("template", words, app.id, index)]
    return tuple(reasons)


_KINDS = {Category.POLICY: "policy", Category.QUARANTINE: "quarantine"}
"""`Reason.kind` by the category of a problem; all others are ``problem``."""


def _reason(problem: Problem, app_id: str, index: int) -> Reason:
    return Reason(_KINDS.get(problem.kind.category, "problem"), sentence_of(problem), app_id, index)


def sentence_of(problem: Problem) -> str:
    """Return a problem as a sentence without its app and port; a long value is cut."""
    value = limits.shortened(problem.value, SHOWN)
    what = f"{problem.label}={value!r}" if problem.label and value else problem.label
    return f"{what}: {problem.reason}" if what else problem.reason


def left_out(service: Service, state: State) -> tuple[LeftOut, ...]:
    """Return the tasks that could be servers of a service and are not, each with the reason."""
    served = {server.task_id for server in service.servers}
    return tuple(
        LeftOut(task.id, _why_task(app, task, service.port_index, state))
        for app in state.apps_of(service)
        for task in app.tasks
        if task.id not in served
    )


def _why_task(app: App, task: Task, index: int, state: State) -> str:
    need_health = state.settings.health_check and bool(app.health_checks)
    if task.state not in SERVED_STATES:
        return f"its state is {task.state}"
    if not task.host:
        return "it has no host yet"
    if task.ready is False:
        return "its readiness checks have not passed yet"
    if need_health and task.alive is not True:
        failing = task.alive is False
        result = "its health checks fail" if failing else "no health check has said that it is alive yet"
        return f"{result} (--health-check)"
    place = address_of(app, task, index) if index < len(app.ports) else None
    if place is None:
        return "it has no address or no port yet"
    if state.resolve(place[0]) is None:
        return f"the name of its host, {place[0]}, cannot be resolved"
    return "another task is at the same address and port"


def why_no_servers(service: Service, state: State) -> tuple[Reason, ...]:
    """Return why a service of the configuration has no server that takes new sessions; empty if it has one."""
    if any(server.weight != 0 for server in service.servers):
        return ()
    apps = state.apps_of(service)
    if service.servers:
        words = "all of its servers are drained: they get no new sessions"
    elif not any(app.tasks for app in apps):
        wanted = sum(app.instances for app in apps)
        words = f"no task runs; {wanted} {'is' if wanted == 1 else 'are'} wanted"
    else:
        words = _summary(left_out(service, state))
    return (Reason("tasks", words, service.app_id, service.port_index),)


def _summary(tasks: Iterable[LeftOut]) -> str:
    counts: dict[str, int] = {}
    for task in tasks:
        counts[task.reason] = counts.get(task.reason, 0) + 1
    summary = "; ".join(f"{count} of them: {reason}" for reason, count in counts.items())
    return f"none of its {sum(counts.values())} tasks can be a server; {summary}"


def nearest(name: str, known: Iterable[str]) -> tuple[str, ...]:
    """Return the known names that are most similar to one."""
    compared = nsmallest(COMPARED, sorted(known), key=lambda other: abs(len(other) - len(name)))
    return tuple(get_close_matches(limits.shortened(name, limits.HOST), compared, NEAR, 0.5))
