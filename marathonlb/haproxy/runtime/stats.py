"""
HAProxy's statistics of its backends and servers: ``show stat`` and ``show info``.

For all backends only one row each is requested, and the servers of one backend only: the cost of a page is
proportional to what it shows.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence

import msgspec
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater

from marathonlb.errors import HAProxyUnavailable

CACHE_SECONDS = 1.0
"""Minimum number of seconds for which the statistics of all backends are reused."""

MAX_PER_SECOND = 2_000
"""Maximum number of backends read per second: the statistics of more backends are reused for longer."""

SLICE = 500
"""Number of rows after which the reactor may do other work."""

_BACKENDS, _BACKEND_AND_SERVERS = 2, 2 | 4
"""Types of rows in ``show stat``."""

_CLASSES = {f"{digit}xx": f"hrsp_{digit}xx" for digit in range(1, 6)}

_STATS_SOCKET = re.compile(r"^\s*stats\s+socket\s+(?:unix@)?(?P<path>/\S+)", re.MULTILINE)


class BackendState(msgspec.Struct, frozen=True, kw_only=True):
    """
    A backend's state in HAProxy.

    :param status: ``UP``, or ``DOWN`` if no server accepts requests.
    :param active_servers: number of active servers that accept requests.
    :param backup_servers: number of backup servers, which are used only when all active ones are down.
    :param sessions: number of open sessions.
    :param sessions_total: number of sessions since HAProxy was loaded.
    :param rate: new sessions in the last second.
    :param queue: number of requests that wait for a server.
    :param errors: failed connections and invalid responses.
    :param retries: retried connections, and requests that were sent to another server.
    :param responses: responses by the class of their status, ``2xx`` for example; none in mode tcp.
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
    A server's state in HAProxy.

    :param status: ``UP``, ``DOWN``, ``NOLB``, ``MAINT``, ``DRAIN``, ``no check``, or a transition (``UP 1/3``).
    :param check: the result of the last health check (``L7OK``, ``L4CON``); empty without checks.
    :param check_words: HAProxy's explanation of that result.
    :param changed_seconds: seconds since the last change of the status; null if it never changed.
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


class StatsRow:
    """A row of ``show stat``. Thousands of rows have a hundred columns each, so they are not made into dictionaries."""

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
        """Return a column's number; 0 if it has none."""
        try:
            return int(self[name] or 0)
        except ValueError:
            return 0


def stats_socket(text: str) -> str | None:
    """Return the path of the first stats socket in a configuration; None if there is none."""
    match = _STATS_SOCKET.search(text)
    return match["path"] if match else None


def rows(reply: str) -> Iterator[StatsRow]:
    """
    Return the rows of a reply to ``show stat``, with columns by name; a column that a version lacks is empty.

    :raises HAProxyUnavailable: it is no such reply.
    """
    if not reply.startswith("# "):
        raise HAProxyUnavailable(reason=f"the reply to 'show stat' cannot be understood: {reply[:100]!r}")
    table = csv.reader(line for line in reply[2:].splitlines() if line)
    places = {name: place for place, name in enumerate(next(table, []))}
    return (StatsRow(places, fields) for fields in table)


class Statistics:
    """
    The statistics of the running HAProxy.

    :param ask: sends a command to the worker and returns the reply; raises `HAProxyUnavailable`.
    """

    def __init__(self, ask: Callable[[str], Awaitable[str]], clock: IReactorTime) -> None:
        self._ask = ask
        self._clock = clock
        self._at = float("-inf")
        self._backends: dict[str, BackendState] = {}

    async def backends(self) -> dict[str, BackendState]:
        """Return all backends by name, not older than `CACHE_SECONDS` or a little more. Raises `HAProxyUnavailable`."""
        if self._clock.seconds() - self._at >= max(CACHE_SECONDS, len(self._backends) / MAX_PER_SECOND):
            backends = {}
            reply = await self._ask(f"show stat -1 {_BACKENDS} -1")
            for number, row in enumerate(rows(reply), 1):
                backends[row["pxname"]] = _backend(row)
                if number % SLICE == 0:
                    await deferLater(self._clock, 0)
            self._backends, self._at = backends, self._clock.seconds()
        return self._backends

    async def backend(self, name: str) -> BackendDetail:
        """Return one backend and its servers; nothing if HAProxy does not have it. Raises `HAProxyUnavailable`."""
        reply = await self._ask(f"show stat {name} {_BACKEND_AND_SERVERS} -1")
        if "#" not in reply[:1] and "No such" in reply:
            return BackendDetail(None, {})
        own_rows = [row for row in rows(reply) if row["pxname"] == name]
        backend = next((_backend(row) for row in own_rows if row["svname"] == "BACKEND"), None)
        servers = {row["svname"]: _server(row) for row in own_rows if row["svname"] != "BACKEND"}
        return BackendDetail(backend, servers)

    async def info(self) -> dict[str, str]:
        """Return ``show info`` by name: ``Version``, ``Pid``, ``Uptime_sec``, … Raises `HAProxyUnavailable`."""
        reply = await self._ask("show info")
        pairs = (line.partition(": ") for line in reply.splitlines())
        return {name: value.strip() for name, colon, value in pairs if colon}


def _sum(row: StatsRow, *names: str) -> int:
    return sum(map(row.number, names))


def _backend(row: StatsRow) -> BackendState:
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


def _server(row: StatsRow) -> ServerState:
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
