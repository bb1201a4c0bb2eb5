"""
HAProxy's own view of its backends and servers: ``show stat`` and ``show info``.

Of the whole cluster one row for each backend is asked for, and the servers of one backend alone: a page costs what it
shows.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence

import msgspec
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater

from marathonlb.errors import HAProxyUnavailable

FRESH = 1.0
"""Seconds that an answer about all backends is good for."""

A_SECOND = 2_000
"""Of more backends than these it is good for longer: so many are read in a second at most."""

SLICE = 500
"""After so many rows whatever else is due comes first."""

_BACKENDS, _BACKEND_AND_SERVERS = 2, 2 | 4
"""The types of ``show stat``."""

_CLASSES = {f"{digit}xx": f"hrsp_{digit}xx" for digit in range(1, 6)}

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


class Row:
    """A row of ``show stat``. There are thousands of them with a hundred columns each, so none is made a dictionary."""

    __slots__ = ("_fields", "_places")

    def __init__(self, places: Mapping[str, int], fields: Sequence[str]) -> None:
        self._places = places
        self._fields = fields

    def __getitem__(self, name: str) -> str:
        try:
            return self._fields[self._places[name]]
        except LookupError:
            return ""

    def number(self, name: str) -> int:
        """A column's number; 0 where it has none."""
        try:
            return int(self[name] or 0)
        except ValueError:
            return 0


def stats_socket(text: str) -> str | None:
    """The path of the first stats socket that a configuration has; None where it has none."""
    found = _STATS_SOCKET.search(text)
    return found["path"] if found else None


def rows(answer: str) -> Iterator[Row]:
    """
    The rows of ``show stat``, each with its columns by name; a column that a version lacks is empty.

    :raises HAProxyUnavailable: it is no such answer.
    """
    if not answer.startswith("# "):
        raise HAProxyUnavailable(
            reason=f"an answer to 'show stat' that cannot be understood: {answer[:100]!r}"
        )
    table = csv.reader(line for line in answer[2:].splitlines() if line)
    places = {name: place for place, name in enumerate(next(table, []))}
    return (Row(places, fields) for fields in table)


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
        """All backends by name, as they were `FRESH` seconds ago or a little more. Raises `HAProxyUnavailable`."""
        if self._clock.seconds() - self._at >= max(FRESH, len(self._backends) / A_SECOND):
            found = {}
            answer = await self._ask(f"show stat -1 {_BACKENDS} -1")
            for number, row in enumerate(rows(answer), 1):
                found[row["pxname"]] = _backend(row)
                if number % SLICE == 0:
                    await deferLater(self._clock, 0)
            self._backends, self._at = found, self._clock.seconds()
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


def _sum(row: Row, *names: str) -> int:
    return sum(map(row.number, names))


def _backend(row: Row) -> BackendState:
    return BackendState(
        status=row["status"],
        active_servers=row.number("act"),
        backup_servers=row.number("bck"),
        sessions=row.number("scur"),
        sessions_total=row.number("stot"),
        rate=row.number("rate"),
        queue=row.number("qcur"),
        bytes_in=row.number("bin"),
        bytes_out=row.number("bout"),
        errors=_sum(row, "econ", "eresp"),
        retries=_sum(row, "wretr", "wredis"),
        responses={name: row.number(column) for name, column in _CLASSES.items() if row[column]},
    )


def _server(row: Row) -> ServerState:
    return ServerState(
        status=row["status"],
        weight=row.number("weight"),
        address=row["addr"],
        sessions=row.number("scur"),
        sessions_total=row.number("stot"),
        rate=row.number("rate"),
        queue=row.number("qcur"),
        bytes_in=row.number("bin"),
        bytes_out=row.number("bout"),
        errors=_sum(row, "econ", "eresp"),
        check=row["check_status"].lstrip("* "),
        check_words=row["last_chk"] or row["check_desc"],
        changed_seconds=row.number("lastchg") if row["lastchg"] else None,
    )
