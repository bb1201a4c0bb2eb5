"""
The difference between two configurations as unified diffs, section by section. Pure.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice

import msgspec

from marathonlb.config.text.diff import Difference, differences, phrase, split
from marathonlb.config.text.model import Chunk, Config, MapEntry, Owner, Section

CONTEXT = 3
"""Number of unchanged lines shown around a change."""

MAX_LINES = 5_000
"""Maximum number of lines shown, of all sections together."""


class SectionDifference(msgspec.Struct, frozen=True, kw_only=True):
    """
    The difference in one section or map file.

    :param kind: HAProxy's keyword, ``head``, ``map`` or ``order``.
    :param fate: ``is new``, ``is gone`` or ``differs``.
    :param added: number of added lines.
    :param removed: number of removed lines.
    :param lines: the unified diff, each line prefixed with ``+``, ``-``, a blank or ``@``; empty if `MAX_LINES` is
        exceeded.
    """

    kind: str
    name: str
    fate: str
    added: int
    removed: int
    lines: tuple[str, ...]


class ConfigDifference(msgspec.Struct, frozen=True, kw_only=True):
    """
    The difference between two configurations.

    :param summary: one phrase; empty if nothing differs.
    :param cut: True if lines were left out because of `MAX_LINES`.
    """

    summary: str
    sections: tuple[SectionDifference, ...]
    cut: bool = False


def difference(
    old: str, new: str, old_maps: Mapping[str, str], new_maps: Mapping[str, str]
) -> ConfigDifference:
    """
    Return the difference between two configurations, given as text.

    :param old_maps: the text of each map file of the old configuration, by file name.
    :param new_maps: the same of the new one.
    """
    before, after = _trimmed(old, old_maps), _trimmed(new, new_maps)
    changes = differences(before, after)
    room = MAX_LINES
    sections = []
    for change in changes:
        lines = tuple(_lines(change, before, after))
        shown = lines if len(lines) <= room else ()
        room -= len(shown)
        sections.append(
            SectionDifference(
                kind=change.kind,
                name=change.name,
                fate=change.fate.value,
                added=sum(line.startswith("+") for line in lines),
                removed=sum(line.startswith("-") for line in lines),
                lines=shown,
            )
        )
    cut = any(not section.lines and section.added + section.removed for section in sections)
    return ConfigDifference(summary=phrase(changes), sections=tuple(sections), cut=cut)


def unified_lines(old: Sequence[str], new: Sequence[str]) -> Iterator[str]:
    """Yield the unified diff of two texts, given as lines, without the two lines that name the files."""
    yield from islice(difflib.unified_diff(old, new, lineterm="", n=CONTEXT), 2, None)


def _trimmed(text: str, maps: Mapping[str, str]) -> Config:
    """Return a configuration whose sections have no empty lines at their ends; these precede the next section."""
    config = split(text, maps)
    return Config(
        tuple(
            Section(section.kind, section.name, (Chunk(section.text.rstrip() + "\n", Owner()),))
            for section in config.sections
        ),
        config.maps,
    )


def _lines(change: Difference, before: Config, after: Config) -> Iterator[str]:
    if change.kind == "map":
        old, new = _entries(before.maps.get(change.name, ())), _entries(after.maps.get(change.name, ()))
    else:
        old = change.old.text.splitlines() if change.old else []
        new = change.new.text.splitlines() if change.new else []
    return unified_lines(old, new)


def _entries(entries: Iterable[MapEntry]) -> list[str]:
    return [f"{entry.key} {entry.value}" for entry in entries]
