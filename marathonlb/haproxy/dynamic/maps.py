"""
Two texts of a map file → the commands that lead from one to the other. Pure.

Where the order of a map does not matter, single entries are added, set and deleted. Where it does, or where most of the
map differs, a new version of it is filled and put in force at once.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from marathonlb.config.text.model import MapEntry
from marathonlb.haproxy.dynamic.servers import Step, Steps

UNORDERED = frozenset({"path2backend.map", "domain2backend.map", "app2backend.map"})
"""Looked up by exact key or longest prefix, so that the order of their entries means nothing."""

PAYLOAD = 8_000
"""Bytes of entries in one command at most; HAProxy 2.6 swallows one of more than its buffer without a word."""

Pairs = Sequence[tuple[str, str]]
"""The entries of a map: key and value, in the order of the file."""

_PLAIN = re.compile(r"[A-Za-z0-9_.:/@%,+=~*!?&$()\[\]-]+\Z")
_VERSION = re.compile(r"New version created: (\d+)")
NEW_VERSION = "@NEW"
"""Stands for the version that ``prepare map`` names."""


def pairs(entries: Iterable[MapEntry]) -> list[tuple[str, str]]:
    """The entries of a map without their owners."""
    return [(entry.key, entry.value) for entry in entries]


def same_entries(name: str, one: Pairs, other: Pairs) -> bool:
    """Whether two texts of a map mean the same."""
    if len(one) != len(other):
        return False
    return sorted(one) == sorted(other) if name in UNORDERED else list(one) == list(other)


def plan_map(name: str, path: str, running: Pairs, wanted: Pairs) -> Steps:
    """
    The steps for one map.

    :param path: the file, as HAProxy knows it.
    """
    if same_entries(name, running, wanted):
        return Steps()
    before, after = dict(running), dict(wanted)
    alone = name in UNORDERED and len(before) == len(running) and len(after) == len(wanted)
    changes = list(_changes(path, before, after)) if alone else []
    odd = not all(_PLAIN.match(word) for key in before.items() ^ after.items() for word in key)
    if not alone or odd or len(changes) > len(after):
        return Steps((Step("map", name, tuple(_anew(path, wanted))),))
    gains = tuple(Step("map", name, (command,)) for command in changes if not command.startswith("del "))
    losses = tuple(Step("map", name, (command,)) for command in changes if command.startswith("del "))
    return Steps(gains, losses)


def _changes(path: str, before: dict[str, str], after: dict[str, str]) -> Iterator[str]:
    for key, value in after.items():
        if key not in before:
            yield f"add map {path} {key} {value}"
        elif before[key] != value:
            yield f"set map {path} {key} {value}"
    for key in before:
        if key not in after:
            yield f"del map {path} {key}"


def _anew(path: str, entries: Pairs) -> Iterator[str]:
    """A transaction: what is looked up meanwhile sees the old entries, then the new ones."""
    yield f"prepare map {path}"
    for lines in _parcels(f"{key} {value}\n" for key, value in entries):
        yield f"add map {NEW_VERSION} {path} <<\n{lines}"
    yield f"commit map {NEW_VERSION} {path}"


def _parcels(lines: Iterable[str]) -> Iterator[str]:
    parcel, size = list[str](), 0
    for line in lines:
        length = len(line.encode())
        if parcel and size + length > PAYLOAD:
            yield "".join(parcel)
            parcel, size = [], 0
        parcel.append(line)
        size += length
    if parcel:
        yield "".join(parcel)


def version_of(answer: str) -> str | None:
    """The version that ``prepare map`` named, as later commands take it."""
    found = _VERSION.match(answer)
    return f"@{found[1]}" if found else None


_LISTED = re.compile(r"^-?\d+ \((?P<path>[^)]*)\) .*?entry_cnt=(?P<count>\d+)", re.MULTILINE)


def parse_maps(answer: str) -> dict[str, int]:
    """What ``show map`` says: the maps that are in use, by their paths, each with the number of its entries."""
    return {match["path"]: int(match["count"]) for match in _LISTED.finditer(answer)}


def parse_entries(answer: str) -> list[tuple[str, str]]:
    """What ``show map PATH`` says: the entries, in their order."""
    entries = []
    for line in answer.splitlines():
        words = line.split(" ", 2)
        if len(words) == 3:
            entries.append((words[1], words[2]))
    return entries
