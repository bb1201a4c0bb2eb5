"""How the load balancer is, as data: what an operator asks first."""

from __future__ import annotations

import msgspec

from marathonlb.errors import HAProxyUnavailable
from marathonlb.timeline import Entry, Kind
from marathonlb.web.health import readiness
from marathonlb.web.page import Answer, Asked, Page, Parameter, data
from marathonlb.web.pin import Pinned, pinned
from marathonlb.web.problems import kind_of
from marathonlb.web.sight import Sight


class MarathonEndpoint(msgspec.Struct, frozen=True):
    """
    One Marathon of ``--marathon``.

    :param preferred: it answered last, so it is asked first.
    :param leader: whether it is the leader; null where none has said who is.
    """

    url: str
    preferred: bool
    leader: bool | None


class MarathonStatus(msgspec.Struct, frozen=True, kw_only=True):
    """
    What is known of Marathon. Times are seconds since the epoch.

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


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """
    How the load balancer is. Times are seconds since the epoch.

    :param groups: the groups that it serves; none means apps without a group.
    :param last_change: the last convergence that changed something; null before the first.
    :param last_reload: the last one that reloaded HAProxy.
    :param reloads: how many there were since the controller's start.
    :param failures: convergences in a row that failed, and ``failure`` why the last one did.
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
    drift: int
    services: int
    servers: int
    problems: dict[str, int]
    ready: bool
    reasons: tuple[str, ...]
    pinned: Pinned | None
    admin: bool


async def status_of(sight: Sight, *, admin: bool) -> Status:
    """How everything is now."""
    status, record, wanted = sight.reconciler.status, sight.record, sight.reconciler.wanted
    health = await readiness(sight)
    problems: dict[str, int] = {}
    for problem in sight.reconciler.problems:
        problems[kind_of(problem)] = problems.get(kind_of(problem), 0) + 1
    changes = (e for e in reversed(record.timeline.entries()) if e.kind is Kind.CONVERGED)
    return Status(
        version=sight.version,
        mode=sight.settings.mode,
        groups=tuple(sorted(sight.settings.groups)),
        now=sight.now(),
        started=sight.started,
        marathon=_marathon(sight),
        haproxy=await _haproxy(sight),
        generation=Generations(status.generation, status.converged),
        last_change=next(changes, None),
        last_reload=record.last_reload,
        reloads=status.reloads,
        failures=status.failures,
        failure=status.failure,
        drift=status.drift,
        services=len(wanted.services) if wanted else 0,
        servers=wanted.servers if wanted else 0,
        problems=problems,
        ready=health.ok,
        reasons=health.reasons,
        pinned=pinned(sight),
        admin=admin,
    )


def _marathon(sight: Sight) -> MarathonStatus:
    leader, source = sight.marathons.leader(), sight.source
    return MarathonStatus(
        endpoints=tuple(
            MarathonEndpoint(url, url == sight.marathons.preferred, None if leader is None else url == leader)
            for url in sight.settings.marathon
        ),
        leader=leader,
        connected_to=source.connected_to if source else None,
        problem=source.problem if source else "",
        last_event=source.last_event_at if source else None,
        last_full=sight.reconciler.status.last_full,
        staleness_seconds=sight.staleness(),
        max_staleness_seconds=sight.settings.max_staleness,
        apps=len(sight.gatherer.cluster.apps),
    )


async def _haproxy(sight: Sight) -> HAProxyStatus:
    info: dict[str, str] = {}
    problem, binary, features = "", "", frozenset[str]()
    try:
        info = await sight.statistics.info()
    except HAProxyUnavailable as error:
        problem = str(error)
    try:
        capabilities = await sight.capabilities()
        binary, features = ".".join(map(str, capabilities.version)), capabilities.features
    except HAProxyUnavailable as error:
        problem = problem or str(error)
    workers = await sight.workers()
    return HAProxyStatus(
        managed=sight.settings.manage_haproxy,
        confirmed=sight.applier.confirmed,
        version=info.get("Version", ""),
        problem=problem,
        pid=_number(info, "Pid"),
        uptime_seconds=_number(info, "Uptime_sec"),
        sessions=_number(info, "CurrConns"),
        sessions_limit=_number(info, "Maxconn"),
        binary=sight.settings.haproxy,
        binary_version=binary,
        features=tuple(sorted(features)),
        workers=workers,
        draining=sight.draining(workers),
    )


def _number(info: dict[str, str], name: str) -> int | None:
    text = info.get(name, "")
    return int(text) if text.isdecimal() else None


class StatusPage(Page):
    """How the load balancer is."""

    summary = "How the load balancer is"
    shape = Status

    def __init__(self, sight: Sight) -> None:
        self._sight = sight

    async def answer(self, asked: Asked) -> Answer:
        """See `status_of`."""
        return data(await status_of(self._sight, admin=asked.admin))


class Timeline(msgspec.Struct, frozen=True):
    """What happened, the oldest first."""

    entries: tuple[Entry, ...]


class TimelinePage(Page):
    """What happened."""

    summary = "What came, what was decided, what was done, and how long each took"
    shape = Timeline
    parameters = (Parameter("after", "query", "only what is newer than the entry of this id", "integer"),)

    def __init__(self, sight: Sight) -> None:
        self._sight = sight

    async def answer(self, asked: Asked) -> Answer:
        """What is kept of it."""
        return data(Timeline(self._sight.record.timeline.entries(asked.number("after", 0))))
