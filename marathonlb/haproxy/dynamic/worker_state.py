"""
The state of one worker: the configuration that it read, and where it holds something else since. Pure.

It holds something else where a server was drained early, where a server that is to go is still in use, and where
somebody changed it by hand. Before an update is carried out its backends count as unsure, and are known again by the
result; so an update that breaks off leaves nothing believed that is not known.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from attrs import evolve, field, frozen

from marathonlb.config.text.model import Config, Section
from marathonlb.config.text.server_lines import Backend, Inherited, inherited
from marathonlb.haproxy.dynamic.backends import ParsedBackends, WorkerBackends
from marathonlb.haproxy.dynamic.capabilities import RuntimeLimits
from marathonlb.haproxy.dynamic.maps import MapPlanner
from marathonlb.haproxy.dynamic.server_state import ReportedServer, deviations
from marathonlb.haproxy.dynamic.servers import DRAIN, MAINTENANCE, BackendChange, HeldServer, held_by
from marathonlb.haproxy.dynamic.update import (
    Comparison,
    Deletions,
    HeldServers,
    ServerName,
    UpdatePlan,
    UpdateResult,
    WorkerIdentity,
    WorkerObservation,
)


@frozen
class PlanningCaches:
    """Caches for planning, which outlive a worker: none of them says what a worker holds."""

    parsed: ParsedBackends = field(factory=ParsedBackends)
    maps: MapPlanner = field(factory=MapPlanner)


class WorkerState:
    """
    What is known of a worker that has read a configuration.

    :ivar pid: its process id.
    :ivar capabilities: of its version.
    :ivar unsure: the backends of which it is not known what the worker holds.
    :ivar pending: the backends in which it holds something else than its configuration says, drained servers apart.
    :ivar place_of: the places of the backends in the running configuration, by name.
    :ivar backends: whole backends that are in no file.
    :ivar inherited: the directives that its backends inherit.
    :ivar parsed: a cache for planning, as is `maps`.
    """

    def __init__(
        self, config: Config, identity: WorkerIdentity, caches: PlanningCaches | None = None
    ) -> None:
        self.pid = identity.pid
        self.capabilities = identity.capabilities
        self.caches = caches or PlanningCaches()
        self.unsure: set[str] = set()
        self.pending: set[str] = set()
        self.backends = WorkerBackends()
        self.backends.read(config)
        self.inherited: Inherited = inherited(config.sections)
        self.parsed = self.caches.parsed
        self.maps = self.caches.maps
        self._deviations: dict[str, dict[str, HeldServer | None]] = {}
        self._drained_early: dict[ServerName, float] = {}
        self._undeleted: dict[ServerName, None] = {}
        self.place_of: dict[str, int] = {}
        self.index(config)

    def index(self, config: Config) -> None:
        """Note the places of the backends in the running configuration."""
        self.place_of = {s.name: place for place, s in enumerate(config.sections) if s.kind == "backend"}

    @property
    def limits(self) -> RuntimeLimits:
        """The limits of the worker's runtime API."""
        return self.capabilities.limits

    @property
    def has_to_be_read(self) -> bool:
        """True if something has to be read back before an update can be planned."""
        return bool(self.unsure or self.backends.unsure)

    def doubt(self, backends: Iterable[str]) -> None:
        """Note that it is not known what the worker holds of these backends."""
        self.unsure.update(backends)

    def place(self, name: str, config: Config) -> int | None:
        """Return the place of a backend in a configuration; None where it has none."""
        place = self.place_of.get(name)
        if place is not None and place < len(config.sections) and config.sections[place].name == name:
            return place
        return place_by_search(name, config)

    def held(self, backend: Backend) -> dict[str, HeldServer]:
        """Return the servers that the worker holds of a backend as it runs."""
        held = held_by(backend)
        for name, other in self._deviations.get(backend.name, {}).items():
            if other is None:
                held.pop(name, None)
            else:
                held[name] = other
        return held

    def is_readable(self, backend: Backend) -> bool:
        """Return whether the server lines say all servers: no default-server or template adds to them."""
        return not backend.problem and not self.inherited.problem

    # what is to change

    def changes(
        self, differing: Mapping[str, tuple[Section, Section]], comparison: Comparison, as_of: float | None
    ) -> Iterator[BackendChange]:
        """
        Yield the changes of backends: those that differ, and those in which the worker holds something else.

        :param differing: the old and the new section, by name.
        :param as_of: servers that were drained early after this time stay drained.
        """
        since = self.drained_since(as_of)
        for old, new in self._with_pending(differing, comparison):
            before, wanted = self.parsed.of(old), self.parsed.of(new)
            held = self.held(before)
            drained = [name for name in wanted.servers if (wanted.name, name) in since] if since else []
            if drained:
                servers = {name: evolve(wanted.servers[name], weight=0) for name in drained}
                wanted = evolve(wanted, servers={**wanted.servers, **servers})
            yield BackendChange(old, new, before, held, wanted, self.is_readable(wanted))

    def _with_pending(
        self, differing: Mapping[str, tuple[Section, Section]], comparison: Comparison
    ) -> Iterator[tuple[Section, Section]]:
        yield from differing.values()
        running, wanted = comparison.running, comparison.wanted
        for name in sorted(self.pending - differing.keys()):
            old, new = self.place(name, running), self.place(name, wanted)
            if old is not None and new is not None:
                yield running.sections[old], wanted.sections[new]

    # servers that are drained early

    def drain(self, config: Config, servers: Iterable[ServerName], now: float) -> list[ServerName]:
        """
        Note servers as drained, except for the last one of a backend.

        The last one may still answer while it ends, where no server at all would be a 503, and the servers that replace
        it are known in a moment.

        :param config: the running configuration.
        :param now: the time, in seconds on the clock of `drained_since`.
        :return: those that take new requests yet.
        """
        new: list[ServerName] = []
        for name, server in servers:
            place = self.place(name, config)
            if place is None:
                continue
            section = config.sections[place]
            held = self.held(self.parsed.of(section))
            if server not in held or held[server].admin == MAINTENANCE:
                continue
            others = [other for each, other in held.items() if each != server]
            if all(other.drained or other.admin == MAINTENANCE for other in others):
                continue
            self._drained_early[name, server] = now
            if not held[server].drained:
                new.append((name, server))
                self._hold(section, {**held, server: evolve(held[server], admin=DRAIN)})
        return new

    def drained_since(self, as_of: float | None) -> dict[ServerName, float]:
        """Return the servers that were drained early after this time, each with its time; none for None."""
        if as_of is None or not self._drained_early:
            return {}
        return {server: when for server, when in self._drained_early.items() if when > as_of}

    # updates

    def begun(self, plan: UpdatePlan) -> None:
        """Note that an update is about to be carried out: what it touches is unsure until the result is known."""
        self.unsure |= plan.backends.keys()
        self.backends.unsure |= plan.created.keys()

    def updated(self, plan: UpdatePlan, result: UpdateResult) -> None:
        """Note the result of an update."""
        running = plan.comparison.running
        for name, reported in result.reported.items():
            self.reported(name, running, reported)
        if result.reported_backends is not None:
            self.backends.reported(result.reported_backends)
        if result.refusal is not None:
            self.capabilities = self.capabilities.without(
                result.refusal, plan.rest_of(result.refusal.backend)
            )
        for name, held in result.held.items():
            self._hold(plan.backends[name].old, held)
        for name, undeleted in result.backends.items():
            change = plan.backends[name]
            self._hold(change.new, change.expected(undeleted))
            self._forget_drained(change)
        self.backends.unsure.difference_update(result.created)
        self._forget_backends(result.withdrawn)

    def _forget_drained(self, change: BackendChange) -> None:
        """Forget the servers that were drained early, except for those that are wanted and stay drained."""
        if not self._drained_early:
            return
        name, servers = change.new.name, self.parsed.of(change.new).servers
        kept = {n for n, s in change.wanted.servers.items() if s.weight == 0 and servers[n].weight}
        for server in [s for s in self._drained_early if s[0] == name and s[1] not in kept]:
            del self._drained_early[server]

    def _forget_backends(self, names: Iterable[str]) -> None:
        """Note backends as unpublished: they are in no file any more, and are deleted when they are not in use."""
        for name in names:
            self.backends.unpublished[name] = None
            self.unsure.discard(name)
            self.pending.discard(name)
            self._deviations.pop(name, None)
            self.parsed.forget(name)
            for kept in (self._undeleted, self._drained_early):
                for server in [server for server in kept if server[0] == name]:
                    del kept[server]

    def _hold(self, section: Section, held: HeldServers) -> None:
        """
        Note what the worker holds of a backend.

        :param section: the backend as it runs.
        :param held: by server; None for one that the worker lacks.
        """
        name = section.name
        lines = self.parsed.of(section).servers
        differing = {
            server: it
            for server, it in held.items()
            if (it is None or not it.is_as_read(lines[server]) if server in lines else it is not None)
        }
        differing.update(dict.fromkeys(server for server in lines if server not in held))
        undeleted = [
            server
            for server, it in differing.items()
            if it is not None and it.admin == MAINTENANCE and server not in lines
        ]
        for target in [t for t in self._undeleted if t[0] == name and t[1] not in undeleted]:
            del self._undeleted[target]
        self._undeleted |= dict.fromkeys((name, server) for server in undeleted)
        self._deviations[name] = differing
        if not differing:
            del self._deviations[name]
        self.pending.discard(name)
        if len(differing) > len(undeleted):
            self.pending.add(name)
        self.unsure.discard(name)

    # reports

    def observed(self, config: Config, observation: WorkerObservation) -> list[str]:
        """
        Note all that the worker holds.

        :param config: the configuration that it has read.
        :return: the backends in which it holds something else.
        """
        names = [section.name for section in config.sections if section.kind == "backend"]
        differing = [n for n in names if not self.reported(n, config, observation.servers.get(n, {}))]
        self.backends.reported(observation.backends)
        return differing

    def reported(self, name: str, config: Config, servers: Mapping[str, ReportedServer]) -> bool:
        """
        Note what the worker reports of a backend.

        :param config: the running configuration.
        :return: whether that is what was believed.
        """
        self.unsure.discard(name)
        place = self.place(name, config)
        if place is None:
            return not servers
        section = config.sections[place]
        backend = self.parsed.of(section)
        if not self.is_readable(backend):
            return True
        believed = self.held(backend)
        differing = deviations(believed, servers)
        if differing:
            self._hold(section, {**believed, **differing})
        return not differing

    # deletions

    def deletable(self, limit: int) -> tuple[tuple[ServerName, ...], tuple[str, ...]]:
        """Return the drained servers and the unpublished backends to delete, the oldest first, at most so many each."""
        return tuple(self._undeleted)[:limit], tuple(self.backends.unpublished)[:limit]

    def deleted(self, deletions: Deletions) -> None:
        """Note what is deleted; a server that is still in use is tried again after the others."""
        for name in deletions.backends:
            self.backends.unpublished.pop(name, None)
        for target, is_gone in deletions.servers.items():
            self._undeleted.pop(target, None)
            if not is_gone:
                self._undeleted[target] = None
                continue
            name, server = target
            differing = self._deviations.get(name, {})
            differing.pop(server, None)
            if not differing:
                self._deviations.pop(name, None)


def place_by_search(name: str, config: Config) -> int | None:
    """Return the place of a backend in a configuration that is not indexed; None where it has none."""
    places = (n for n, s in enumerate(config.sections) if s.kind == "backend" and s.name == name)
    return next(places, None)
