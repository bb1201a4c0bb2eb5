"""The state of minimarathon as frozen values: apps as their owners want them, and tasks as they are."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from enum import Enum
from types import MappingProxyType
from typing import Any

from attrs import field, frozen

NOTHING: Mapping[str, Any] = MappingProxyType({})


class Networking(Enum):
    """How a task's ports are reached, by the word of Marathon 1.5 and later."""

    HOST = "host"
    BRIDGE = "container/bridge"
    CONTAINER = "container"


@frozen(kw_only=True)
class Port:
    """
    One port of an app.

    :param service_port: what a load balancer offers; 0 until one is assigned.
    :param container_port: inside the container; None with host networking.
    :param host_port: what the owner asks for on the agent: 0 any, None not at all (container networking).
    """

    service_port: int = 0
    container_port: int | None = None
    host_port: int | None = 0
    protocol: str = "tcp"
    name: str | None = None
    labels: Mapping[str, str] = NOTHING


@frozen(kw_only=True)
class HealthCheck:
    """
    One health check; durations in seconds.

    :param protocol: ``HTTP``, ``HTTPS``, ``TCP``, ``COMMAND`` or one of them with ``MESOS_``.
    :param command: for ``COMMAND``.
    :param port_index: which of the app's ports; None means the first.
    :param port: a fixed port instead.
    :param max_failures: consecutive failures that kill the task; 0 never does.
    """

    protocol: str = "HTTP"
    path: str | None = None
    command: str | None = None
    port_index: int | None = None
    port: int | None = None
    grace: float = 300
    interval: float = 60
    timeout: float = 20
    max_failures: int = 3
    ignore_http1xx: bool = False

    @property
    def by_mesos(self) -> bool:
        """The agent checks, not Marathon: such checks make no ``health_status_changed_event``."""
        return self.protocol.startswith("MESOS_") or self.protocol == "COMMAND"


@frozen(kw_only=True)
class App:
    """
    An app as its owner wants it, at one version.

    :param id: absolute, with its leading slash.
    :param env: names to texts; what is no text (a secret) is kept but not given to the process.
    :param minimum_health: the part of the instances that stays healthy in an upgrade, 0 to 1.
    :param over_capacity: the part of the instances that may run beside them in an upgrade, 0 to 1.
    :param backoff: seconds before what died is started again; times `backoff_factor` each time, to `max_delay`.
    :param kill_grace: seconds between SIGTERM and SIGKILL; None leaves it to the runner.
    :param version: when this definition was given, ISO 8601; `config_version` when it last changed more than
        the number of instances, `scaled_version` when that last changed.
    :param rest: what the owner wrote and nothing here understands, handed back as it came.
    """

    id: str
    cmd: str | None = None
    args: tuple[str, ...] | None = None
    env: Mapping[str, Any] = NOTHING
    labels: Mapping[str, str] = NOTHING
    instances: int = 1
    ports: tuple[Port, ...] = ()
    require_ports: bool = False
    networking: Networking = Networking.HOST
    network_name: str | None = None
    container: Mapping[str, Any] | None = None
    health_checks: tuple[HealthCheck, ...] = ()
    minimum_health: float = 1.0
    over_capacity: float = 1.0
    backoff: float = 1.0
    backoff_factor: float = 1.15
    max_delay: float = 3600
    kill_grace: float | None = None
    kill_selection: str = "YOUNGEST_FIRST"
    version: str = ""
    config_version: str = ""
    scaled_version: str = ""
    rest: Mapping[str, Any] = NOTHING

    @property
    def service_ports(self) -> tuple[int, ...]:
        """The ports a load balancer offers."""
        return tuple(port.service_port for port in self.ports)


@frozen(kw_only=True)
class Health:
    """
    The results of one check of one task; times are seconds since the epoch, None where it never happened.

    :param cause: why the last one failed.
    """

    alive: bool = False
    failures: int = 0
    first_success: float | None = None
    last_success: float | None = None
    last_failure: float | None = None
    cause: str | None = None


@frozen(kw_only=True)
class Task:
    """
    One task; times are seconds since the epoch.

    :param version: the app's version it was started with.
    :param state: Mesos's word.
    :param ports: host ports, a slot for each of the app's ports that has one.
    :param address: the task's own address with container or bridge networking, else the host's.
    :param checks: the health checks of the version it was started with.
    :param health: a result for each of them, None before the first.
    """

    id: str
    instance_id: str
    app_id: str
    version: str
    host: str
    address: str
    ports: tuple[int, ...] = ()
    service_ports: tuple[int, ...] = ()
    state: str = "TASK_STAGING"
    staged_at: float = 0
    started_at: float | None = None
    checks: tuple[HealthCheck, ...] = ()
    health: tuple[Health | None, ...] = ()

    @property
    def killing(self) -> bool:
        """It is told to end."""
        return self.state == "TASK_KILLING"

    @property
    def healthy(self) -> bool | None:
        """Every check says alive; None while one has no result, and where there is no check."""
        if not self.health or None in self.health:
            return None
        return all(one is not None and one.alive for one in self.health)

    @property
    def ready(self) -> bool:
        """It runs, and every check it has says alive."""
        return self.state == "TASK_RUNNING" and (not self.health or self.healthy is True)


@frozen(kw_only=True)
class Failure:
    """The last task of an app that failed, as ``lastTaskFailure`` tells it."""

    task: Task
    state: str
    message: str
    at: float


@frozen(kw_only=True)
class Action:
    """One thing a deployment does: `kind` is ``StartApplication``, ``Scale…``, ``Restart…`` or ``StopApplication``."""

    kind: str
    app_id: str


@frozen(kw_only=True)
class Deployment:
    """
    A change on its way.

    :param steps: one after the other, each with actions that go on at once.
    :param step: which of them is under way, from 0; ``len(steps)`` when all are done.
    :param before: every app before it; `after` likewise.
    """

    id: str
    version: str
    steps: tuple[tuple[Action, ...], ...]
    step: int = 0
    before: tuple[App, ...] = field(default=(), repr=False)
    after: tuple[App, ...] = field(default=(), repr=False)

    @property
    def apps(self) -> frozenset[str]:
        """The ids of the apps it holds."""
        return frozenset(action.app_id for step in self.steps for action in step)


def iso(seconds: float) -> str:
    """Marathon's way to write a time: UTC, with three digits of milliseconds."""
    at = datetime.fromtimestamp(round(seconds * 1000) / 1000, UTC)
    return at.strftime("%Y-%m-%dT%H:%M:%S.") + f"{at.microsecond // 1000:03d}Z"
