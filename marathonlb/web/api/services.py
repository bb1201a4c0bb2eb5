"""
The services as data, with HAProxy's statistics.

The list has one row of statistics for each service and no servers, so that it stays fast for thousands of services. The
page of one service has everything.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from operator import is_

import msgspec
from twisted.internet.defer import DeferredLock
from twisted.internet.task import deferLater

from marathonlb.base.redaction import masked
from marathonlb.config.text.model import DIRECTORY
from marathonlb.errors import HAProxyUnavailable, described
from marathonlb.haproxy.runtime.stats import BackendDetail, BackendState, ServerState
from marathonlb.routing.explain.evidence import State
from marathonlb.routing.explain.model import LeftOut, RuleSeen, ServerSeen
from marathonlb.routing.explain.views import seen
from marathonlb.routing.services.model import Service
from marathonlb.web.api.problems import ProblemView, problems_of
from marathonlb.web.context import WebContext
from marathonlb.web.page import Answer, ClientRequest, Page, Parameter, Refusal, data

SLICE = 500
"""Number of services after which the reactor may do other work."""

_NOTHING: Mapping[str, BackendState] = {}


class ServiceView(msgspec.Struct, frozen=True, kw_only=True):
    """
    A service in a list.

    :param app_id: the app; of a deployment group its name, as an id.
    :param apps: the apps whose tasks are its servers.
    :param groups: the groups of ``HAPROXY_GROUP``.
    :param bind: address of its own frontend (``*:10000``); empty if it has none.
    :param hosts: virtual hosts; a wildcard begins with ``*.``.
    :param paths: path prefixes; none means every path.
    :param state: ``up``, ``degraded`` (some servers take no requests), ``down`` (none does), ``empty`` (it has no
        servers) or ``unknown`` (HAProxy does not answer).
    :param server_count: number of servers, drained ones included.
    :param drained: number of servers that get no new sessions.
    :param problems: number of its open problems.
    :param haproxy: HAProxy's statistics; null if it does not answer or has no such backend.
    """

    app_id: str
    port_index: int
    service_port: int
    apps: tuple[str, ...]
    groups: tuple[str, ...]
    bind: str
    hosts: tuple[str, ...]
    paths: tuple[str, ...]
    backend: str
    mode: str
    balance: str
    sticky: bool
    state: str
    server_count: int
    drained: int
    problems: int
    haproxy: BackendState | None


class Services(msgspec.Struct, frozen=True):
    """
    All services, by app id and port.

    :param problem: why there are no statistics from HAProxy; empty if there are.
    """

    services: tuple[ServiceView, ...]
    problem: str = ""


class ServerView(msgspec.Struct, frozen=True, kw_only=True):
    """
    A server.

    :param health: the task's health in Marathon: ``alive``, ``not alive`` or ``unknown``.
    :param drained: true if it gets no new sessions.
    :param haproxy: HAProxy's statistics; null if it does not answer or has no such server.
    """

    name: str
    address: str
    port: int
    task_id: str
    health: str
    drained: bool
    haproxy: ServerState | None


class TextSection(msgspec.Struct, frozen=True):
    """
    A section of the configuration that belongs to a service.

    :param kind: ``frontend``, ``backend`` or ``userlist``.
    :param line: number of its first line in the file, from 1.
    """

    kind: str
    name: str
    line: int
    text: str


class ServiceDetail(msgspec.Struct, frozen=True, kw_only=True):
    """
    One service with all details.

    :param left_out: tasks not in rotation, each with the reason.
    :param rules: its rules in the shared frontends, in the order in which they are tried.
    :param remarks: other settings for its requests: a redirect, a password, a list of networks.
    :param unexpected: removed servers that HAProxy still has, since they finish their open sessions.
    :param text: its sections of the configuration.
    :param problem: why there are no statistics from HAProxy; empty if there are.
    """

    service: ServiceView
    servers: tuple[ServerView, ...]
    left_out: tuple[LeftOut, ...]
    rules: tuple[RuleSeen, ...]
    remarks: tuple[str, ...]
    unexpected: dict[str, ServerState]
    problems: tuple[ProblemView, ...]
    text: tuple[TextSection, ...]
    problem: str = ""


def state_of(count: int, drained: int, haproxy: BackendState | None) -> str:
    """Return a service's state in one word: see `ServiceView`."""
    if not count:
        return "empty"
    if haproxy is None:
        return "unknown"
    serving = haproxy.active_servers or haproxy.backup_servers
    if not serving or haproxy.status.startswith("DOWN"):
        return "down"
    return "degraded" if haproxy.active_servers + haproxy.backup_servers < count - drained else "up"


def server_state(haproxy: ServerState | None) -> str:
    """Return a server's state in one word: ``up``, ``down``, ``degraded`` (any other status) or ``unknown``."""
    if haproxy is None:
        return "unknown"
    if haproxy.status.startswith("UP") or haproxy.status == "no check":
        return "up"
    return "down" if haproxy.status.startswith("DOWN") else "degraded"


def service_view(service: Service, state: State, problems: int, haproxy: BackendState | None) -> ServiceView:
    """Return a service as an item of the list."""
    count = len(service.servers)
    drained = sum(server.weight == 0 for server in service.servers)
    apps = state.apps_of(service)
    return ServiceView(
        app_id=service.app_id,
        port_index=service.port_index,
        service_port=service.service_port,
        apps=tuple(app.id for app in apps),
        groups=_groups((app.labels for app in apps), service.port_index),
        bind=f"{service.bind_addr}:{service.service_port}" if service.binds_port else "",
        hosts=(*service.hosts, *service.passthrough),
        paths=service.paths,
        backend=service.backend,
        mode=service.mode,
        balance=service.balance,
        sticky=service.sticky,
        state=state_of(count, drained, haproxy),
        server_count=count,
        drained=drained,
        problems=problems,
        haproxy=haproxy,
    )


def _groups(labels: Iterable[dict[str, str]], index: int) -> tuple[str, ...]:
    """Return the groups of the labels; the label of the port replaces the label of the app."""
    values = [named.get(f"HAPROXY_{index}_GROUP") or named.get("HAPROXY_GROUP") or "" for named in labels]
    groups = (group.strip() for value in values for group in value.split(","))
    return tuple(dict.fromkeys(group for group in groups if group))


class ServicesPage(Page):
    """All services."""

    summary = "All services with their states and HAProxy's statistics"
    shape = Services
    statuses = ((503, "Marathon has not answered yet"),)

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue

    async def answer(self, request: ClientRequest) -> Answer:
        """Return one row for each."""
        return data(await self._catalogue.services())


class Catalogue:
    """
    A cached list of all services, shared by all clients.

    It is rebuilt when something has changed, in slices.
    """

    def __init__(self, context: WebContext) -> None:
        self._context = context
        self._one_at_a_time = DeferredLock()
        self._made_from: tuple[object, ...] = (None, None, None)
        self._generation = -1
        self._services = Services(())

    async def services(self) -> Services:
        """Return all services. Raises `Refusal` before Marathon's first answer."""
        await self._one_at_a_time.acquire()
        try:
            return await self._fresh()
        finally:
            self._one_at_a_time.release()

    async def _fresh(self) -> Services:
        state, problem = self._context.state(), ""
        backends: Mapping[str, BackendState] = _NOTHING
        try:
            backends = await self._context.statistics.backends()
        except HAProxyUnavailable as error:
            problem = described(error)
        generation = self._context.reconciler.status.converged
        made_from = (state.services, state.problems, backends)
        same = generation == self._generation and all(map(is_, made_from, self._made_from))
        if not same or problem != self._services.problem:
            self._services = Services(await self._views(state, backends), problem)
            self._made_from, self._generation = made_from, generation
        return self._services

    async def _views(self, state: State, backends: Mapping[str, BackendState]) -> tuple[ServiceView, ...]:
        counts = Counter((p.app_id, p.port_index) for p in state.problems)
        views = []
        for number, service in enumerate(state.services, 1):
            ids = {service.app_id, *state.members(service.app_id)} if counts else ()
            problems = sum(counts[app_id, index] for app_id in ids for index in (None, service.port_index))
            views.append(service_view(service, state, problems, backends.get(service.backend)))
            if number % SLICE == 0:
                await deferLater(self._context.clock, 0)
        return tuple(views)


class ServicePage(Page):
    """One service."""

    summary = "One service with its servers, rules, text and problems"
    shape = ServiceDetail
    parameters = (Parameter("backend", "path", "the name of its backend", required=True),)
    statuses = ((404, "no such service"), (503, "Marathon has not answered yet"))

    def __init__(self, context: WebContext) -> None:
        self._context = context

    async def answer(self, request: ClientRequest) -> Answer:
        """Return the service."""
        return data(await service_of(self._context, request.arguments["backend"], admin=request.admin))


async def service_of(context: WebContext, backend: str, *, admin: bool) -> ServiceDetail:
    """Return one service by the name of its backend. Raises `Refusal` if there is none."""
    state = context.state()
    service = next((each for each in state.services if each.backend == backend), None)
    if service is None:
        raise Refusal(404, f"there is no service with the backend {backend}")
    held, problem = BackendDetail(None, {}), ""
    try:
        held = await context.statistics.backend(backend)
    except HAProxyUnavailable as error:
        problem = described(error)
    shown = seen(service, state)
    ids = {service.app_id, *state.members(service.app_id)}
    problems = tuple(
        each
        for each in problems_of(context)
        if each.app_id in ids and each.port_index in (None, service.port_index)
    )
    names = {server.name for server in service.servers}
    return ServiceDetail(
        service=service_view(service, state, len(problems), held.backend),
        servers=tuple(_server(server, held) for server in shown.servers),
        left_out=shown.left_out,
        rules=shown.rules,
        remarks=shown.remarks,
        unexpected={name: server for name, server in held.servers.items() if name not in names},
        problems=problems,
        text=tuple(_text(context, service, admin=admin)),
        problem=problem,
    )


def _server(server: ServerSeen, held: BackendDetail) -> ServerView:
    return ServerView(
        name=server.name,
        address=server.address,
        port=server.port,
        task_id=server.task_id,
        health=server.health,
        drained=server.drained,
        haproxy=held.servers.get(server.name),
    )


def _text(context: WebContext, service: Service, *, admin: bool) -> Iterable[TextSection]:
    """Yield the sections that belong to the service's app and port."""
    directory = context.directory
    line = 1
    for section in context.wanted().rendered.config:
        owner = section.chunks[0].owner if section.chunks else None
        if owner is not None and (owner.app_id, owner.port_index) == service.key:
            text = section.text.replace(DIRECTORY, directory)
            yield TextSection(section.kind, section.name, line, text if admin else masked(text))
        line += section.lines
