"""
The running apps as frozen values: an `App` with its ports, checks and `Task`s.

Marathon's JSON does not leave `marathonlb.marathon.parsing`, so the shapes that differ between Marathon's versions
(``ports``, ``portDefinitions``, port mappings, ``ipAddress``, ``networks``) are one shape here. The values are
`msgspec.Struct`: at 100,000 tasks their size and the speed of making them matter.
"""

from __future__ import annotations

from enum import Enum

import msgspec


class Networking(Enum):
    """How a task's ports are reached (Marathon: ``networks[].mode`` from 1.5 on, ``docker.network`` before)."""

    HOST = "host"
    BRIDGE = "bridge"
    CONTAINER = "container"


class Port(msgspec.Struct, frozen=True, gc=False):
    """
    One port of an app, in the order of its definition.

    :param service_port: Marathon's service port; 0 if it gives none.
    :param container_port: the port inside the container (container networking); None in the other modes.
    :param on_host: True if the port has a place in each task's ``ports``. A mapping without ``hostPort`` in container
        networking has none.
    :param protocol: ``tcp``, ``udp`` or ``udp,tcp``.
    """

    service_port: int = 0
    container_port: int | None = None
    on_host: bool = True
    protocol: str = "tcp"
    name: str | None = None


class HealthCheck(msgspec.Struct, frozen=True, gc=False):
    """
    One of an app's health checks; durations in seconds (Marathon: ``healthChecks[]``).

    :param protocol: ``HTTP``, ``HTTPS``, ``TCP``, ``COMMAND``, ``MESOS_HTTP``, ``MESOS_HTTPS``, ``MESOS_TCP``.
    :param port_index: index of the port of the app that is checked; None if Marathon names none.
    :param port: a fixed port that is checked instead.
    """

    protocol: str = "HTTP"
    path: str | None = None
    port_index: int | None = None
    port: int | None = None
    grace_period_seconds: int = 300
    interval_seconds: int = 60
    timeout_seconds: int = 20
    max_consecutive_failures: int = 3
    ignore_http1xx: bool = False


class Task(msgspec.Struct, frozen=True, gc=False):
    """
    One task of an app, or one instance of a pod.

    :param host: the agent's host name or address; None before it is placed.
    :param ports: host ports, in the order of the app's ports that are `Port.on_host`.
    :param addresses: the task's own addresses (IP per task; in bridge mode they are not routable).
    :param state: Mesos's state (``TASK_RUNNING``); None with Marathons that send none.
    :param alive: True if at least one health result says alive; None if there is no result.
    :param ready: True if every readiness check has passed; None if no result is expected (the app is not deployed).
    """

    id: str
    host: str | None = None
    ports: tuple[int, ...] = ()
    addresses: tuple[str, ...] = ()
    state: str | None = None
    alive: bool | None = None
    ready: bool | None = None
    version: str = ""


class App(msgspec.Struct, frozen=True):
    """
    One app or pod, with its tasks in the order of their ids (Marathon's own order changes).

    :param id: absolute, with its leading slash; before that ``name:`` if its cluster has a name (see `qualified`).
    :param labels: only the ``HAPROXY_`` labels, without those with a null value.
    :param version: Marathon's ``version`` (ISO 8601, UTC); empty if it sends none.
    :param config_changed_at: ``versionInfo.lastConfigChangeAt``, else the version; the older app wins a collision.
    :param instances: number of tasks that the definition asks for.
    """

    id: str
    labels: dict[str, str] = {}
    networking: Networking = Networking.HOST
    ports: tuple[Port, ...] = ()
    health_checks: tuple[HealthCheck, ...] = ()
    tasks: tuple[Task, ...] = ()
    instances: int = 0
    version: str = ""
    config_changed_at: str = ""


def qualified(cluster: str, app_id: str) -> str:
    """Return an app's id among several clusters, ``name:/shop/web``; the plain id if its cluster has no name."""
    return f"{cluster}:{app_id}" if cluster else app_id


def cluster_of(app_id: str) -> str:
    """Return the name of an app's cluster; empty if the cluster has none."""
    return app_id.partition("/")[0].removesuffix(":")


def id_in_cluster(app_id: str) -> str:
    """Return an app's id as its own Marathon knows it."""
    return app_id[len(app_id.partition("/")[0]) :]


def shown_cluster(cluster: str) -> str:
    """Return a cluster as messages name it."""
    return f"the cluster {cluster}" if cluster else "the cluster without a name"
