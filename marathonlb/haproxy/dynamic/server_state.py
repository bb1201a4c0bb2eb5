"""
What HAProxy reports of its servers (``show servers state``), compared with what it should hold, and the health that a
reload keeps. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from attrs import evolve
from msgspec import Struct

from marathonlb.config.text.model import Section
from marathonlb.config.text.server_lines import Backend, ServerLine, parse
from marathonlb.haproxy.dynamic.servers import DRAIN, MAINTENANCE, READY, HeldServer
from marathonlb.haproxy.files.state_directory import STATE_HEADER

LONGEST_LINE = 1_999
"""Maximum bytes of a line of the state file; HAProxy takes the rest of a longer one for another line."""

_FORCED_MAINTENANCE, _FORCED_DRAIN = 0x01 | 0x04, 0x08
"""Bits of ``srv_admin_state``: maintenance by runtime API or file, drain by runtime API (management guide)."""

_DOWN = re.compile(r"^\d+ (?P<backend>\S+) \d+ (?P<server>\S+) \S+ 0 0 .*$", re.MULTILINE)


class ReportedServer(Struct, frozen=True):
    """
    A server as HAProxy reports it.

    :param line: the whole line of the report.
    """

    address: str
    port: int
    weight: int
    admin: str
    line: str

    def agrees(self, held: HeldServer) -> bool:
        """
        Return whether this is that server, in all that can be read back.

        A drained server may have kept its weight; in maintenance the weight means nothing. Of a server whose line has
        words that are not understood, only its presence can be compared.
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

    def as_held(self, believed: HeldServer | None) -> HeldServer:
        """Return what HAProxy holds, with the arguments that it is believed to have."""
        if believed is None:
            return HeldServer(ServerLine("", self.address, self.port, self.weight), self.admin, known=False)
        if believed.server.problem:
            return evolve(believed, admin=self.admin)
        server = evolve(believed.server, address=self.address, port=self.port, weight=self.weight)
        return evolve(believed, server=server, admin=self.admin)


def parse_state(reply: str) -> dict[str, dict[str, ReportedServer]]:
    """Return the servers in a reply to ``show servers state``, by backend and server."""
    backends: dict[str, dict[str, ReportedServer]] = {}
    for line in reply.splitlines():
        fields = line.split(" ", 19)
        if len(fields) < 20 or fields[0] == "#":
            continue
        admin = int(fields[6])
        state = MAINTENANCE if admin & _FORCED_MAINTENANCE else DRAIN if admin & _FORCED_DRAIN else READY
        port = int(fields[18]) if fields[18].isdigit() else 0
        server = ReportedServer(fields[4], port, int(fields[7]), state, line)
        backends.setdefault(fields[1], {})[fields[3]] = server
    return backends


def is_unpublished(reply: str) -> bool:
    """Return whether a backend takes no requests, by the reply to ``show stat BACKEND 2 -1`` (HAProxy 3.4)."""
    fields = reply.rpartition("\n")[2].split(",", 18)
    return len(fields) > 17 and fields[17].endswith("(UNPUB)")


def questions(backends: Iterable[str]) -> list[str]:
    """Return the commands that ask what backends hold."""
    return [f"show servers state {name}" for name in backends]


def deviations(
    believed: Mapping[str, HeldServer], reported: Mapping[str, ReportedServer]
) -> dict[str, HeldServer | None]:
    """
    Return where HAProxy does not hold what it is believed to hold.

    :return: by server what it holds; None for a server that it lacks.
    """
    differing: dict[str, HeldServer | None] = {}
    for name, held in believed.items():
        server = reported.get(name)
        if server is None:
            differing[name] = None
        elif not server.agrees(held):
            differing[name] = server.as_held(held)
    for name, server in reported.items():
        if name not in believed:
            differing[name] = server.as_held(None)
    return differing


def deviations_of(
    expected: Mapping[str, Mapping[str, HeldServer]], replies: Iterable[str]
) -> dict[str, dict[str, HeldServer | None]]:
    """
    Return where backends hold something else than is expected, by backend and server.

    :param replies: to `questions` about these backends.
    """
    differing = {}
    for (name, held), reply in zip(expected.items(), replies, strict=True):
        servers = deviations(held, parse_state(reply).get(name, {}))
        if servers:
            differing[name] = servers
    return differing


def state_file(reply: str, wanted: Iterable[Section]) -> str:
    """
    Return the state file for a reload: which servers are down by their checks, and nothing else.

    HAProxy's own state file would bring back old ports, weights and drains. A server that is up needs no line, because
    it is up after a reload. A server whose address, port, weight or admin state is not as wanted gets none.

    :param reply: to ``show servers state``.
    :param wanted: the sections of the new configuration.
    """
    down = {match["backend"] for match in _DOWN.finditer(reply)}
    backends = {s.name: parse(s) for s in wanted if s.kind == "backend" and s.name in down}
    lines = (match[0] for match in _DOWN.finditer(reply))
    kept = [line for line in lines if len(line.encode()) < LONGEST_LINE and _is_wanted(line, backends)]
    return "".join([STATE_HEADER, *(f"{line}\n" for line in kept)])


def _is_wanted(line: str, backends: Mapping[str, Backend]) -> bool:
    for name, servers in parse_state(line).items():
        for server, reported in servers.items():
            wanted = backends[name].servers.get(server) if name in backends else None
            return bool(
                wanted and wanted.checked and not wanted.problem and reported.agrees(HeldServer(wanted))
            )
    return False
