"""
The differences between two configurations, section by section and map by map. Pure.

The texts are compared, because anyone can override a template: only the text knows what a change of an app does to the
configuration.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from enum import Enum

from msgspec import Struct

from marathonlb.config.text.model import SECTION_KEYWORDS, Chunk, Config, MapEntry, Owner, Section

NAMED = 2
"""Maximum number of sections named in one phrase; of more, the phrase gives the number."""

PHRASES = 4
"""Maximum number of phrases in a summary."""

MAP = "map"
"""`Difference.kind` of a map file."""

Key = tuple[str, str, int]


class Fate(Enum):
    """
    How a section or a map file differs between two configurations.

    The values are the words of ``fate`` in the HTTP API.
    """

    NEW = "is new"
    GONE = "is gone"
    CHANGED = "differs"


_PLURALS = {Fate.NEW: "are new", Fate.GONE: "are gone", Fate.CHANGED: "differ"}


class Difference(Struct, frozen=True):
    """
    One section or map file that differs between two configurations.

    :param kind: the section's keyword, ``head``, ``map`` or ``order``.
    :param old: the section of the old configuration; None if it has none.
    :param new: the section of the new configuration; None if it has none.
    """

    kind: str
    name: str
    fate: Fate
    old: Section | None = None
    new: Section | None = None


class DifferenceGroup(Struct, frozen=True):
    """The sections of one kind that share a fate, by name, in the order of the configuration."""

    kind: str
    fate: Fate
    names: tuple[str, ...]

    def __str__(self) -> str:
        if self.kind == "order":
            return "the order of the sections differs"
        if self.kind == "head":
            return f"the head {self.fate.value}"
        if len(self.names) > NAMED:
            return f"{len(self.names)} {self.kind}s {_PLURALS[self.fate]}"
        return ", ".join(" ".join(filter(None, (self.kind, name, self.fate.value))) for name in self.names)


def differences(old: Config, new: Config) -> tuple[Difference, ...]:
    """
    Return everything that differs: in the order of `new`, then the sections that are gone, then the maps.

    A section that both hold as the same object costs nothing, so the cost follows the change.
    """
    if new is old:
        return ()
    places = new.places_that_differ(old)
    if places is not None:
        pairs = [(old.sections[place], new.sections[place]) for place in places]
        if all(was.kind == now.kind and was.name == now.name for was, now in pairs):
            return tuple(
                Difference(now.kind, now.name, Fate.CHANGED, was, now)
                for was, now in pairs
                if was is not now and was.text != now.text
            )
    before, after = _keyed(old), _keyed(new)
    changes = list(_section_differences(before, after))
    if not changes and list(before) != list(after):
        changes.append(Difference("order", "", Fate.CHANGED))
    changes += _map_differences(old.maps, new.maps)
    return tuple(changes)


def _keyed(config: Config) -> dict[Key, Section]:
    """Return the sections by kind, name and the number of namesakes before, since a name may stand twice."""
    counts: Counter[tuple[str, str]] = Counter()
    keyed: dict[Key, Section] = {}
    for section in config.sections:
        kind, name = section.kind, section.name
        keyed[kind, name, counts[kind, name]] = section
        counts[kind, name] += 1
    return keyed


def _section_differences(before: Mapping[Key, Section], after: Mapping[Key, Section]) -> Iterable[Difference]:
    for key, new in after.items():
        old = before.get(key)
        if old is None:
            yield Difference(*key[:2], Fate.NEW, None, new)
        elif old is not new and old.text != new.text:
            yield Difference(*key[:2], Fate.CHANGED, old, new)
    for key, old in before.items():
        if key not in after:
            yield Difference(*key[:2], Fate.GONE, old, None)


def _map_differences(
    old: Mapping[str, tuple[MapEntry, ...]], new: Mapping[str, tuple[MapEntry, ...]]
) -> Iterable[Difference]:
    for name in [*new, *(name for name in old if name not in new)]:
        if name not in old:
            yield Difference(MAP, name, Fate.NEW)
        elif name not in new:
            yield Difference(MAP, name, Fate.GONE)
        elif old[name] is not new[name] and _pairs(old[name]) != _pairs(new[name]):
            yield Difference(MAP, name, Fate.CHANGED)


def _pairs(entries: tuple[MapEntry, ...]) -> list[tuple[str, str]]:
    return [(entry.key, entry.value) for entry in entries]


def grouped(differences: Iterable[Difference]) -> tuple[DifferenceGroup, ...]:
    """Return differences by kind and fate, in the order in which each pair appears first."""
    names: dict[tuple[str, Fate], list[str]] = {}
    for difference in differences:
        names.setdefault((difference.kind, difference.fate), []).append(difference.name)
    return tuple(DifferenceGroup(kind, fate, tuple(group)) for (kind, fate), group in names.items())


def merged(groups: Iterable[DifferenceGroup]) -> tuple[DifferenceGroup, ...]:
    """Return one group for all of the same kind and fate."""
    names: dict[tuple[str, Fate], tuple[str, ...]] = {}
    for group in groups:
        key = group.kind, group.fate
        names[key] = names.get(key, ()) + group.names
    return tuple(DifferenceGroup(kind, fate, together) for (kind, fate), together in names.items())


def phrase(differences: Iterable[Difference]) -> str:
    """Return one phrase for people: names where they are few, numbers where they are many; empty for none."""
    return joined(grouped(differences))


def joined(groups: Sequence[DifferenceGroup]) -> str:
    """Return one phrase for groups of differences, of at most `PHRASES` of them."""
    hidden = len(groups) - PHRASES
    return ", ".join(map(str, groups[:PHRASES])) + (f" and {hidden} more" if hidden > 0 else "")


def split(text: str, maps: Mapping[str, str]) -> Config:
    """
    Return a configuration from the texts of its files on disk: sections without owners.

    Two configurations made by this function can be compared. One of them and a rendered one cannot, since the head of a
    rendered configuration is a single section.

    :param maps: the text of each map file, by name.
    """
    return Config(tuple(_sections(text)), {name: tuple(_entries(text)) for name, text in maps.items()})


def _sections(text: str) -> Iterable[Section]:
    kind, name, lines = "head", "", list[str]()
    for line in text.splitlines(keepends=True):
        words = line.split(None, 2)
        if words and words[0] in SECTION_KEYWORDS:
            if lines:
                yield Section(kind, name, (Chunk("".join(lines), Owner()),))
            kind, name, lines = words[0], words[1] if len(words) > 1 else "", []
        lines.append(line)
    if lines:
        yield Section(kind, name, (Chunk("".join(lines), Owner()),))


def _entries(text: str) -> Iterable[MapEntry]:
    for line in text.splitlines():
        key, _, value = line.strip().partition(" ")
        if key:
            yield MapEntry(key, value.strip(), Owner())
