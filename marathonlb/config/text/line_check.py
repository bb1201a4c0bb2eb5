"""
The lines of maps and of the configuration, checked once more where they are written. Pure.

HAProxy reads a map file in pieces of 16,383 bytes, whatever ``tune.bufsize`` says, and takes each piece for a line: the
end of a longer line would be an entry of its own. What comes over a socket has to have room in its buffer. Names that
are longer than a line of its state file, or than its buffer, are missing in its answers. Values are bounded where they
are parsed; this holds whatever becomes of that.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator

from attrs import evolve

from marathonlb import limits
from marathonlb.config.sections import Sections
from marathonlb.config.text.model import SECTION_KEYWORDS, Chunk
from marathonlb.routing.claims import seniority
from marathonlb.routing.hosts import above
from marathonlb.routing.problems import Problem
from marathonlb.routing.rules import AclRule, MapRule, Rules
from marathonlb.routing.services.model import Service

MAP_LINE = 4_096
"""Maximum bytes of a line of a map file: what the largest values come to, and far less than a piece."""

LINE = 16_000
"""Maximum bytes of a line of the configuration that an app's label writes."""

NAME = 750
"""Maximum bytes of a name in such a line: a line of HAProxy's state file has room for two."""

SPARE = 256
"""Bytes of HAProxy's buffer that are left to the command, the file's path and HAProxy itself."""

_BUFFER = re.compile(
    r"^[ \t]*tune\.bufsize[ \t]+[\"']?(?P<number>[0-9]{1,12})(?P<unit>[kmg]?)\b", re.MULTILINE | re.I
)
_UNITS = {"": 1, "k": 1024, "m": 1024**2, "g": 1024**3}
_NAMED = SECTION_KEYWORDS | frozenset("server server-template acl user group use-server peer table".split())


def room_of_maps(head: str) -> int:
    """
    The bytes that a line of a map may have.

    :param head: the text of the global section, which may make HAProxy's buffer smaller.
    """
    sizes = (int(found["number"]) * _UNITS[found["unit"].lower()] for found in _BUFFER.finditer(head))
    return max(0, min((MAP_LINE, *(size - SPARE for size in sizes))))


def without_long(rules: Rules, room: int) -> tuple[Rules, list[Problem]]:
    """
    The rules without those whose lines in a map are too long, or have too many words; and a problem for each.

    Where there are maps, an app has few rules beside them.

    :param room: the bytes that a line may have, its end included.
    """
    problems: list[Problem] = []
    beside = _Beside((*rules.first, *rules.later)) if rules.maps else None
    kept = evolve(
        rules,
        first=_few(rules.first, problems, beside),
        later=_few(rules.later, problems, beside),
        paths=_short(rules.paths, room, problems),
        hosts=_short(rules.hosts, room, problems),
        wildcards=_short(rules.wildcards, room, problems),
        app_ids=_short(rules.app_ids, room, problems),
    )
    problems += beside.problems() if beside is not None else ()
    return (kept if problems else rules), problems


class _Beside:
    """Counts the rules that each app has beside the maps by its own labels, or by the weight of an older wildcard."""

    def __init__(self, rules: Iterable[AclRule]) -> None:
        self._weighted: dict[str, tuple[str, str, int]] = {}
        for rule in rules:
            if rule.wildcard and rule.service.weight is not None:
                for host in rule.hosts:
                    age = seniority(rule.service)
                    self._weighted[host] = min(age, self._weighted.get(host, age))
        self._written: Counter[str] = Counter()
        self._beyond: dict[tuple[str, int], tuple[AclRule, int]] = {}

    def has_room(self, rule: AclRule) -> bool:
        """Whether a rule is one of the first of its app."""
        service = rule.service
        wild = rule.wildcard and bool(rule.paths)
        special = service.weight is not None or service.ignore_path_case or wild
        if rule.overridden or not (special or self._below_older(rule)):
            return True
        count = len(rule.hosts) * max(1, len(rule.paths))
        if self._written[service.app_id] + count <= limits.ACL_RULES:
            self._written[service.app_id] += count
            return True
        self._beyond[service.key] = rule, self._beyond.get(service.key, (rule, 0))[1] + count
        return False

    def _below_older(self, rule: AclRule) -> bool:
        own = seniority(rule.service)
        return any(self._weighted.get(over, own) < own for host in rule.hosts for over in above(host))

    def problems(self) -> Iterator[Problem]:
        """Tell each service that has more of them."""
        for rule, count in self._beyond.values():
            reason = (
                f"has {count} hosts and paths too many: {limits.ACL_RULES} of an app have BACKEND_WEIGHT, a PATH that"
                " ignores case, a wildcard with paths or one of an older app with a weight; these are not served"
            )
            app_id, index = rule.service.key
            yield Problem(app_id, index, f"HAPROXY_{index}_VHOST", "", reason, fatal=False)


def _few(rules: tuple[AclRule, ...], problems: list[Problem], beside: _Beside | None) -> tuple[AclRule, ...]:
    kept = []
    for rule in rules:
        if len(rule.paths) > limits.ACL_PATHS:
            problems.append(_too_many(rule))
        elif beside is None or beside.has_room(rule):
            kept.append(rule)
    return tuple(kept)


def _too_many(rule: AclRule) -> Problem:
    service = rule.service
    reason = (
        f"has {len(rule.paths)} paths, and {limits.ACL_PATHS} are the most where a template writes the rule; none of"
        " them is served"
    )
    return Problem(
        service.app_id, service.port_index, f"HAPROXY_{service.port_index}_PATH", "", reason, fatal=False
    )


def _short(entries: tuple[MapRule, ...], room: int, problems: list[Problem]) -> tuple[MapRule, ...]:
    kept = []
    for entry in entries:
        key, value = entry.key, entry.service.backend
        if 4 * (len(key) + len(value)) + 2 > room and limits.size(key) + limits.size(value) + 2 > room:
            problems.append(_left_out(entry, room))
        else:
            kept.append(entry)
    return entries if len(kept) == len(entries) else tuple(kept)


def _left_out(entry: MapRule, room: int) -> Problem:
    service = entry.service
    name = {"path2backend.map": "PATH", "app2backend.map": ""}.get(entry.map, "VHOST")
    label = f"HAPROXY_{service.port_index}_{name}" if name else "id"
    reason = f"is left out of {entry.map}, where a line has {room} bytes at most with the backend's name"
    return Problem(service.app_id, service.port_index, label, entry.key, reason, fatal=False)


def fault(service: Service, own: Sections) -> Problem | None:
    """What is too long in the sections of a service, in the text of its own labels; None where nothing is."""
    for section in filter(None, (own.userlist, own.frontend, own.backend)):
        for chunk in section.chunks:
            if chunk.owner.source.startswith("label "):
                reason = _long_line(chunk)
                if reason:
                    label = chunk.owner.source.removeprefix("label ")
                    return Problem(service.app_id, service.port_index, label, "", reason)
    return None


def _long_line(chunk: Chunk) -> str:
    for number, line in enumerate(_lines(chunk.text), chunk.line):
        if len(line) <= NAME // 4:
            continue
        size = limits.size(line)
        if size > LINE:
            return f"line {number} of what it writes has {size} bytes; {LINE} are the most"
        said = line.split(None, 2)
        if len(said) > 1 and said[0] in _NAMED and limits.size(said[1]) > NAME:
            return f"line {number} of what it writes has a name of {limits.size(said[1])} bytes; {NAME} are the most"
    return ""


def _lines(text: str) -> Iterable[str]:
    return text.split("\n") if len(text) > NAME // 4 else ()
