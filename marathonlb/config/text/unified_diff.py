"""
The difference between two configurations for people: section by section, as unified lines. Pure.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping

import msgspec

from marathonlb.config.text.diff import Difference, differences, phrase, split
from marathonlb.config.text.model import Chunk, Config, MapEntry, Owner, Section

CONTEXT = 3
"""Lines that stay the same and are shown around those that do not."""

MAX_LINES = 5_000
"""So many lines of all sections together are shown."""


class SectionDifference(msgspec.Struct, frozen=True, kw_only=True):
    """
    What differs in one section or map file.

    :param kind: HAProxy's keyword, ``head``, ``map`` or ``order``.
    :param fate: ``is new``, ``is gone`` or ``differs``.
    :param lines: unified lines, each with ``+``, ``-``, a blank or ``@`` before it; none where they are too many.
    """

    kind: str
    name: str
    fate: str
    added: int
    removed: int
    lines: tuple[str, ...]


class ConfigDifference(msgspec.Struct, frozen=True, kw_only=True):
    """
    What differs between two configurations.

    :param summary: one phrase; empty where nothing does.
    :param cut: whether lines were left out because there are too many.
    """

    summary: str
    sections: tuple[SectionDifference, ...]
    cut: bool = False


def difference(
    old: str, new: str, old_maps: Mapping[str, str], new_maps: Mapping[str, str]
) -> ConfigDifference:
    """
    The difference of two configurations by their texts.

    :param old_maps: the text of each map file, by name.
    """
    before, after = _parts(old, old_maps), _parts(new, new_maps)
    found = differences(before, after)
    left = MAX_LINES
    sections = []
    for each in found:
        lines = tuple(_lines(each, before, after))
        shown = lines if len(lines) <= left else ()
        left -= len(shown)
        sections.append(
            SectionDifference(
                kind=each.kind,
                name=each.name,
                fate=each.fate,
                added=sum(line.startswith("+") for line in lines),
                removed=sum(line.startswith("-") for line in lines),
                lines=shown,
            )
        )
    cut = any(not section.lines and section.added + section.removed for section in sections)
    return ConfigDifference(summary=phrase(found), sections=tuple(sections), cut=cut)


def _parts(text: str, maps: Mapping[str, str]) -> Config:
    """A configuration in sections without the empty lines at their ends, which belong to what follows."""
    config = split(text, maps)
    return Config(
        tuple(
            Section(each.kind, each.name, (Chunk(each.text.rstrip() + "\n", Owner()),))
            for each in config.sections
        ),
        config.maps,
    )


def _lines(each: Difference, before: Config, after: Config) -> Iterator[str]:
    if each.kind == "map":
        old, new = _entries(before.maps.get(each.name, ())), _entries(after.maps.get(each.name, ()))
    else:
        old = each.old.text.splitlines() if each.old else []
        new = each.new.text.splitlines() if each.new else []
    unified = difflib.unified_diff(old, new, lineterm="", n=CONTEXT)
    for number, line in enumerate(unified):
        if number > 1:  # the first two name the files
            yield line


def _entries(entries: Iterable[MapEntry]) -> list[str]:
    return [f"{entry.key} {entry.value}" for entry in entries]
