"""Compares a new definition of an app with the previous one: service ports, version, kind of change."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

from attrs import evolve

from minimarathon.model import App, Port

#: The first service port that Marathon assigns (its ``--local_port_min``).
FIRST_SERVICE_PORT = 10000


def free_service_ports(used: set[int]) -> Iterator[int]:
    """Return an unlimited iterator of unused service ports, from `FIRST_SERVICE_PORT` upward."""
    return (port for port in count(FIRST_SERVICE_PORT) if port not in used)


def with_service_ports(
    ports: tuple[Port, ...], previous: tuple[Port, ...], free: Iterator[int]
) -> tuple[Port, ...]:
    """Assign each port a service port: its own, else the app's previous one at that index, else a free one."""
    assigned = []
    for index, port in enumerate(ports):
        if port.service_port == 0:
            kept = previous[index].service_port if index < len(previous) else 0
            port = evolve(port, service_port=kept or next(free))
        assigned.append(port)
    return tuple(assigned)


def versioned(previous: App | None, app: App, now: str, restart: bool) -> tuple[str | None, App]:
    """
    Return the kind of change, and the app with its resulting versions.

    :param now: the version of the change.
    :param restart: replace the tasks even if nothing differs.
    :return: the kind of the last action needed, None if nothing differs; and the app.
    """
    changed = evolve(app, version=now, config_version=now, scaled_version=now)
    if previous is None:
        return "ScaleApplication", changed
    unchanged = evolve(
        app,
        version=previous.version,
        config_version=previous.config_version,
        scaled_version=previous.scaled_version,
    )
    if restart:
        return "RestartApplication", changed
    if unchanged == previous:
        return None, previous
    if evolve(unchanged, instances=previous.instances) == previous:
        return "ScaleApplication", evolve(unchanged, version=now, scaled_version=now)
    return "RestartApplication", changed
