"""
What HAProxy holds, as far as it is known: the text that runs, and where HAProxy holds something else. Pure.

It holds something else where a server was drained out of turn, where one that is to go is still in use (the graveyard),
and where a look at HAProxy found what nobody expected.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection, Iterable, Mapping, Sequence

from attrs import evolve

from marathonlb.config.text.diff import Difference
from marathonlb.config.text.model import Config, MapEntry, Section
from marathonlb.config.text.server_lines import Backend, Inherited, inherited, parse
from marathonlb.haproxy.dynamic.backends import Originals, unmentioned
from marathonlb.haproxy.dynamic.plan import (
    Maps,
    Sketch,
    Sorted,
    Touched,
    alone,
    before_a_reload,
    is_done,
    only_ways,
)
from marathonlb.haproxy.dynamic.server_state import Seen, deviations
from marathonlb.haproxy.dynamic.servers import (
    DRAIN,
    MAINTENANCE,
    Held,
    Impossible,
    Limits,
    Step,
    Steps,
    held_by,
    plan_servers,
)
from marathonlb.haproxy.reload_reason import ReloadReason, from_differences

REMEMBERED = 2_000
"""So many backends are kept in parts; what has changed a moment ago is likely to change again."""

Target = tuple[str, str]
"""A backend and a server of it."""


class Ledger:
    """
    The account of one worker: what it read at its start, and what it holds otherwise since.

    :ivar unsure: the backends of which it is not known what HAProxy holds.
    """

    def __init__(self) -> None:
        self.unsure: set[str] = set()
        self.originals = Originals()
        self._off: dict[str, dict[str, Held | None]] = {}
        self._drained: dict[Target, float] = {}
        self._pending: set[str] = set()
        self._graves: dict[Target, None] = {}
        self._inherited = Inherited()
        self._looked_up: Sequence[tuple[object, object]] = ()
        self._places: dict[str, int] = {}
        self._parsed: OrderedDict[str, tuple[Section, Backend]] = OrderedDict()

    def began(self, config: Config) -> None:
        """A worker has read this text, and holds nothing else."""
        self.unsure.clear()
        self._off.clear()
        self._drained.clear()
        self._pending.clear()
        self._graves.clear()
        self._inherited = inherited(config.sections)
        self.originals.began(config)
        self.index(config)

    def index(self, config: Config) -> None:
        """Note where the backends of a configuration stand that runs."""
        self._places = {s.name: place for place, s in enumerate(config.sections) if s.kind == "backend"}

    @property
    def pending(self) -> bool:
        """Whether something is to be done though the text that is wanted runs."""
        return bool(self._pending or self.doubts or self.originals.strays)

    @property
    def doubts(self) -> bool:
        """Whether something has to be looked at before anything is done."""
        return bool(self.unsure or self.originals.doubtful)

    @property
    def has_dead(self) -> bool:
        """Whether anything is to be deleted when nobody uses it any more."""
        return bool(self._graves or self.originals.leaving)

    @property
    def graves(self) -> tuple[Target, ...]:
        """The servers that are deleted when nobody uses them any more, the oldest first."""
        return tuple(self._graves)

    def drained_since(self, as_of: float | None) -> dict[Target, float]:
        """The servers that were drained out of turn after this time; none for None."""
        if as_of is None:
            return {}
        return {target: when for target, when in self._drained.items() if when > as_of}

    def place(self, name: str, config: Config) -> int | None:
        """Where a backend stands in a configuration."""
        place = self._places.get(name)
        if place is not None and place < len(config.sections) and config.sections[place].name == name:
            return place
        found = (n for n, s in enumerate(config.sections) if s.kind == "backend" and s.name == name)
        return next(found, None)

    def backend(self, section: Section) -> Backend:
        """A section's parts, remembered; of a backend that has changed only what is new in it is taken apart."""
        kept = self._parsed.pop(section.name, None)
        if kept is None or kept[0] is not section:
            kept = section, parse(section, kept[1] if kept else None)
        self._parsed[section.name] = kept
        if len(self._parsed) > REMEMBERED:
            self._parsed.popitem(last=False)
        return kept[1]

    def held(self, backend: Backend) -> dict[str, Held]:
        """What HAProxy holds of a backend whose text runs."""
        held = held_by(backend)
        for name, other in self._off.get(backend.name, {}).items():
            if other is None:
                held.pop(name, None)
            else:
                held[name] = other
        return held

    # what is to be done

    def sketch(
        self,
        found: Iterable[Difference],
        running: Config,
        wanted: Config,
        limits: Limits,
        as_of: float | None,
    ) -> Sketch:
        """
        What leads from what HAProxy holds to what is wanted.

        :param found: where the texts differ.
        :param as_of: when that was asked from which `wanted` was made, in seconds; servers that were drained out of
            turn after that stay drained. None undoes what `wanted` does not confirm.
        """
        differences = Sorted.of(found, limits)
        pairs = differences.pairs
        for name in sorted(self._pending - pairs.keys()):
            was, now = self.place(name, running), self.place(name, wanted)
            if was is not None and now is not None:
                pairs[name] = (running.sections[was], wanted.sections[now])
        gains, losses = list[Step](), list[Step]()
        backends: dict[str, Touched] = {}
        reasons: list[ReloadReason] = []
        for name, (old, new) in pairs.items():
            before = self.backend(old)
            held = self.held(before)
            after = self._as_drained(self.backend(new), as_of)
            planned = plan_servers(before, held, after, self._inherited, limits)
            if isinstance(planned, Impossible):
                reasons.append(planned.reason)
                continue
            gains += planned.gains
            losses += planned.losses
            backends[name] = Touched(old, new, held, after, self._readable(after))
        whole = self._whole(differences, running, wanted, limits, reasons)
        steps = Steps((*whole.steps.gains, *gains), tuple(losses))
        return evolve(whole, steps=steps, backends=backends)

    def _whole(
        self,
        differences: Sorted,
        running: Config,
        wanted: Config,
        limits: Limits,
        impossible: Sequence[ReloadReason],
    ) -> Sketch:
        """
        What is to be done about whole backends and about maps.

        :param impossible: what steps cannot do inside of backends.
        """
        making = self.originals.make(differences.new, self.backend, self._inherited, limits)
        others = [*differences.others, *making.others]
        gone = tuple(each.name for each in differences.gone)
        if gone and (others or making.reasons or impossible or not unmentioned(gone, wanted)):
            others, gone = others + differences.gone, ()
        maps = {each.name: wanted.maps[each.name] for each in differences.maps}
        left = differences.maps
        if others or making.reasons or impossible:
            maps = self._early(maps, running, making.backends) if alone(others) and not impossible else {}
            left = [each for each in left if not is_done(each.name, maps, wanted)]
        else:
            left = []
        reasons = (*from_differences([*others, *left]), *impossible, *making.reasons)
        may_wait = (
            limits.makes_backends and only_ways([*others, *left]) and not (impossible or making.reasons)
        )
        return Sketch(Steps(making.steps), {}, making.backends, maps, gone, reasons, may_wait)

    def _early(self, wanted: Maps, running: Config, made: Collection[str]) -> dict[str, tuple[MapEntry, ...]]:
        """See `before_a_reload`; found out once, since a reload that is postponed lets many changes by."""
        now = [(entries, running.maps[name]) for name, entries in wanted.items()]
        if not made and all(any(a is c and b is d for c, d in self._looked_up) for a, b in now):
            return {}
        self._looked_up = now
        return before_a_reload(wanted, running.maps, self._places.keys() | made)

    def _readable(self, backend: Backend) -> bool:
        """Whether a backend's server lines say all of its servers: no default-server or template adds to them."""
        return not backend.problem and not self._inherited.problem

    def _as_drained(self, backend: Backend, as_of: float | None) -> Backend:
        """The backend, with those of its servers drained that were drained since."""
        since = self.drained_since(as_of) if self._drained else {}
        if not any((backend.name, name) in since for name in backend.servers):
            return backend
        servers = {
            name: evolve(server, weight=0) if (backend.name, name) in since else server
            for name, server in backend.servers.items()
        }
        return evolve(backend, servers=servers)

    # what came of it

    def begun(self, sketch: Sketch) -> None:
        """Backends are being made."""
        self.originals.doubtful |= sketch.made.keys()

    def made(self, backends: Iterable[str]) -> None:
        """Backends run, and are in the text that does."""
        self.originals.doubtful.difference_update(backends)

    def done(self, touched: Touched, buried: Collection[str]) -> None:
        """
        A backend is what was wanted of it, and its new text runs.

        :param buried: the servers that were to go now and are still in use.
        """
        self.hold(touched.new, touched.expected(buried))
        if not self._drained:
            return
        name, text = touched.new.name, self.backend(touched.new).servers
        kept = {n for n, s in touched.wanted.servers.items() if s.weight == 0 and text[n].weight}
        for target in [t for t in self._drained if t[0] == name and t[1] not in kept]:
            del self._drained[target]

    def hold(self, section: Section, held: Mapping[str, Held | None]) -> None:
        """
        Note what HAProxy holds of a backend.

        :param section: the text of it that runs.
        :param held: by server; None where it has none.
        """
        name = section.name
        text = self.backend(section).servers
        off = {
            server: it
            for server, it in held.items()
            if (it is None or not it.is_as_read(text[server]) if server in text else it is not None)
        }
        off.update(dict.fromkeys(server for server in text if server not in held))
        graves = [s for s, it in off.items() if it is not None and it.admin == MAINTENANCE and s not in text]
        for target in [t for t in self._graves if t[0] == name and t[1] not in graves]:
            del self._graves[target]
        for server in graves:
            self._graves.setdefault((name, server), None)
        self._off[name] = off
        if not off:
            del self._off[name]
        self._pending.discard(name)
        if len(off) > len(graves):
            self._pending.add(name)
        self.unsure.discard(name)

    def saw(self, name: str, running: Config, seen: Mapping[str, Seen]) -> bool:
        """
        Take what HAProxy says of a backend for what it holds.

        :return: whether it is what was believed.
        """
        self.unsure.discard(name)
        place = self.place(name, running)
        if place is None:
            return not seen
        section = running.sections[place]
        text = self.backend(section)
        if not self._readable(text):
            return True
        believed = self.held(text)
        found = deviations(believed, seen)
        if found:
            self.hold(section, {**believed, **found})
        return not found

    def drain(self, running: Config, targets: Iterable[Target], now: float) -> list[Target]:
        """
        Note servers as drained out of turn, but for the last of a backend: while it ends it may still answer, where
        nobody is 503, and those that come instead of it are known in a moment.

        :return: those that take new requests yet.
        """
        new: list[Target] = []
        for name, server in targets:
            place = self.place(name, running)
            if place is None:
                continue
            section = running.sections[place]
            held = self.held(self.backend(section))
            if server not in held or held[server].admin == MAINTENANCE:
                continue
            others = [other for each, other in held.items() if each != server]
            if all(other.drained or other.admin == MAINTENANCE for other in others):
                continue
            self._drained[name, server] = now
            if not held[server].drained:
                new.append((name, server))
                self.hold(section, {**held, server: evolve(held[server], admin=DRAIN)})
        return new

    def forgot(self, names: Iterable[str]) -> None:
        """Backends are not in the text that runs any more, and are deleted when nobody uses them."""
        self.originals.leaving.update(dict.fromkeys(names))
        for name in names:
            self.unsure.discard(name)
            self._pending.discard(name)
            self._off.pop(name, None)
            self._parsed.pop(name, None)
        for kept in (self._graves, self._drained):
            for target in [target for target in kept if target[0] in self.originals.leaving]:
                del kept[target]

    def dug(self, target: Target, *, gone: bool) -> None:
        """A server of the graveyard is deleted, or is to be tried again after the others."""
        self._graves.pop(target, None)
        if not gone:
            self._graves[target] = None
            return
        name, server = target
        off = self._off.get(name, {})
        off.pop(server, None)
        if not off:
            self._off.pop(name, None)
