"""The model: apps, tasks, health and deployments as frozen values."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from enum import Enum
from types import MappingProxyType
from typing import Any

from attrs import field, frozen

NOTHING: Mapping[str, Any] = MappingProxyType({})


class Networking(Enum):
    """The networking mode, with the names of Marathon 1.5 and later."""

    HOST = "host"
    BRIDGE = "container/bridge"
    CONTAINER = "container"


@frozen(kw_only=True)
class Port:
    """
    One port of an app.

    :param service_port: the port of the load balancer; 0 until one is assigned.
    :param container_port: the port inside the container; None with host networking.
    :param host_port: the requested port of the agent: 0 for any, None for none (container networking).
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

    :param protocol: ``HTTP``, ``HTTPS``, ``TCP`` or ``COMMAND``, or one of the first three with ``MESOS_``.
    :param command: the command of a ``COMMAND`` check.
    :param port_index: index of the app's port; None means the first.
    :param port: a fixed port, used instead of `port_index`.
    :param max_failures: consecutive failures after which the task is killed; 0 for never.
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
        """True if the agent runs the check, not Marathon: then there is no ``health_status_changed_event``."""
        return self.protocol.startswith("MESOS_") or self.protocol == "COMMAND"


@frozen(kw_only=True)
class App:
    """
    The definition of an app, at one version.

    :param id: the absolute id, with its leading slash.
    :param env: environment variables; values that are not strings (secrets) are kept but not passed to the process.
    :param minimum_health: the share of the instances that stays healthy during an upgrade, 0 to 1.
    :param over_capacity: the share of the instances that may run in addition during an upgrade, 0 to 1.
    :param backoff: seconds before a failed task is replaced, times `backoff_factor` per failure, up to `max_delay`.
    :param kill_grace: seconds between SIGTERM and SIGKILL; None for the runner's default.
    :param version: time of this definition, ISO 8601; `config_version` is the time of the last change other than
        of the number of instances, `scaled_version` of the last change of that number.
    :param rest: the fields that minimarathon does not interpret, returned unchanged.
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
        """The ports of the load balancer."""
        return tuple(port.service_port for port in self.ports)


@frozen(kw_only=True)
class Health:
    """
    The results of one check of one task; times are seconds since the epoch, None if it never happened.

    :param cause: the reason of the last failure.
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

    :param version: the version of the app that it was started with.
    :param state: the Mesos task state.
    :param ports: the host ports, one for each port of the app that has a host port.
    :param address: the task's own address with container or bridge networking, otherwise the host's.
    :param checks: the health checks of the version it was started with.
    :param health: the result of each check; None before the first.
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
        """True if the task is being killed."""
        return self.state == "TASK_KILLING"

    @property
    def healthy(self) -> bool | None:
        """True if every check succeeds; None without checks, or if a check has no result yet."""
        if not self.health or None in self.health:
            return None
        return all(result is not None and result.alive for result in self.health)

    @property
    def ready(self) -> bool:
        """True if the task runs and every check, if any, succeeds."""
        return self.state == "TASK_RUNNING" and (not self.health or self.healthy is True)


@frozen(kw_only=True)
class Failure:
    """The last failure of an app's task: ``lastTaskFailure``."""

    task: Task
    state: str
    message: str
    at: float


@frozen(kw_only=True)
class Action:
    """One action of a deployment: `kind` is ``StartApplication``, ``Scale…``, ``Restart…`` or ``StopApplication``."""

    kind: str
    app_id: str


@frozen(kw_only=True)
class Deployment:
    """
    A deployment.

    :param steps: the steps in order, each with its concurrent actions.
    :param step: index of the current step; ``len(steps)`` when all are complete.
    :param before: all apps before the deployment; `after` likewise.
    """

    id: str
    version: str
    steps: tuple[tuple[Action, ...], ...]
    step: int = 0
    before: tuple[App, ...] = field(default=(), repr=False)
    after: tuple[App, ...] = field(default=(), repr=False)

    @property
    def apps(self) -> frozenset[str]:
        """The ids of the apps that it changes and locks."""
        return frozenset(action.app_id for step in self.steps for action in step)


def iso(seconds: float) -> str:
    """Return a time in Marathon's format: UTC, with three digits of milliseconds."""
    moment = datetime.fromtimestamp(round(seconds * 1000) / 1000, UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"
