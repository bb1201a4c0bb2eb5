"""
Length limits of the lines of map files and of haproxy.cfg. Pure.

HAProxy reads a map file in pieces of 16,383 bytes, whatever ``tune.bufsize`` is, and takes each piece for a line: the
rest of a longer line would be an entry of its own. A command of the runtime API has to fit into HAProxy's buffer. Names
longer than a line of the server state file, or than the buffer, are missing from HAProxy's replies. Label values are
limited where they are parsed; this is the second check, of the lines as they are written.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator

from attrs import evolve

from marathonlb.base import limits
from marathonlb.config.text.model import SECTION_KEYWORDS, Chunk, Section
from marathonlb.problem_kinds.apps import LABEL_LINE_LENGTH, MAP_ENTRY, ROUTING_LIMIT
from marathonlb.routing.hosts import wildcards_above
from marathonlb.routing.precedence import seniority
from marathonlb.routing.problems import Problem
from marathonlb.routing.rules import AclRule, MapRule, Rules
from marathonlb.routing.services.model import Service

MAP_LINE = 4_096
"""Maximum bytes of a line of a map file: enough for the largest values, and far less than HAProxy's piece."""

LINE = 16_000
"""Maximum bytes of a line of haproxy.cfg written by an app's label."""

NAME = 750
"""Maximum bytes of a name in such a line; a line of HAProxy's server state file has room for two."""

_SHORT = NAME // 4
"""Characters of a text in which nothing can be too long; a character has at most 4 bytes."""

SPARE = 256
"""Bytes of HAProxy's buffer reserved for the command, the file's path and HAProxy itself."""

_BUFFER = re.compile(
    r"^[ \t]*tune\.bufsize[ \t]+[\"']?(?P<number>[0-9]{1,12})(?P<unit>[kmg]?)\b", re.MULTILINE | re.I
)
_UNITS = {"": 1, "k": 1024, "m": 1024**2, "g": 1024**3}
_NAMED = SECTION_KEYWORDS | frozenset("server server-template acl user group use-server peer table".split())


def room_of_maps(head: str) -> int:
    """
    Return the maximum bytes of a line of a map file.

    :param head: the text of the global section, which may set a smaller ``tune.bufsize``.
    """
    sizes = (int(match["number"]) * _UNITS[match["unit"].lower()] for match in _BUFFER.finditer(head))
    return max(0, min((MAP_LINE, *(size - SPARE for size in sizes))))


def without_long(rules: Rules, room: int) -> tuple[Rules, list[Problem]]:
    """
    Return the rules without those that exceed a limit, and a problem for each rule left out.

    The limits are the length of a map line, the paths of an ACL rule and, if there are maps, the ACL rules of an app.

    :param room: maximum bytes of a map line, its newline included.
    """
    problems: list[Problem] = []
    limit = _AclRuleLimit((*rules.first, *rules.later)) if rules.maps else None
    kept = evolve(
        rules,
        first=_limited(rules.first, problems, limit),
        later=_limited(rules.later, problems, limit),
        paths=_short(rules.paths, room, problems),
        hosts=_short(rules.hosts, room, problems),
        wildcards=_short(rules.wildcards, room, problems),
        app_ids=_short(rules.app_ids, room, problems),
    )
    problems += limit.problems() if limit is not None else ()
    return (kept if problems else rules), problems


class _AclRuleLimit:
    """Counts the ACL rules of each app that the maps cannot express, by its labels or by an older wildcard's weight."""

    def __init__(self, rules: Iterable[AclRule]) -> None:
        self._weighted: dict[str, tuple[str, str, int]] = {}
        for rule in rules:
            if rule.wildcard and rule.service.weight is not None:
                for host in rule.hosts:
                    age = seniority(rule.service)
                    self._weighted[host] = min(age, self._weighted.get(host, age))
        self._counts: Counter[str] = Counter()
        self._excess: dict[tuple[str, int], tuple[AclRule, int]] = {}

    def has_room(self, rule: AclRule) -> bool:
        """Count a rule and return whether its app is still within the limit."""
        service = rule.service
        wild = rule.wildcard and bool(rule.paths)
        special = service.weight is not None or service.ignore_path_case or wild
        if rule.overridden or not (special or self._below_older(rule)):
            return True
        count = len(rule.hosts) * max(1, len(rule.paths))
        if self._counts[service.app_id] + count <= limits.ACL_RULES:
            self._counts[service.app_id] += count
            return True
        self._excess[service.key] = rule, self._excess.get(service.key, (rule, 0))[1] + count
        return False

    def _below_older(self, rule: AclRule) -> bool:
        """Return whether an older service with a weight has a wildcard that covers a host of this rule."""
        own = seniority(rule.service)
        return any(
            self._weighted.get(over, own) < own for host in rule.hosts for over in wildcards_above(host)
        )

    def problems(self) -> Iterator[Problem]:
        """Yield a problem for each service beyond the limit."""
        for rule, count in self._excess.values():
            reason = (
                f"has {count} hosts and paths too many: at most {limits.ACL_RULES} of an app may have BACKEND_WEIGHT, a"
                " PATH that ignores case, a wildcard with paths or an older app's wildcard with a weight; the others"
                " are not served"
            )
            app_id, index = rule.service.key
            yield Problem(
                app_id, index, f"HAPROXY_{index}_VHOST", "", reason, fatal=False, kind=ROUTING_LIMIT
            )


def _limited(
    rules: tuple[AclRule, ...], problems: list[Problem], limit: _AclRuleLimit | None
) -> tuple[AclRule, ...]:
    within = []
    for rule in rules:
        if len(rule.paths) > limits.ACL_PATHS:
            problems.append(_too_many_paths(rule))
        elif limit is None or limit.has_room(rule):
            within.append(rule)
    return tuple(within)


def _too_many_paths(rule: AclRule) -> Problem:
    service = rule.service
    reason = (
        f"has {len(rule.paths)} paths, and the maximum is {limits.ACL_PATHS} if a template writes the rule; none of"
        " them is served"
    )
    return Problem(
        service.app_id,
        service.port_index,
        f"HAPROXY_{service.port_index}_PATH",
        "",
        reason,
        fatal=False,
        kind=ROUTING_LIMIT,
    )


def _short(entries: tuple[MapRule, ...], room: int, problems: list[Problem]) -> tuple[MapRule, ...]:
    within = []
    for entry in entries:
        key, value = entry.key, entry.service.backend
        if 4 * (len(key) + len(value)) + 2 > room and limits.size(key) + limits.size(value) + 2 > room:
            problems.append(_left_out(entry, room))
        else:
            within.append(entry)
    return entries if len(within) == len(entries) else tuple(within)


def _left_out(entry: MapRule, room: int) -> Problem:
    service = entry.service
    name = {"path2backend.map": "PATH", "app2backend.map": ""}.get(entry.map, "VHOST")
    label = f"HAPROXY_{service.port_index}_{name}" if name else "id"
    reason = (
        f"is left out of {entry.map}, because a line has at most {room} bytes, the backend's name included"
    )
    return Problem(service.app_id, service.port_index, label, entry.key, reason, fatal=False, kind=MAP_ENTRY)


def too_long(service: Service, sections: Iterable[Section]) -> Problem | None:
    """Return the problem of a service whose labels write too long a line or name; None if there is none."""
    for section in sections:
        for chunk in section.chunks:
            if len(chunk.text) <= _SHORT or not chunk.owner.label:
                continue
            reason = _long_line(chunk)
            if reason:
                label = chunk.owner.label
                return Problem(service.app_id, service.port_index, label, "", reason, kind=LABEL_LINE_LENGTH)
    return None


def _long_line(chunk: Chunk) -> str:
    """Return the reason if a line of a chunk, or a name in it, is too long; else an empty string."""
    for number, line in enumerate(chunk.text.split("\n"), chunk.line):
        if len(line) <= _SHORT:
            continue
        size = limits.size(line)
        if size > LINE:
            return f"line {number} of its text has {size} bytes; the maximum is {LINE}"
        words = line.split(None, 2)
        if len(words) > 1 and words[0] in _NAMED and limits.size(words[1]) > NAME:
            return f"line {number} of its text has a name of {limits.size(words[1])} bytes; the maximum is {NAME}"
    return ""
