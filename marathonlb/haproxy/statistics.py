"""
HAProxy's own view of its backends and servers: ``show stat`` and ``show info``.

Of the whole cluster one row for each backend is asked for, and the servers of one backend alone: a page costs what it
shows.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Awaitable, Callable, Iterator

import msgspec
from twisted.internet.interfaces import IReactorTime

from marathonlb.errors import HAProxyUnavailable

FRESH = 1.0
"""Seconds that an answer about all backends is good for."""

_BACKENDS, _BACKEND_AND_SERVERS = 2, 2 | 4
"""The types of ``show stat``."""

_STATS_SOCKET = re.compile(r"^\s*stats\s+socket\s+(?:unix@)?(?P<path>/\S+)", re.MULTILINE)


class BackendState(msgspec.Struct, frozen=True, kw_only=True):
    """
    What HAProxy says of a backend.

    :param status: ``UP``, or ``DOWN`` where no server takes requests.
    :param active_servers: how many servers take requests.
    :param backup_servers: how many of them only when all others are gone.
    :param sessions: open now.
    :param sessions_total: since HAProxy was loaded.
    :param rate: new sessions in the last second.
    :param queue: requests that wait for a server.
    :param errors: connections that failed, and answers that were none.
    :param retries: connections that were tried again, and requests that went to another server.
    :param responses: answers by the first digit of their status, ``2xx`` for example; none in mode tcp.
    """

    status: str
    active_servers: int
    backup_servers: int
    sessions: int
    sessions_total: int
    rate: int
    queue: int
    bytes_in: int
    bytes_out: int
    errors: int
    retries: int
    responses: dict[str, int]


class ServerState(msgspec.Struct, frozen=True, kw_only=True):
    """
    What HAProxy says of a server.

    :param status: ``UP``, ``DOWN``, ``NOLB``, ``MAINT``, ``DRAIN``, ``no check``, or on its way (``UP 1/3``).
    :param check: how the last health check ended (``L7OK``, ``L4CON``); empty without checks.
    :param check_words: what HAProxy says of that.
    :param changed_seconds: since the status changed last; null where it never did.
    """

    status: str
    weight: int
    address: str
    sessions: int
    sessions_total: int
    rate: int
    queue: int
    bytes_in: int
    bytes_out: int
    errors: int
    check: str
    check_words: str
    changed_seconds: int | None


class BackendDetail(msgspec.Struct, frozen=True):
    """A backend with its servers, by name."""

    backend: BackendState | None
    servers: dict[str, ServerState]


def stats_socket(text: str) -> str | None:
    """The path of the first stats socket that a configuration has; None where it has none."""
    found = _STATS_SOCKET.search(text)
    return found["path"] if found else None


def rows(answer: str) -> Iterator[dict[str, str]]:
    """
    The rows of ``show stat``.

    :raises HAProxyUnavailable: it is no such answer.
    """
    if not answer.startswith("# "):
        raise HAProxyUnavailable(
            reason=f"an answer to 'show stat' that cannot be understood: {answer[:100]!r}"
        )
    yield from csv.DictReader(line for line in answer[2:].splitlines() if line)


class Statistics:
    """
    Asks a HAProxy that runs.

    :param ask: says a command to the worker and gives its answer; raises `HAProxyUnavailable`.
    """

    def __init__(self, ask: Callable[[str], Awaitable[str]], clock: IReactorTime) -> None:
        self._ask = ask
        self._clock = clock
        self._at = float("-inf")
        self._backends: dict[str, BackendState] = {}

    async def backends(self) -> dict[str, BackendState]:
        """All backends by name, as they were at most `FRESH` seconds ago. Raises `HAProxyUnavailable`."""
        if self._clock.seconds() - self._at >= FRESH:
            answer = await self._ask(f"show stat -1 {_BACKENDS} -1")
            self._backends = {row["pxname"]: _backend(row) for row in rows(answer)}
            self._at = self._clock.seconds()
        return self._backends

    async def backend(self, name: str) -> BackendDetail:
        """One backend and its servers; nothing where HAProxy does not have it. Raises `HAProxyUnavailable`."""
        answer = await self._ask(f"show stat {name} {_BACKEND_AND_SERVERS} -1")
        if "#" not in answer[:1] and "No such" in answer:
            return BackendDetail(None, {})
        found = [row for row in rows(answer) if row["pxname"] == name]
        backend = next((_backend(row) for row in found if row["svname"] == "BACKEND"), None)
        servers = {row["svname"]: _server(row) for row in found if row["svname"] != "BACKEND"}
        return BackendDetail(backend, servers)

    async def info(self) -> dict[str, str]:
        """``show info`` by name: ``Version``, ``Pid``, ``Uptime_sec``, … Raises `HAProxyUnavailable`."""
        answer = await self._ask("show info")
        pairs = (line.partition(": ") for line in answer.splitlines())
        return {name: value.strip() for name, colon, value in pairs if colon}


def _number(row: dict[str, str], name: str) -> int:
    text = row.get(name) or "0"
    return int(text) if text.lstrip("-").isdigit() else 0


def _sum(row: dict[str, str], *names: str) -> int:
    return sum(_number(row, name) for name in names)


def _backend(row: dict[str, str]) -> BackendState:
    classes = {f"{digit}xx": f"hrsp_{digit}xx" for digit in range(1, 6)}
    return BackendState(
        status=row["status"],
        active_servers=_number(row, "act"),
        backup_servers=_number(row, "bck"),
        sessions=_number(row, "scur"),
        sessions_total=_number(row, "stot"),
        rate=_number(row, "rate"),
        queue=_number(row, "qcur"),
        bytes_in=_number(row, "bin"),
        bytes_out=_number(row, "bout"),
        errors=_sum(row, "econ", "eresp"),
        retries=_sum(row, "wretr", "wredis"),
        responses={name: _number(row, column) for name, column in classes.items() if row.get(column)},
    )


def _server(row: dict[str, str]) -> ServerState:
    return ServerState(
        status=row["status"],
        weight=_number(row, "weight"),
        address=row.get("addr") or "",
        sessions=_number(row, "scur"),
        sessions_total=_number(row, "stot"),
        rate=_number(row, "rate"),
        queue=_number(row, "qcur"),
        bytes_in=_number(row, "bin"),
        bytes_out=_number(row, "bout"),
        errors=_sum(row, "econ", "eresp"),
        check=(row.get("check_status") or "").lstrip("* "),
        check_words=row.get("last_chk") or row.get("check_desc") or "",
        changed_seconds=_number(row, "lastchg") if row.get("lastchg") else None,
    )
