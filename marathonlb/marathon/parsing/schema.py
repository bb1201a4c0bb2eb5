"""
The shapes of Marathon's JSON, one struct per shape, holding only what is used.

They take in every version at once: what one version leaves out, writes as null or has moved elsewhere is optional
here, and `marathonlb.marathon.parsing.apps` decides. A number outside of what it can be (a port of 70000) does not fit,
and costs the app or task that holds it, alone.
"""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, Raw, UnsetType

PortNumber = Annotated[int, Meta(ge=0, le=65535)]
LabelValue = str | bool | int | float | None


class Wire(msgspec.Struct, gc=False, rename="camel"):
    """What every shape shares: Marathon's camel case, and no part in garbage collection (there are no cycles)."""


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
    """``container.docker``; both fields are gone in 1.5."""

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
    """What every kind of health check says about its rhythm; seconds, but for the failures."""

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
    """``tasks[]``; reserved and inactive tasks have little more than an id."""

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
    """An app without its tasks: what all forms of it share."""

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
    """An app whose tasks all fit."""

    tasks: tuple[WireTask, ...] | None | UnsetType = UNSET


class PatchyApp(AppHead):
    """An app that does not fit as it is: its tasks are decoded one by one, and numbers may be written as texts."""

    tasks: tuple[Raw, ...] | None | UnsetType = UNSET


class WireId(Wire):
    """Enough of anything to say which one it was."""

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
    """A pod container's ``healthCheck.http`` (and ``.tcp``, which has the endpoint alone)."""

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
