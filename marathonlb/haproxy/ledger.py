"""
What HAProxy holds, as far as it is known: the text that runs, and where HAProxy holds something else. Pure.

It holds something else where a server was drained out of turn, where one that is to go is still in use (the graveyard),
and where a look at HAProxy found what nobody expected.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection, Iterable, Mapping

from attrs import evolve, field, frozen

from marathonlb.config.text import Config, Section
from marathonlb.haproxy.observed import Seen, deviations
from marathonlb.haproxy.plan import Difference, phrase
from marathonlb.haproxy.serverlines import Backend, Inherited, inherited, parse
from marathonlb.haproxy.steps import (
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

REMEMBERED = 2_000
"""So many backends are kept in parts; what has changed a moment ago is likely to change again."""

SHOWN = 3
"""So many reasons of one reload are named."""

Target = tuple[str, str]
"""A backend and a server of it."""


@frozen
class Touched:
    """
    A backend that is to change.

    :param old: its text that runs.
    :param new: the one that is wanted.
    :param held: what HAProxy held of it before.
    :param wanted: what it should hold.
    :param readable: whether its text says all that HAProxy holds of it, so that the two can be compared.
    """

    old: Section
    new: Section
    held: Mapping[str, Held]
    wanted: Backend
    readable: bool = True

    def expected(self, buried: Collection[str]) -> dict[str, Held]:
        """What it holds once the steps are done."""
        expected = held_by(self.wanted)
        expected.update(self.graves(buried))
        return expected

    def graves(self, buried: Collection[str]) -> dict[str, Held]:
        """The servers that are to go and are still there, `buried` being the new ones of them."""
        return {
            name: evolve(held, admin=MAINTENANCE)
            for name, held in self.held.items()
            if name not in self.wanted.servers and (held.admin == MAINTENANCE or name in buried)
        }


@frozen
class Sketch:
    """
    What is to be done.

    :param steps: for the servers.
    :param backends: those that change, by name.
    :param maps: the maps that differ.
    :param why: what steps cannot do, as the reason of a reload; empty where they do everything.
    """

    steps: Steps = field(factory=Steps)
    backends: Mapping[str, Touched] = field(factory=dict)
    maps: tuple[str, ...] = ()
    why: str = ""


class Ledger:
    """
    The account of one worker: what it read at its start, and what it holds otherwise since.

    :ivar unsure: the backends of which it is not known what HAProxy holds.
    """

    def __init__(self) -> None:
        self.unsure: set[str] = set()
        self._off: dict[str, dict[str, Held | None]] = {}
        self._drained: dict[Target, float] = {}
        self._pending: set[str] = set()
        self._graves: dict[Target, None] = {}
        self._inherited = Inherited()
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
        self.index(config)

    def index(self, config: Config) -> None:
        """Note where the backends of a configuration stand; it means the same as the one that the worker began with."""
        self._places = {s.name: place for place, s in enumerate(config.sections) if s.kind == "backend"}

    @property
    def pending(self) -> bool:
        """Whether something is to be done though the text that is wanted runs."""
        return bool(self._pending or self.unsure)

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
        maps, others = list[Difference](), list[Difference]()
        pairs: dict[str, tuple[Section, Section]] = {}
        for difference in found:
            if difference.kind == "backend" and difference.old is not None and difference.new is not None:
                pairs[difference.name] = (difference.old, difference.new)
            elif difference.kind == "map" and difference.fate == "differs":
                maps.append(difference)
            else:
                others.append(difference)
        for name in sorted(self._pending - pairs.keys()):
            was, now = self.place(name, running), self.place(name, wanted)
            if was is not None and now is not None:
                pairs[name] = (running.sections[was], wanted.sections[now])
        gains, losses = list[Step](), list[Step]()
        backends: dict[str, Touched] = {}
        why: list[str] = []
        for name, (old, new) in pairs.items():
            before = self.backend(old)
            held = self.held(before)
            after = self._as_drained(self.backend(new), as_of)
            planned = plan_servers(before, held, after, self._inherited, limits)
            if isinstance(planned, Impossible):
                why.append(planned.why)
                continue
            gains += planned.gains
            losses += planned.losses
            backends[name] = Touched(old, new, held, after, self._readable(after))
        if others or why:
            why = [*filter(None, [phrase([*others, *maps])]), *why]
        if len(why) > SHOWN:
            why[SHOWN:] = [f"{len(why) - SHOWN} more backends"]
        steps = Steps(tuple(gains), tuple(losses))
        return Sketch(steps, backends, tuple(each.name for each in maps), ", ".join(why))

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
            if (it != Held(text[server]) if server in text else it is not None)
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
