"""
The shapes of Marathon's JSON, one struct per shape, holding only what is used.

Each struct covers all versions: a field that one version omits, writes as null or has moved is optional here, and
`marathonlb.marathon.parsing.apps` decides. A number out of range (a port of 70000) does not fit; only the app or task
that holds it is then unreadable.
"""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, Raw, UnsetType

PortNumber = Annotated[int, Meta(ge=0, le=65535)]
LabelValue = str | bool | int | float | None


class Wire(msgspec.Struct, gc=False, rename="camel"):
    """The base of all shapes: names in camel case, and no garbage collection, since there are no cycles."""


class PortDefinition(Wire):
    """``portDefinitions[]`` (Marathon ≥ 1.0)."""

    port: PortNumber | None = None
    protocol: str | None = None
    name: str | None = None


class PortMapping(Wire):
    """``container.portMappings[]`` (≥ 1.5) and ``container.docker.portMappings[]`` (before)."""

    container_port: PortNumber | None = None
    host_port: PortNumber | None = None
    service_port: PortNumber | None = None
    protocol: str | None = None
    name: str | None = None


class Docker(Wire):
    """``container.docker``; Marathon 1.5 removed both fields."""

    network: str | None = None
    port_mappings: tuple[PortMapping, ...] | None = None


class Container(Wire):
    """``container``."""

    docker: Docker | None = None
    port_mappings: tuple[PortMapping, ...] | None = None


class DiscoveryPort(Wire):
    """``ipAddress.discovery.ports[]`` (0.14 to 1.4)."""

    number: PortNumber
    name: str | None = None
    protocol: str | None = None


class Discovery(Wire):
    """``ipAddress.discovery``."""

    ports: tuple[DiscoveryPort, ...] | None = None


class IPAddress(Wire):
    """``ipAddress``: an IP per task, before 1.5."""

    discovery: Discovery | None = None


class Network(Wire):
    """``networks[]`` (≥ 1.5); the mode of an entry without one is ``container``."""

    mode: str | None = None


class Durations(Wire):
    """The intervals and limits of every kind of health check, in seconds except the number of failures."""

    grace_period_seconds: float | None = None
    interval_seconds: float | None = None
    timeout_seconds: float | None = None
    max_consecutive_failures: int | None = None


class Check(Durations):
    """``healthChecks[]``."""

    protocol: str | None = None
    path: str | None = None
    port_index: int | None = None
    port: PortNumber | None = None
    ignore_http1xx: bool | None = msgspec.field(default=None, name="ignoreHttp1xx")


class Readiness(Wire):
    """``readinessCheckResults[]``."""

    task_id: str | None = None
    ready: bool | None = None


class HealthResult(Wire):
    """``tasks[].healthCheckResults[]``."""

    alive: bool | None = None


class Address(Wire):
    """``tasks[].ipAddresses[]``."""

    ip_address: str | None = None


class WireTask(Wire):
    """``tasks[]``; reserved and inactive tasks have hardly more than an id."""

    id: str
    host: str | None = None
    ports: tuple[PortNumber, ...] | None = None
    ip_addresses: tuple[Address, ...] | None = None
    state: str | None = None
    version: str | None = None
    health_check_results: tuple[HealthResult | None, ...] | None = None


class VersionInfo(Wire):
    """``versionInfo``."""

    last_config_change_at: str | None = None


class AppHead(Wire):
    """An app without its tasks, common to both forms of it."""

    id: str
    labels: dict[str, LabelValue] | None = None
    container: Container | None = None
    networks: tuple[Network, ...] | None = None
    ip_address: IPAddress | None = None
    ports: tuple[PortNumber, ...] | None = None
    port_definitions: tuple[PortDefinition, ...] | None = None
    health_checks: tuple[Check, ...] | None = None
    readiness_checks: tuple[Raw, ...] | None = None
    readiness_check_results: tuple[Readiness, ...] | None = None
    deployments: tuple[Raw, ...] | None = None
    instances: int | None = None
    version: str | None = None
    version_info: VersionInfo | None = None
    tasks_running: int | None = None


class WireApp(AppHead):
    """An app whose tasks all fit the schema."""

    tasks: tuple[WireTask, ...] | None | UnsetType = UNSET


class PatchyApp(AppHead):
    """An app that does not fit `WireApp`: its tasks are decoded one by one, and numbers may be strings."""

    tasks: tuple[Raw, ...] | None | UnsetType = UNSET


class WireId(Wire):
    """The id of an app, pod or task that cannot be decoded otherwise."""

    id: str


class AppList(Wire):
    """``/v2/apps``."""

    apps: list[Raw]


class OneApp(Wire):
    """``/v2/apps/{id}``."""

    app: Raw


class Endpoint(Wire):
    """A pod's ``spec.containers[].endpoints[]``."""

    name: str | None = None
    container_port: PortNumber | None = None
    host_port: PortNumber | None = None
    protocol: tuple[str, ...] | None = None


class HTTPProbe(Wire):
    """A pod container's ``healthCheck.http`` (and ``.tcp``, which has only the endpoint)."""

    endpoint: str | None = None
    path: str | None = None
    scheme: str | None = None


class PodCheck(Durations):
    """A pod container's ``healthCheck``."""

    http: HTTPProbe | None = None
    tcp: HTTPProbe | None = None


class PodContainer(Wire):
    """A pod's ``spec.containers[]``."""

    name: str | None = None
    endpoints: tuple[Endpoint, ...] | None = None
    health_check: PodCheck | None = None


class Scaling(Wire):
    """A pod's ``spec.scaling``."""

    instances: int | None = None


class PodSpec(Wire):
    """A pod's ``spec``."""

    labels: dict[str, LabelValue] | None = None
    networks: tuple[Network, ...] | None = None
    containers: tuple[PodContainer, ...] | None = None
    scaling: Scaling | None = None
    version: str | None = None


class EndpointStatus(Wire):
    """``instances[].containers[].endpoints[]``."""

    name: str | None = None
    allocated_host_port: PortNumber | None = None
    healthy: bool | None = None


class Condition(Wire):
    """``instances[].containers[].conditions[]``."""

    name: str | None = None
    value: str | bool | None = None


class ContainerStatus(Wire):
    """``instances[].containers[]``."""

    name: str | None = None
    status: str | None = None
    endpoints: tuple[EndpointStatus, ...] | None = None
    conditions: tuple[Condition, ...] | None = None


class NetworkStatus(Wire):
    """``instances[].networks[]``."""

    addresses: tuple[str, ...] | None = None


class WireInstance(Wire):
    """A pod's ``instances[]``."""

    id: str
    status: str | None = None
    agent_hostname: str | None = None
    networks: tuple[NetworkStatus, ...] | None = None
    containers: tuple[ContainerStatus, ...] | None = None
    spec_reference: str | None = None


class WirePod(Wire):
    """One entry of ``/v2/pods::status``."""

    id: str
    spec: PodSpec
    instances: tuple[Raw, ...] | None = None
