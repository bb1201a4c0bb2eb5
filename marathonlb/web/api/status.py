"""How the load balancer is, as data: what an operator asks first."""

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
from marathonlb.web.page import Answer, Asked, Page, Parameter, data


class MarathonEndpoint(msgspec.Struct, frozen=True):
    """
    One Marathon of ``--marathon``.

    :param cluster: the name of its cluster; empty where it has none.
    :param preferred: it answered last, so it is asked first.
    :param leader: whether it is the leader; null where none has said who is.
    """

    url: str
    cluster: str
    preferred: bool
    leader: bool | None


class ClusterStatus(msgspec.Struct, frozen=True, kw_only=True):
    """
    What is known of one cluster. Times are seconds since the epoch.

    :param name: empty where it has none.
    :param leader: whom a Marathon called the leader last; null where none has.
    :param connected_to: where its events come from; null while none come.
    :param problem: why none come, or why it cannot be asked; empty where all is well.
    :param last_full: when everything of it was last compared.
    :param staleness_seconds: since then; null before the first time.
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
    What is known of Marathon. Times are seconds since the epoch.

    Of several clusters ``clusters`` has what is known of each. What is said of them all is then of the one that is
    worst off, and nobody leads them all.

    :param leader: whom a Marathon called the leader last; null where none has.
    :param connected_to: where events come from, the callback's own address in event mode; null while none come.
    :param problem: why none come; empty where all is well.
    :param last_full: when everything was last compared.
    :param staleness_seconds: since then; null before the first time.
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
    What is known of HAProxy.

    :param managed: whether the controller starts and supervises it.
    :param confirmed: whether it has confirmed what is believed to run.
    :param version: of the worker that runs; empty where it cannot be asked.
    :param problem: why it cannot be asked; empty where it can.
    :param features: what the binary was built with.
    :param workers: process ids, old workers that drain included.
    :param draining: how many of them drain; null where HAProxy is not ours and nobody can tell.
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
    """Hints are counted: how many have come, and up to which of them HAProxy runs what is wanted."""

    wanted: int
    running: int


class Blocked(msgspec.Struct, frozen=True, kw_only=True):
    """
    The reason why what is wanted cannot be applied, though Marathon has answered.

    :param since: when the first of these attempts failed, in seconds since the epoch.
    :param attempts: how many convergences in a row have failed.
    :param red: whether that is why it is not ready.
    """

    reason: str
    since: float
    attempts: int
    red: bool


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """
    How the load balancer is. Times are seconds since the epoch.

    :param groups: the groups that it serves; none means apps without a group.
    :param last_change: the last convergence that changed something; null before the first.
    :param last_reload: the last one that reloaded HAProxy.
    :param reloads: how many there were since the controller's start.
    :param failures: convergences in a row that failed, and ``failure`` why the last one did.
    :param suspected: services whose change waits while the cause of a failure is searched that named no line.
    :param blocked: why what is wanted cannot be applied; null while it can.
    :param drift: changed apps that full comparisons found and no event had named.
    :param reasons: why it is not ready.
    :param pinned: the configuration that an operator went back to, which holds until it is released.
    :param admin: whether the client that asks may use what changes something.
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
    """How everything is now."""
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
    """How the load balancer is."""

    summary = "How the load balancer is"
    shape = Status

    def __init__(self, context: WebContext) -> None:
        self._context = context

    async def answer(self, asked: Asked) -> Answer:
        """See `status_of`."""
        return data(await status_of(self._context, admin=asked.admin))


class Timeline(msgspec.Struct, frozen=True):
    """What happened, the oldest first."""

    entries: tuple[Entry, ...]


class TimelinePage(Page):
    """What happened."""

    summary = "What came, what was decided, what was done, and how long each took"
    shape = Timeline
    parameters = (Parameter("after", "query", "only what is newer than the entry of this id", "integer"),)
    statuses = ((400, "after= is no whole number"),)

    def __init__(self, context: WebContext) -> None:
        self._context = context

    async def answer(self, asked: Asked) -> Answer:
        """What is kept of it."""
        return data(Timeline(self._context.recorder.timeline.entries(asked.number("after", 0))))
