"""
Two configurations → what has to be done to get from one to the other. Pure.

The texts are compared section by section, because templates can be overridden by anyone: what a change of an app does
to the configuration is known by the text alone. A plan that needs a reload says why in one phrase, here, where it is
decided.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping

from attrs import frozen

from marathonlb.config.text.model import SECTION_KEYWORDS, Chunk, Config, MapEntry, Owner, Section

NAMED = 2
"""How many sections of one kind and fate are named; of more than these the count is given."""

PHRASES = 4
"""How many phrases a reason has at most."""

Key = tuple[str, str, int]


@frozen
class Nothing:
    """HAProxy runs what is wanted."""


@frozen
class Reload:
    """
    HAProxy has to read its file anew.

    :param why: one phrase that names what differs.
    """

    why: str


@frozen
class Difference:
    """
    One thing that differs between two configurations.

    :param kind: a section's kind, ``map`` or ``order``.
    :param fate: ``is new``, ``is gone`` or ``differs``.
    :param old: the section that runs, where there is one.
    :param new: the section that is wanted, where there is one.
    """

    kind: str
    name: str
    fate: str
    old: Section | None = None
    new: Section | None = None


def plan(running: Config | None, wanted: Config) -> Nothing | Reload:
    """
    What has to be done so that HAProxy runs `wanted`.

    :param running: what HAProxy confirmed that it runs; None where that is not known.
    """
    if running is None:
        return Reload("what HAProxy runs is not known")
    found = differences(running, wanted)
    return Reload(phrase(found)) if found else Nothing()


def differences(old: Config, new: Config) -> tuple[Difference, ...]:
    """
    Everything that differs, in the order of the new configuration, what is gone last, then maps.

    A section that both hold as the same object costs nothing, so the cost follows the change.
    """
    places = new.places_that_differ(old)
    if places is not None:
        pairs = [(old.sections[place], new.sections[place]) for place in places]
        if all(was.kind == now.kind and was.name == now.name for was, now in pairs):
            return tuple(
                Difference(now.kind, now.name, "differs", was, now) for was, now in pairs if _fate(was, now)
            )
    before, after = _keyed(old), _keyed(new)
    found = [
        Difference(*key[:2], fate, before.get(key), section)
        for key, section in after.items()
        if (fate := _fate(before.get(key), section))
    ]
    gone = [key for key in before if key not in after]
    found += [Difference(kind, name, "is gone", before[kind, name, nth], None) for kind, name, nth in gone]
    if not found and list(before) != list(after):
        found.append(Difference("order", "", "differs"))
    found += _map_differences(old.maps, new.maps)
    return tuple(found)


def _keyed(config: Config) -> dict[Key, Section]:
    """The sections by kind, name and how many of that name came before: a name may be there twice."""
    counts: Counter[tuple[str, str]] = Counter()
    keyed: dict[Key, Section] = {}
    for section in config.sections:
        kind, name = section.kind, section.name
        keyed[kind, name, counts[kind, name]] = section
        counts[kind, name] += 1
    return keyed


def _fate(old: Section | None, new: Section) -> str:
    if old is None:
        return "is new"
    return "" if old is new or old.text == new.text else "differs"


def _map_differences(
    old: Mapping[str, tuple[MapEntry, ...]], new: Mapping[str, tuple[MapEntry, ...]]
) -> Iterable[Difference]:
    for name in [*new, *(name for name in old if name not in new)]:
        if name not in old:
            yield Difference("map", name, "is new")
        elif name not in new:
            yield Difference("map", name, "is gone")
        elif old[name] is not new[name] and _pairs(old[name]) != _pairs(new[name]):
            yield Difference("map", name, "differs")


def _pairs(entries: tuple[MapEntry, ...]) -> list[tuple[str, str]]:
    return [(entry.key, entry.value) for entry in entries]


def with_new(
    running: Config, wanted: Config, new: Collection[str], maps: Mapping[str, tuple[MapEntry, ...]]
) -> Config:
    """
    What runs after a part of the way: some backends have come, and some maps are others.

    :param new: the backends, by name.
    :param maps: the maps, with what they hold.
    """
    sections = tuple(_merged(running, wanted, new)) if new else running.sections
    return Config(sections, {**running.maps, **maps})


def _merged(running: Config, wanted: Config, new: Collection[str]) -> Iterable[Section]:
    """The sections that run and the new ones, each before the one that it is before in what is wanted."""
    before: dict[tuple[str, str], list[Section]] = {}
    waiting: list[Section] = []
    there = {(section.kind, section.name) for section in running.sections}
    for section in wanted.sections:
        key = section.kind, section.name
        if section.kind == "backend" and section.name in new:
            waiting.append(section)
        elif waiting and key in there:
            before[key], waiting = waiting, []
    for section in running.sections:
        yield from before.pop((section.kind, section.name), ())
        yield section
    yield from waiting


def phrase(found: Iterable[Difference]) -> str:
    """One phrase that says what differs: names where they are few, counts where they are many."""
    grouped: dict[tuple[str, str], list[str]] = {}
    for difference in found:
        grouped.setdefault((difference.kind, difference.fate), []).append(difference.name)
    phrases = [_said(kind, fate, names) for (kind, fate), names in grouped.items()]
    shown, hidden = phrases[:PHRASES], len(phrases) - PHRASES
    return ", ".join(shown) + (f" and {hidden} more" if hidden > 0 else "")


def _said(kind: str, fate: str, names: list[str]) -> str:
    if kind == "order":
        return "the order of the sections differs"
    if kind == "head":
        return f"the head {fate}"
    if len(names) <= NAMED:
        return ", ".join(" ".join(filter(None, (kind, name, fate))) for name in names)
    plural = {"is new": "are new", "is gone": "are gone", "differs": "differ"}[fate]
    return f"{len(names)} {kind}s {plural}"


def split(text: str, maps: Mapping[str, str]) -> Config:
    """
    A configuration from the bare texts of its files, as they were found on disk: sections without owners.

    Two texts that are both split can be compared; a split one and a rendered one cannot, since the head of a rendered
    one is a single section.

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
