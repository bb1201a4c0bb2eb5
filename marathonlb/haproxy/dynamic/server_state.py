"""
What HAProxy says of its servers (``show servers state``) against what it should hold, and what a reload keeps. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from attrs import evolve, frozen

from marathonlb.config.text.model import Section
from marathonlb.config.text.server_lines import Backend, ServerLine, parse
from marathonlb.haproxy.dynamic.servers import DRAIN, MAINTENANCE, READY, Held
from marathonlb.haproxy.files.state_directory import STATE_HEADER

LONGEST_LINE = 1_999
"""Bytes of a line that HAProxy reads in one piece; it takes the rest of a longer one for another line."""

_FORCED_MAINTENANCE, _FORCED_DRAIN = 0x01 | 0x04, 0x08
"""Of ``srv_admin_state``: maintenance by the socket or the file, drain by the socket (management guide)."""


@frozen
class Seen:
    """A server as HAProxy tells of it."""

    address: str
    port: int
    weight: int
    admin: str
    line: str

    def agrees(self, held: Held) -> bool:
        """
        Whether this is that server, in all that can be read.

        A drained server may have kept its weight; in maintenance the weight says nothing. Of a server whose line holds
        what we do not understand, only that it is there can be told.
        """
        server = held.server
        if server.problem:
            return True
        if (self.address, self.port) != (server.address, server.port):
            return False
        if held.admin == MAINTENANCE or self.admin == MAINTENANCE:
            return held.admin == self.admin
        if held.drained:
            return self.admin == DRAIN or self.weight == 0
        return self.admin == READY and self.weight == server.weight

    def as_held(self, believed: Held | None) -> Held:
        """What HAProxy holds, with the arguments that it is believed to have."""
        if believed is None:
            return Held(ServerLine("", self.address, self.port, self.weight), self.admin, known=False)
        if believed.server.problem:
            return evolve(believed, admin=self.admin)
        server = evolve(believed.server, address=self.address, port=self.port, weight=self.weight)
        return evolve(believed, server=server, admin=self.admin)


def parse_state(answer: str) -> dict[str, dict[str, Seen]]:
    """What ``show servers state`` says, by backend and server."""
    backends: dict[str, dict[str, Seen]] = {}
    for line in answer.splitlines():
        fields = line.split(" ", 19)
        if len(fields) < 20 or fields[0] == "#":
            continue
        admin = int(fields[6])
        state = MAINTENANCE if admin & _FORCED_MAINTENANCE else DRAIN if admin & _FORCED_DRAIN else READY
        port = int(fields[18]) if fields[18].isdigit() else 0
        seen = Seen(fields[4], port, int(fields[7]), state, line)
        backends.setdefault(fields[1], {})[fields[3]] = seen
    return backends


def is_unpublished(answer: str) -> bool:
    """Whether no request is led to a backend, by ``show stat BACKEND 2 -1`` (HAProxy 3.4)."""
    fields = answer.rpartition("\n")[2].split(",", 18)
    return len(fields) > 17 and fields[17].endswith("(UNPUB)")


def deviations(believed: Mapping[str, Held], seen: Mapping[str, Seen]) -> dict[str, Held | None]:
    """
    Where HAProxy does not hold what it is believed to hold.

    :return: by server what it holds, None where it lacks one.
    """
    found: dict[str, Held | None] = {}
    for name, held in believed.items():
        there = seen.get(name)
        if there is None:
            found[name] = None
        elif not there.agrees(held):
            found[name] = there.as_held(held)
    for name, there in seen.items():
        if name not in believed:
            found[name] = there.as_held(None)
    return found


def questions(backends: Iterable[str]) -> list[str]:
    """The commands that ask what backends hold."""
    return [f"show servers state {name}" for name in backends]


def deviations_of(
    expected: Mapping[str, Mapping[str, Held]], answers: Iterable[str]
) -> dict[str, dict[str, Held | None]]:
    """Where backends hold something else than is expected, by the answers to `questions` about them."""
    found = {}
    for (name, held), answer in zip(expected.items(), answers, strict=True):
        wrong = deviations(held, parse_state(answer).get(name, {}))
        if wrong:
            found[name] = wrong
    return found


_DOWN = re.compile(r"^\d+ (?P<backend>\S+) \d+ (?P<server>\S+) \S+ 0 0 .*$", re.MULTILINE)


def state_file(answer: str, wanted: Iterable[Section]) -> str:
    """
    The state file for a reload: which servers are down by their checks, nothing else.

    HAProxy's own would bring back the old ports, weights and drains over the new text. A server that is up needs no
    line: it is up after a reload. One whose address, port, weight or admin state is not what the new text wants gets
    none.

    :param answer: what ``show servers state`` says.
    :param wanted: the sections of the new text.
    """
    down = {match["backend"] for match in _DOWN.finditer(answer)}
    backends = {s.name: parse(s) for s in wanted if s.kind == "backend" and s.name in down}
    found = (match[0] for match in _DOWN.finditer(answer))
    kept = [line for line in found if len(line.encode()) < LONGEST_LINE and _is_wanted(line, backends)]
    return "".join([STATE_HEADER, *(f"{line}\n" for line in kept)])


def _is_wanted(line: str, backends: Mapping[str, Backend]) -> bool:
    for name, servers in parse_state(line).items():
        for server, seen in servers.items():
            wanted = backends[name].servers.get(server) if name in backends else None
            return bool(wanted and wanted.checked and not wanted.problem and seen.agrees(Held(wanted)))
    return False
