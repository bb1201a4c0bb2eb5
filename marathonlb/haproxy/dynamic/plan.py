"""
What is to be done to a worker, as far as steps lead, and why a reload has to do the rest. Pure.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from attrs import evolve, field, frozen

from marathonlb.config.text.diff import MAP, Difference, Fate
from marathonlb.config.text.model import Config, MapEntry, Section
from marathonlb.config.text.named_defaults import PREFIX
from marathonlb.config.text.server_lines import Backend
from marathonlb.haproxy.dynamic.maps import UNORDERED, pairs, same_entries
from marathonlb.haproxy.dynamic.servers import MAINTENANCE, Held, Limits, Steps, held_by
from marathonlb.haproxy.reload_reason import Reasons

Maps = Mapping[str, tuple[MapEntry, ...]]
"""The entries of map files, by name."""


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

    :param steps: for servers, and for backends that are made.
    :param backends: those that change, by name.
    :param made: those that are made, by name.
    :param maps: the maps that are to change, and what they should hold: where a reload follows, before it.
    :param withdrawn: the backends that go, when the maps lead to them no more.
    :param reasons: what steps cannot do, as the reasons of a reload; empty where they do everything.
    :param may_wait: whether that is nothing but more ways to what serves then.
    """

    steps: Steps = field(factory=Steps)
    backends: Mapping[str, Touched] = field(factory=dict)
    made: Mapping[str, Backend] = field(factory=dict)
    maps: Maps = field(factory=dict)
    withdrawn: tuple[str, ...] = ()
    reasons: Reasons = ()
    may_wait: bool = False

    def __bool__(self) -> bool:
        return bool(self.steps or self.maps or self.withdrawn)


@frozen
class UpdateResult:
    """
    What steps came to.

    :param steps: what was done.
    :param backends: those that are what is wanted now.
    :param maps: what maps hold now.
    :param reasons: of a reload that has to do the rest; empty where nothing is left.
    :param may_wait: see `Sketch`.
    """

    steps: Steps = field(factory=Steps)
    backends: tuple[str, ...] = ()
    maps: Maps = field(factory=dict)
    reasons: Reasons = ()
    may_wait: bool = False


@frozen
class Sorted:
    """
    Differences by what can be done about them.

    :param pairs: backends that were there and still are, by name.
    :param new: backends that may be made.
    :param gone: backends that may be withdrawn.
    :param maps: maps whose entries differ.
    :param others: what only a reload does. Those ``defaults`` that backends are made from need none: what the worker
        has read of them it keeps, and no section inherits from them.
    """

    pairs: dict[str, tuple[Section, Section]] = field(factory=dict)
    new: list[Difference] = field(factory=list)
    gone: list[Difference] = field(factory=list)
    maps: list[Difference] = field(factory=list)
    others: list[Difference] = field(factory=list)

    @classmethod
    def of(cls, found: Iterable[Difference], limits: Limits) -> Sorted:
        """Sort them for a HAProxy of these limits."""
        self = cls()
        for difference in found:
            if difference.kind == "backend" and difference.old is not None and difference.new is not None:
                self.pairs[difference.name] = (difference.old, difference.new)
            elif difference.kind == "backend" and limits.makes_backends:
                (self.gone if difference.new is None else self.new).append(difference)
            elif difference.kind == MAP and difference.fate is Fate.CHANGED:
                self.maps.append(difference)
            elif difference.kind != "defaults" or not difference.name.startswith(PREFIX):
                self.others.append(difference)
        return self


def alone(differences: Iterable[Difference]) -> bool:
    """
    Whether what a reload is to do leaves alone all that serves now: sections come and go, and none changes.

    Then maps may lead to what is there already before it.
    """
    return all(
        difference.kind in ("frontend", "backend", "userlist") and difference.fate is not Fate.CHANGED
        for difference in differences
    )


def only_ways(differences: Iterable[Difference]) -> bool:
    """Whether a reload has nothing to do but to add frontends, with the users that these ask for passwords."""
    return all(
        difference.kind in ("frontend", "userlist") and difference.fate is Fate.NEW
        for difference in differences
    )


def before_a_reload(wanted: Maps, running: Maps, there: Collection[str]) -> dict[str, tuple[MapEntry, ...]]:
    """
    What maps can hold before a reload has done the rest, where that is something else than they hold.

    Entries that lead to a backend which is there are added and changed; none is taken away, lest a request finds no
    way before the reload makes a new one.

    :param there: the backends that requests may be led to.
    """
    early = {}
    for name, entries in wanted.items():
        held = running[name]
        now = {entry.key: entry for entry in entries if entry.value in there}
        if name in UNORDERED:
            kept = tuple(now.pop(entry.key, entry) for entry in held)
            new = (*kept, *now.values())
        else:
            whole = len(now) == len(entries) and all(entry.key in now for entry in held)
            new = entries if whole else held
        if pairs(new) != pairs(held):
            early[name] = new
    return early


def is_done(name: str, maps: Maps, wanted: Config) -> bool:
    """Whether a map holds with these what is wanted of it."""
    return name in maps and same_entries(name, pairs(maps[name]), pairs(wanted.maps[name]))
