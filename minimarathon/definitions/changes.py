"""A new definition of an app compared with the one before: service ports, version, kind of change."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

from attrs import evolve

from minimarathon.model import App, Port

#: Where Marathon begins to hand out service ports (its ``--local_port_min``).
FIRST_SERVICE_PORT = 10000


def free_service_ports(used: set[int]) -> Iterator[int]:
    """Service ports that nobody has, from `FIRST_SERVICE_PORT` upward, without end."""
    return (port for port in count(FIRST_SERVICE_PORT) if port not in used)


def with_service_ports(
    ports: tuple[Port, ...], had: tuple[Port, ...], free: Iterator[int]
) -> tuple[Port, ...]:
    """Give each port a service port: its own, else the app's former one in that place, else a free one."""
    given = []
    for index, port in enumerate(ports):
        if port.service_port == 0:
            kept = had[index].service_port if index < len(had) else 0
            port = evolve(port, service_port=kept or next(free))
        given.append(port)
    return tuple(given)


def versioned(had: App | None, app: App, now: str, restart: bool) -> tuple[str | None, App]:
    """
    Return the kind of change, and the app with its resulting versions.

    :param now: the version of the change.
    :param restart: replace the tasks though nothing differs.
    :return: the last action that it takes, None where nothing differs.
    """
    fresh = evolve(app, version=now, config_version=now, scaled_version=now)
    if had is None:
        return "ScaleApplication", fresh
    as_before = evolve(
        app, version=had.version, config_version=had.config_version, scaled_version=had.scaled_version
    )
    if restart:
        return "RestartApplication", fresh
    if as_before == had:
        return None, had
    if evolve(as_before, instances=had.instances) == had:
        return "ScaleApplication", evolve(as_before, version=now, scaled_version=now)
    return "RestartApplication", fresh
