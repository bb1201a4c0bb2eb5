"""
The servers of a backend: which tasks are served, and at which address and port.

The nth port of a task belongs to the nth port of the app; a port mapping without a host port takes no slot.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable
from functools import lru_cache
from itertools import islice
from operator import attrgetter

import msgspec

from marathonlb.marathon.model import App, Networking, Task

SERVED_STATES = frozenset({None, "TASK_RUNNING", "TASK_LOST", "TASK_UNREACHABLE"})
"""TASK_LOST and TASK_UNREACHABLE may be alive behind a partition; old versions of Marathon report no state."""

_MAX_SERVERS = 32767
"""Maximum number of servers in one backend; also the largest server id."""

Resolve = Callable[[str], str | None]
"""Returns the address to connect to for an agent's host, or None if it cannot be resolved."""

_ON_HOST = attrgetter("on_host")
_UNCLEAN = re.compile(r"[^A-Za-z0-9-]", re.ASCII)


class Server(msgspec.Struct, frozen=True, gc=False):
    """
    One server of a backend.

    :param id: 1 to 32767, stable for a name, unique in its backend.
    :param host: the agent's host, or the task's address in container networking.
    :param address: the address to connect to; IPv6 without brackets.
    :param cookie: the first ten hex digits of the name's SHA-1.
    :param check_port: the port of health checks; the server's own unless the check names another.
    :param weight: the weight of the app's label, 0 drains; None without a label.
    """

    name: str
    id: int
    host: str
    address: str
    port: int
    cookie: str
    check_port: int
    task_id: str
    weight: int | None = None


def is_served(task: Task, *, need_health: bool) -> bool:
    """
    Return True if a task is a server of its app's backends.

    :param need_health: True if the app has health checks and ``--health-check`` is given.
    """
    if task.state not in SERVED_STATES or not task.host:
        return False
    if task.ready is False:
        return False
    return task.alive is True if need_health else True


def slot_of(app: App, index: int) -> int:
    """Return the place of the app's nth port in each task's ``ports``."""
    return sum(map(_ON_HOST, app.ports[:index]))


def address_of(app: App, task: Task, index: int, slot: int | None = None) -> tuple[str, int] | None:
    """
    Return the host and port at which a task serves the app's nth port; None if it has none (yet).

    :param slot: the result of `slot_of`, if known.
    """
    number = port_at(app, task, index, slot)
    host = task.host
    if app.networking is Networking.CONTAINER:
        host = task.addresses[0] if task.addresses else None
    return (host, number) if host and number else None


def port_at(app: App, task: Task, index: int, slot: int | None = None) -> int | None:
    """
    Return the port number of the app's nth port of a task: the container's in container networking, else the agent's.

    A container port that Marathon chooses is the same inside and outside.

    :param slot: the result of `slot_of`, if known.
    """
    port = app.ports[index]
    if app.networking is Networking.CONTAINER and (port.container_port or not port.on_host):
        return port.container_port
    slot = slot_of(app, index) if slot is None else slot
    return task.ports[slot] or None if slot < len(task.ports) else None


def servers_of(
    app: App,
    index: int,
    resolve: Resolve,
    *,
    need_health: bool,
    check_port: Callable[[Task], int | None],
    slot: int | None = None,
) -> tuple[Server, ...]:
    """
    Return the servers of the app's nth port, sorted by name, since Marathon's order of tasks changes.

    :param resolve: returns the address of an agent's host.
    :param check_port: returns the port of a task's health checks, if it is not the served one.
    :param slot: the result of `slot_of`, if known.
    """
    servers: list[Server] = []
    slot = slot_of(app, index) if slot is None else slot
    for task in app.tasks:
        if not is_served(task, need_health=need_health):
            continue
        endpoint = address_of(app, task, index, slot)
        if endpoint is None:
            continue
        host, port = endpoint
        address = resolve(host)
        if address is None:
            continue
        name, cookie = _names(host, address, port)
        servers.append(Server(name, 0, host, address, port, cookie, check_port(task) or port, task.id))
    return distinct(servers)


def server_name(host: str, address: str, port: int) -> str:
    """Return a server's name: host, address and port joined by ``_``, equal host and address once, cleaned."""
    return _names(host, address, port)[0]


@lru_cache(maxsize=200_000)
def _names(host: str, address: str, port: int) -> tuple[str, str]:
    joined = f"{host}_{port}" if host == address else f"{host}_{address}_{port}"
    name = _UNCLEAN.sub("_", joined)
    return name, hashlib.sha1(name.encode(), usedforsecurity=False).hexdigest()[:10]


def distinct(servers: Iterable[Server]) -> tuple[Server, ...]:
    """
    Return servers sorted by name, with ids; of several at one host, address and port the last one.

    Where cleaned names are equal (hosts ``a.b`` and ``a_b``) all but the first get a digest in their name.
    """
    places = {(server.host, server.address, server.port): server for server in servers}
    named: dict[str, Server] = {}
    for place in sorted(places):
        server = places[place]
        name, cookie = _names(*place)
        if name in named:
            digest = hashlib.sha256(" ".join(map(str, place)).encode()).hexdigest()[:16]
            name = f"{name}:{digest}"  # a colon, which no cleaned name contains
            cookie = hashlib.sha1(name.encode(), usedforsecurity=False).hexdigest()[:10]
        if name != server.name:
            server = msgspec.structs.replace(server, name=name, cookie=cookie)
        named[name] = server
    return with_ids(named[name] for name in sorted(named))


def with_ids(servers: Iterable[Server]) -> tuple[Server, ...]:
    """Return servers, sorted by name, with ids made of their names."""
    taken: set[int] = set()
    numbered = []
    for server in islice(servers, _MAX_SERVERS):
        number = int(server.cookie, 16) % 32767 + 1
        while number in taken:
            number = number % 32767 + 1
        taken.add(number)
        numbered.append(
            Server(
                server.name,
                number,
                server.host,
                server.address,
                server.port,
                server.cookie,
                server.check_port,
                server.task_id,
                server.weight,
            )
        )
    return tuple(numbered)
