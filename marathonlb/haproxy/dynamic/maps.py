"""
Map files of a running HAProxy: the commands from one content to another, and their execution.

Where the order of a map does not matter, single entries are added, set and deleted. Where it does, or where most of the
map differs, a new version of it is filled and put in force at once.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from msgspec import Struct

from marathonlb.config.text.diff import Difference
from marathonlb.config.text.model import Config, MapEntry, Owner
from marathonlb.haproxy.dynamic.servers import Step, Steps
from marathonlb.haproxy.reload_reason import ReasonKind, Reasons, ReloadReason, from_refusal
from marathonlb.haproxy.runtime.interfaces import IRuntimeConnection
from marathonlb.haproxy.runtime.replies import CommandRefusal, refusal

UNORDERED = frozenset({"path2backend.map", "domain2backend.map", "app2backend.map"})
"""Maps that are looked up by exact key or longest prefix, so that the order of their entries means nothing."""

MAX_PAYLOAD = 8_000
"""Maximum bytes of entries in one command; HAProxy 2.6 drops a command longer than its buffer without an error."""

NEW_VERSION = "@NEW"
"""Placeholder for the version that ``prepare map`` returns."""

Pairs = Sequence[tuple[str, str]]
"""The entries of a map: key and value, in the order of the file."""

Maps = Mapping[str, tuple[MapEntry, ...]]
"""The entries of map files, by file name."""

_PLAIN = re.compile(r"[A-Za-z0-9_.:/@%,+=~*!?&$()\[\]-]+\Z")
_VERSION = re.compile(r"New version created: (\d+)")
_LISTED = re.compile(r"^-?\d+ \((?P<path>[^)]*)\) .*?entry_cnt=(?P<count>\d+)", re.MULTILINE)


def pairs(entries: Iterable[MapEntry]) -> list[tuple[str, str]]:
    """Return the entries of a map without their owners."""
    return [(entry.key, entry.value) for entry in entries]


def same_entries(name: str, one: Pairs, other: Pairs) -> bool:
    """Return whether two contents of a map mean the same."""
    if len(one) != len(other):
        return False
    return sorted(one) == sorted(other) if name in UNORDERED else list(one) == list(other)


def holds_wanted(name: str, maps: Maps, wanted: Config) -> bool:
    """Return whether a map is among `maps` and has the entries that are wanted."""
    return name in maps and same_entries(name, pairs(maps[name]), pairs(wanted.maps[name]))


def plan_map(name: str, path: str, running: Pairs, wanted: Pairs) -> Steps:
    """
    Return the steps from one content of a map to another.

    :param path: the file, as HAProxy knows it.
    """
    if same_entries(name, running, wanted):
        return Steps()
    before, after = dict(running), dict(wanted)
    single = name in UNORDERED and len(before) == len(running) and len(after) == len(wanted)
    changes = list(_changes(path, before, after)) if single else []
    odd = not all(_PLAIN.match(word) for entry in before.items() ^ after.items() for word in entry)
    if not single or odd or len(changes) > len(after):
        return Steps((Step("map", name, tuple(_transaction(path, wanted))),))
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


def _transaction(path: str, entries: Pairs) -> Iterator[str]:
    """Yield the commands that replace all entries at once: a look-up sees the old ones, then the new ones."""
    yield f"prepare map {path}"
    for lines in _payloads(f"{key} {value}\n" for key, value in entries):
        yield f"add map {NEW_VERSION} {path} <<\n{lines}"
    yield f"commit map {NEW_VERSION} {path}"


def _payloads(lines: Iterable[str]) -> Iterator[str]:
    payload, size = list[str](), 0
    for line in lines:
        length = len(line.encode())
        if payload and size + length > MAX_PAYLOAD:
            yield "".join(payload)
            payload, size = [], 0
        payload.append(line)
        size += length
    if payload:
        yield "".join(payload)


def version_of(reply: str) -> str | None:
    """Return the version in a reply to ``prepare map``, as later commands take it; None where there is none."""
    match = _VERSION.match(reply)
    return f"@{match[1]}" if match else None


def parse_maps(reply: str) -> dict[str, int]:
    """Return the maps in use by path, each with its number of entries, from a reply to ``show map``."""
    return {match["path"]: int(match["count"]) for match in _LISTED.finditer(reply)}


def parse_entries(reply: str) -> list[tuple[str, str]]:
    """Return the entries in their order, from a reply to ``show map PATH``."""
    entries = []
    for line in reply.splitlines():
        words = line.split(" ", 2)
        if len(words) == 3:
            entries.append((words[1], words[2]))
    return entries


# before a reload


def maps_before_reload(wanted: Maps, running: Maps, available: Collection[str]) -> Maps:
    """
    Return the entries that maps can have before a reload has done the rest, where these are others than they have.

    Entries for a backend that takes requests already are added and changed. None is taken away, so that no request
    loses its way before the reload opens another.

    :param available: the backends that take requests.
    """
    early = {}
    for name, entries in wanted.items():
        held = running[name]
        ready = {entry.key: entry for entry in entries if entry.value in available}
        if name in UNORDERED:
            kept = tuple(ready.pop(entry.key, entry) for entry in held)
            new = (*kept, *ready.values())
        else:
            whole = len(ready) == len(entries) and all(entry.key in ready for entry in held)
            new = entries if whole else held
        if pairs(new) != pairs(held):
            early[name] = new
    return early


class MapPlanner:
    """
    Plans the entries of maps, and remembers those that they get before a reload.

    While a reload is postponed, many changes are planned that leave the maps alone; then these are not computed again.
    """

    def __init__(self) -> None:
        self._key: Sequence[tuple[object, object]] = []
        self._early: Maps = {}

    def plan(
        self,
        differing: Sequence[Difference],
        running: Maps,
        wanted: Config,
        *,
        everything: bool,
        early: bool,
        running_backends: Collection[str],
        created: Collection[str],
    ) -> tuple[Maps, list[Difference]]:
        """
        Return the entries that maps get at runtime, and the differences that are left to a reload.

        :param differing: the maps whose entries differ.
        :param everything: whether no reload follows.
        :param early: whether maps may change before the reload; see `maps_before_reload`.
        :param running_backends: the backends that take requests.
        :param created: those that will before the maps change.
        """
        maps: Maps = {difference.name: wanted.maps[difference.name] for difference in differing}
        if everything or not maps:
            return maps, []
        maps = self._before_reload(maps, running, running_backends, created) if early else {}
        return maps, [each for each in differing if not holds_wanted(each.name, maps, wanted)]

    def _before_reload(
        self, wanted: Maps, running: Maps, running_backends: Collection[str], created: Collection[str]
    ) -> Maps:
        key = [(entries, running[name]) for name, entries in wanted.items()]
        same = len(key) == len(self._key) and all(
            a is c and b is d for (a, b), (c, d) in zip(key, self._key, strict=True)
        )
        if not same or created:
            self._key = () if created else key
            self._early = maps_before_reload(wanted, running, {*running_backends, *created})
        return self._early


# execution


class MapUpdater(Struct, frozen=True):
    """
    Changes the maps of a worker.

    :param directory: where the map files lie.
    """

    directory: str

    def _path(self, name: str) -> str:
        return f"{self.directory}/{name}"

    async def differing(self, connection: IRuntimeConnection, config: Config) -> Maps:
        """Return the maps in use that hold something else than a configuration says, with what they hold."""
        if not config.maps:
            return {}
        (reply,) = await connection.execute(["show map"])
        used = parse_maps(reply)
        differing = {}
        for name, entries in config.maps.items():
            if self._path(name) in used:
                held = await self._held(connection, name)
                if not same_entries(name, held, pairs(entries)):
                    differing[name] = tuple(MapEntry(key, value, Owner()) for key, value in held)
        return differing

    async def _held(self, connection: IRuntimeConnection, name: str) -> Pairs:
        (reply,) = await connection.execute([f"show map {self._path(name)}"])
        return parse_entries(reply)

    async def change(
        self, connection: IRuntimeConnection, wanted: Maps, running: Maps
    ) -> tuple[Steps, Reasons]:
        """
        Give maps these entries, and compare their numbers afterwards. A map that HAProxy does not use needs nothing.

        :return: the steps, and the reasons of a reload where one of them failed.
        """
        (reply,) = await connection.execute(["show map"])
        used = parse_maps(reply)
        names = [name for name in wanted if self._path(name) in used]
        done = Steps()
        for name in names:
            held = pairs(running[name])
            if used[self._path(name)] != len(held):
                held = list(await self._held(connection, name))
            steps = plan_map(name, self._path(name), held, pairs(wanted[name]))
            refused = await _execute(connection, steps)
            if refused is not None:
                return done, (from_refusal(refused, name),)
            done += steps
        return done, await self._compare(connection, names, wanted) if done else ()

    async def _compare(self, connection: IRuntimeConnection, names: Sequence[str], wanted: Maps) -> Reasons:
        (reply,) = await connection.execute(["show map"])
        counts = parse_maps(reply)
        for name in names:
            count = counts.get(self._path(name), 0)
            if count != len(wanted[name]):
                detail = f"holds {count} entries in place of {len(wanted[name])}"
                return (ReloadReason(ReasonKind.READ_BACK_DIFFERS, name, detail, "map"),)
        return ()


async def _execute(connection: IRuntimeConnection, steps: Steps) -> CommandRefusal | None:
    """Execute steps in order; the version of a transaction is known only once HAProxy has returned it."""
    for step in (*steps.gains, *steps.losses):
        commands = list(step.commands)
        if commands[0].startswith("prepare map "):
            (reply,) = await connection.execute(commands[:1])
            version = version_of(reply)
            if version is None:
                return refusal(commands[0], reply) or CommandRefusal(commands[0], reply)
            commands = [command.replace(NEW_VERSION, version, 1) for command in commands[1:]]
        for command, reply in zip(commands, await connection.execute(commands), strict=True):
            refused = refusal(command, reply)
            if refused is not None:
                return refused
    return None
