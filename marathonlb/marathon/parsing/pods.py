"""
Parse pods (Marathon ≥ 1.4) into apps: one `Port` per endpoint, one `Task` per instance.

A pod has no service ports; they come from its labels, or from the range for IP per task.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice

import msgspec
from msgspec import Raw

from marathonlb.base import limits
from marathonlb.marathon.interfaces import UnreadableApp, UnreadableTask
from marathonlb.marathon.model import App, HealthCheck, Networking, Port, Task
from marathonlb.marathon.parsing.apps import (
    Body,
    DoesNotFit,
    Parsed,
    absolute,
    decode_frame,
    durations_of,
    is_name,
    labels_of,
    name_of,
    no_name,
)
from marathonlb.marathon.parsing.ports import networking_of, port_name, protocol_of
from marathonlb.marathon.parsing.schema import (
    ContainerStatus,
    EndpointStatus,
    PodContainer,
    WireInstance,
    WirePod,
)

_frame = msgspec.json.Decoder(list[Raw])
_frame_of_one = msgspec.json.Decoder(Raw)
_pod = msgspec.json.Decoder(WirePod)
_instance = msgspec.json.Decoder(WireInstance)

_SERVED = ("TASK_RUNNING", "TASK_UNREACHABLE", "TASK_LOST")
"""The states of containers that decide the state of their instance, the best first."""

_STATES = {"PENDING": "TASK_STAGING", "STAGING": "TASK_STAGING", "TERMINAL": "TASK_KILLING"}
"""The states of an instance that decide its task's state; otherwise its containers decide."""


def parse_pods(body: Body) -> Parsed:
    """
    Parse the answer of ``/v2/pods::status``, a list.

    :raises marathonlb.marathon.parsing.apps.UnusableAnswer: nothing of it can be used.
    """
    raws = decode_frame(_frame, body, "a list of pods")
    return _read(raws)


def parse_pod(body: Body) -> Parsed:
    """
    Parse the answer of ``/v2/pods/{id}::status`` into one pod or one unreadable pod.

    :raises marathonlb.marathon.parsing.apps.UnusableAnswer: nothing of it can be used.
    """
    return _read([decode_frame(_frame_of_one, body, "a pod")])


def _read(raws: Sequence[Raw]) -> Parsed:
    apps: list[App] = []
    unreadable: list[UnreadableApp] = []
    left_out: list[UnreadableTask] = []
    for index, raw in enumerate(raws):
        try:
            wire = _pod.decode(raw)
            apps.append(_app(wire, absolute(wire.id), left_out))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, DoesNotFit) as error:
            unreadable.append(UnreadableApp(app_id=name_of(raw, index), reason=str(error)))
    return Parsed(apps=tuple(apps), unreadable=tuple(unreadable), left_out=tuple(left_out))


def _app(wire: WirePod, app_id: str, left_out: list[UnreadableTask]) -> App:
    spec = wire.spec
    networking = networking_of(spec.networks) or Networking.HOST
    containers = spec.containers or ()
    tasks: list[Task] = []
    for index, raw in enumerate(wire.instances or ()):
        try:
            tasks.append(_task(_instance.decode(raw), containers))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, DoesNotFit) as error:
            left_out.append(UnreadableTask(app_id=app_id, task_id=f"#{index + 1}", reason=str(error)))
    version = spec.version or ""
    return App(
        id=app_id,
        labels=labels_of(spec.labels),
        networking=networking,
        ports=tuple(islice(_ports(containers, networking), limits.PORTS + 1)),
        health_checks=tuple(islice(_checks(containers), limits.CHECKS)),
        tasks=tuple(sorted(tasks, key=lambda task: task.id)),
        instances=(spec.scaling and spec.scaling.instances) or 0,
        version=version,
        config_changed_at=version,
    )


def _ports(containers: Iterable[PodContainer], networking: Networking) -> Iterable[Port]:
    inside = networking is Networking.CONTAINER
    for container in containers:
        for endpoint in container.endpoints or ():
            yield Port(
                container_port=(endpoint.container_port or None) if inside else None,
                on_host=endpoint.host_port is not None,
                protocol=protocol_of(",".join(endpoint.protocol or ())),
                name=port_name(endpoint.name),
            )


def _checks(containers: Iterable[PodContainer]) -> Iterable[HealthCheck]:
    names: dict[str | None, int] = {}
    for index, name in enumerate(e.name for container in containers for e in container.endpoints or ()):
        names.setdefault(name, index)
    for container in containers:
        check = container.health_check
        if check is None:
            continue
        probe = check.http or check.tcp
        protocol = "COMMAND"
        if check.http is not None:
            protocol = "MESOS_HTTPS" if (check.http.scheme or "").upper() == "HTTPS" else "MESOS_HTTP"
        elif check.tcp is not None:
            protocol = "MESOS_TCP"
        endpoint = probe.endpoint if probe is not None else None
        yield HealthCheck(
            protocol=protocol,
            path=check.http.path if check.http is not None else None,
            port_index=names.get(endpoint),
            ignore_http1xx=False,
            **durations_of(check),
        )


def _task(wire: WireInstance, containers: Iterable[PodContainer]) -> Task:
    host = wire.agent_hostname
    if not is_name(wire.id, limits.TASK_ID) or (host and not is_name(host, limits.HOST)):
        raise DoesNotFit(no_name(wire.id, host))
    statuses = wire.containers or ()
    return Task(
        id=wire.id,
        host=host or None,
        ports=_host_ports(statuses, containers),
        addresses=tuple(
            address
            for network in wire.networks or ()
            for address in network.addresses or ()
            if is_name(address, limits.HOST)
        ),
        state=_STATES.get(wire.status or "") or _state(statuses),
        alive=_alive(statuses),
        version=(wire.spec_reference or "").rpartition("/")[2],
    )


def _host_ports(statuses: Iterable[ContainerStatus], containers: Iterable[PodContainer]) -> tuple[int, ...]:
    """
    Return the host ports in the order of the pod's endpoints.

    The list ends before the first unknown port, since later ones would stand for the wrong endpoint.
    """
    allocated = {
        (status.name, endpoint.name): endpoint.allocated_host_port
        for status in statuses
        for endpoint in status.endpoints or ()
    }
    ports: list[int] = []
    for container in containers:
        for endpoint in container.endpoints or ():
            if endpoint.host_port is None:
                continue
            port = allocated.get((container.name, endpoint.name))
            if not port:
                return tuple(ports)
            ports.append(port)
    return tuple(ports)


def _state(statuses: Sequence[ContainerStatus]) -> str | None:
    """Return the best state of the containers that have endpoints, or of all if none has."""
    offering = [status for status in statuses if status.endpoints] or statuses
    states = [status.status for status in offering if status.status]
    return next((state for state in _SERVED if state in states), states[0] if states else None)


def _alive(statuses: Iterable[ContainerStatus]) -> bool | None:
    results = [result for status in statuses for result in _results(status)]
    return any(results) if results else None


def _results(status: ContainerStatus) -> list[bool]:
    """Return a container's health: that of its endpoints, else its condition ``healthy`` (command checks)."""
    endpoints: Iterable[EndpointStatus] = status.endpoints or ()
    results = [endpoint.healthy for endpoint in endpoints if endpoint.healthy is not None]
    return results or [
        str(condition.value).lower() == "true"
        for condition in status.conditions or ()
        if condition.name == "healthy" and condition.value is not None
    ]
