"""The status of the load balancer as data."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from marathonlb.controller.status import BlockedConvergence
from marathonlb.controller.timeline import Entry, Kind
from marathonlb.errors import HAProxyUnavailable, described
from marathonlb.web.api.health import readiness
from marathonlb.web.api.pin import Pinned, pinned
from marathonlb.web.api.problems import kind_of
from marathonlb.web.context import ClusterContext, WebContext
from marathonlb.web.page import Answer, ClientRequest, Page, Parameter, data


class MarathonEndpoint(msgspec.Struct, frozen=True):
    """
    One Marathon of ``--marathon``.

    :param cluster: the name of its cluster; empty if it has none.
    :param preferred: true if it answered last, so it is asked first.
    :param leader: true if it is the leader; null if the leader is unknown.
    """

    url: str
    cluster: str
    preferred: bool
    leader: bool | None


class ClusterStatus(msgspec.Struct, frozen=True, kw_only=True):
    """
    The status of one cluster. Times are seconds since the epoch.

    :param name: empty if it has none.
    :param leader: URL of the leader; null if it is unknown.
    :param connected_to: source of its events; null while there is none.
    :param problem: why there are no events, or why it does not answer; empty without a problem.
    :param last_full: time of the last full comparison.
    :param staleness_seconds: seconds since then; null before the first one.
    """

    name: str
    leader: str | None
    connected_to: str | None
    problem: str
    last_event: float | None
    last_full: float | None
    staleness_seconds: float | None
    apps: int


class MarathonStatus(msgspec.Struct, frozen=True, kw_only=True):
    """
    The status of Marathon. Times are seconds since the epoch.

    With several clusters ``clusters`` has the status of each. The other fields are then those of the cluster in the
    worst state, and ``leader`` is null.

    :param leader: URL of the leader; null if it is unknown.
    :param connected_to: source of the events, in event mode the callback's own address; null while there is none.
    :param problem: why there are no events; empty without a problem.
    :param last_full: time of the last full comparison.
    :param staleness_seconds: seconds since then; null before the first one.
    """

    endpoints: tuple[MarathonEndpoint, ...]
    leader: str | None
    connected_to: str | None
    problem: str
    last_event: float | None
    last_full: float | None
    staleness_seconds: float | None
    max_staleness_seconds: float
    apps: int
    clusters: tuple[ClusterStatus, ...]


class HAProxyStatus(msgspec.Struct, frozen=True, kw_only=True):
    """
    The status of HAProxy.

    :param managed: true if the controller starts and supervises it.
    :param confirmed: true if it has confirmed the running configuration.
    :param version: of the running worker; empty if it does not answer.
    :param problem: why it does not answer; empty if it does.
    :param features: features that the binary was built with.
    :param workers: process ids, draining workers included.
    :param draining: number of draining workers; null if HAProxy is not managed and this is unknown.
    """

    managed: bool
    confirmed: bool
    version: str
    problem: str
    pid: int | None
    uptime_seconds: int | None
    sessions: int | None
    sessions_limit: int | None
    binary: str
    binary_version: str
    features: tuple[str, ...]
    workers: tuple[int, ...]
    draining: int | None


class Generations(msgspec.Struct, frozen=True):
    """The number of hints that have come, and the number of those that HAProxy's configuration includes."""

    wanted: int
    running: int


class Blocked(msgspec.Struct, frozen=True, kw_only=True):
    """
    The reason why the configuration cannot be applied, although Marathon has answered.

    :param since: time of the first failed attempt, in seconds since the epoch.
    :param attempts: number of convergences in a row that have failed.
    :param red: true if the controller is not ready because of it.
    """

    reason: str
    since: float
    attempts: int
    red: bool


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """
    The status of the load balancer. Times are seconds since the epoch.

    :param groups: the groups that it serves; none means apps without a group.
    :param last_change: the last convergence that changed something; null before the first.
    :param last_reload: the last one that reloaded HAProxy; null before the first.
    :param reloads: number of reloads since the controller's start.
    :param failures: number of convergences in a row that failed.
    :param failure: why the last one failed; empty after a success.
    :param suspected: number of services whose changes wait while the cause of a failure without a line is searched.
    :param blocked: why the configuration cannot be applied; null while it can.
    :param drift: number of changed apps that full comparisons found and no event had named.
    :param reasons: why it is not ready.
    :param pinned: the configuration that an operator went back to; null if none is pinned.
    :param admin: true if this client may change something and see secrets.
    """

    version: str
    mode: str
    groups: tuple[str, ...]
    now: float
    started: float
    marathon: MarathonStatus
    haproxy: HAProxyStatus
    generation: Generations
    last_change: Entry | None
    last_reload: Entry | None
    reloads: int
    failures: int
    failure: str
    blocked: Blocked | None
    suspected: int
    drift: int
    services: int
    servers: int
    problems: dict[str, int]
    ready: bool
    reasons: tuple[str, ...]
    pinned: Pinned | None
    admin: bool


async def status_of(context: WebContext, *, admin: bool) -> Status:
    """Return the present status."""
    status, record, wanted = context.reconciler.status, context.recorder, context.reconciler.planned
    health = await readiness(context)
    problems: dict[str, int] = {}
    for problem in context.reconciler.problems:
        problems[kind_of(problem)] = problems.get(kind_of(problem), 0) + 1
    changes = (e for e in reversed(record.timeline.entries()) if e.kind is Kind.CONVERGED)
    return Status(
        version=context.version,
        mode=context.settings.mode,
        groups=tuple(sorted(context.settings.groups)),
        now=context.now(),
        started=context.started,
        marathon=_marathon(context),
        haproxy=await _haproxy(context),
        generation=Generations(status.generation, status.converged),
        last_change=next(changes, None),
        last_reload=record.last_reload,
        reloads=status.reloads,
        failures=status.failures,
        failure=status.failure,
        blocked=_blocked(status.blocked),
        suspected=len(context.planner.suspects),
        drift=status.drift,
        services=len(wanted.services) if wanted else 0,
        servers=wanted.servers if wanted else 0,
        problems=problems,
        ready=health.ok,
        reasons=health.answer().reasons,
        pinned=pinned(context),
        admin=admin,
    )


def _blocked(blocked: BlockedConvergence | None) -> Blocked | None:
    if blocked is None:
        return None
    return Blocked(reason=blocked.reason, since=blocked.since, attempts=blocked.attempts, red=blocked.red)


def _marathon(context: WebContext) -> MarathonStatus:
    clusters = tuple(_cluster(context, each) for each in context.clusters)
    events = [each.last_event for each in clusters]
    connected = [each.connected_to for each in clusters if each.connected_to is not None]
    problems = [
        f"{each.name}: {each.problem}" if each.name else each.problem for each in clusters if each.problem
    ]
    return MarathonStatus(
        endpoints=tuple(endpoint for each in context.clusters for endpoint in _endpoints(each)),
        leader=clusters[0].leader if len(clusters) == 1 else None,
        connected_to=", ".join(dict.fromkeys(connected)) if len(connected) == len(clusters) else None,
        problem="; ".join(problems),
        last_event=None if None in events else min(event for event in events if event is not None),
        last_full=context.gatherer.last_full,
        staleness_seconds=context.staleness(),
        max_staleness_seconds=context.settings.max_staleness,
        apps=len(context.gatherer.cluster.apps),
        clusters=clusters,
    )


def _cluster(context: WebContext, cluster: ClusterContext) -> ClusterStatus:
    return ClusterStatus(
        name=cluster.name,
        leader=cluster.marathons.leader(),
        connected_to=cluster.source.connected_to,
        problem=cluster.source.problem or cluster.gatherer.problem,
        last_event=cluster.source.last_event_at,
        last_full=cluster.gatherer.last_full,
        staleness_seconds=context.staleness(cluster),
        apps=len(cluster.gatherer.cluster.apps),
    )


def _endpoints(cluster: ClusterContext) -> Iterator[MarathonEndpoint]:
    leader = cluster.marathons.leader()
    for url in cluster.endpoints:
        leads = None if leader is None else url == leader
        yield MarathonEndpoint(url, cluster.name, url == cluster.marathons.preferred, leads)


async def _haproxy(context: WebContext) -> HAProxyStatus:
    info: dict[str, str] = {}
    problem, binary, features = "", "", frozenset[str]()
    try:
        info = await context.statistics.info()
    except HAProxyUnavailable as error:
        problem = described(error)
    try:
        capabilities = await context.capabilities()
        binary, features = ".".join(map(str, capabilities.version)), capabilities.features
    except HAProxyUnavailable as error:
        problem = problem or described(error)
    workers = await context.workers()
    return HAProxyStatus(
        managed=context.settings.manage_haproxy,
        confirmed=context.applier.confirmed,
        version=info.get("Version", ""),
        problem=problem,
        pid=_number(info, "Pid"),
        uptime_seconds=_number(info, "Uptime_sec"),
        sessions=_number(info, "CurrConns"),
        sessions_limit=_number(info, "Maxconn"),
        binary=context.settings.haproxy,
        binary_version=binary,
        features=tuple(sorted(features)),
        workers=workers,
        draining=context.draining(workers),
    )


def _number(info: dict[str, str], name: str) -> int | None:
    text = info.get(name, "")
    return int(text) if text.isdecimal() else None


class StatusPage(Page):
    """The status of the load balancer."""

    summary = "The status of the load balancer"
    shape = Status

    def __init__(self, context: WebContext) -> None:
        self._context = context

    async def answer(self, request: ClientRequest) -> Answer:
        """Return the status."""
        return data(await status_of(self._context, admin=request.admin))


class Timeline(msgspec.Struct, frozen=True):
    """The last entries of the timeline, the oldest first."""

    entries: tuple[Entry, ...]


class TimelinePage(Page):
    """The timeline."""

    summary = "The last events: what triggered each, what was done, and how long each stage took"
    shape = Timeline
    parameters = (Parameter("after", "query", "only entries newer than the one with this id", "integer"),)
    statuses = ((400, "after= is not a whole number"),)

    def __init__(self, context: WebContext) -> None:
        self._context = context

    async def answer(self, request: ClientRequest) -> Answer:
        """Return the entries that are kept."""
        return data(Timeline(self._context.recorder.timeline.entries(request.number("after", 0))))
