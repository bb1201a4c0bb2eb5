"""Parses the JSON of apps, in the formats of all Marathon versions, and applies updates."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from attrs import evolve

from minimarathon.definitions.fields import Fields, Mistakes
from minimarathon.definitions.shapes import new_definition
from minimarathon.model import App, HealthCheck, Networking, Port

SEGMENT = re.compile(r"([a-z0-9]|[a-z0-9][a-z0-9-]*[a-z0-9])(\.([a-z0-9]|[a-z0-9][a-z0-9-]*[a-z0-9]))*")
PROTOCOLS = ("HTTP", "HTTPS", "TCP", "COMMAND", "MESOS_HTTP", "MESOS_HTTPS", "MESOS_TCP")
OLD_NETWORKS = {"BRIDGE": Networking.BRIDGE, "USER": Networking.CONTAINER, "HOST": Networking.HOST}

#: Fields that Marathon adds to its responses and that are not part of a definition.
SHOWN_ONLY = frozenset(
    (
        "version",
        "versionInfo",
        "tasks",
        "tasksStaged",
        "tasksRunning",
        "tasksHealthy",
        "tasksUnhealthy",
        "deployments",
        "lastTaskFailure",
        "readinessCheckResults",
        "taskStats",
    )
)
#: Fields that an `App` holds as attributes; others go into `App.rest`.
INTERPRETED = frozenset(
    (
        "id",
        "cmd",
        "args",
        "env",
        "labels",
        "instances",
        "ports",
        "portDefinitions",
        "requirePorts",
        "networks",
        "ipAddress",
        "container",
        "healthChecks",
        "upgradeStrategy",
        "backoffSeconds",
        "backoffFactor",
        "maxLaunchDelaySeconds",
        "taskKillGracePeriodSeconds",
        "killSelection",
    )
)


def absolute(text: str, base: str = "/") -> str:
    """Return an absolute id: `text` if it has a leading slash, otherwise `text` in the group `base`."""
    path = text if text.startswith("/") else f"{base.rstrip('/')}/{text}"
    return "/" + "/".join(part for part in path.split("/") if part)


def parse(body: Mapping[str, Any], app_id: str | None = None, base: str = "/") -> App:
    """
    Return the app of a JSON object, without a version; its service ports may be 0.

    :param app_id: the id in the request's path, used instead of the body's.
    :param base: the group of a relative id.
    :raise Refused: 400 for wrong types, 422 for invalid values; with all mistakes.
    """
    fields = Fields(body, Mistakes())
    requested_id = app_id or fields.text("id")
    _check_id(fields, requested_id)
    networking, network_name = _networking(fields)
    ports = _ports(fields, networking)
    strategy = fields.inner("upgradeStrategy") or Fields({}, fields.mistakes, "/upgradeStrategy")
    grace = fields.body.get("taskKillGracePeriodSeconds")
    app = App(
        id=absolute(requested_id or "/", base),
        cmd=fields.text("cmd"),
        args=fields.texts("args") or None,
        env=fields.mapping("env"),
        labels=fields.mapping("labels", only_texts=True),
        instances=fields.integer("instances", 1),
        ports=ports,
        require_ports=fields.flag("requirePorts"),
        networking=networking,
        network_name=network_name,
        container=_container(fields),
        health_checks=_health_checks(fields, len(ports)),
        minimum_health=strategy.number("minimumHealthCapacity", 1.0, 0, 1),
        over_capacity=strategy.number("maximumOverCapacity", 1.0, 0, 1),
        backoff=fields.number("backoffSeconds", 1.0),
        backoff_factor=fields.number("backoffFactor", 1.15, 1),
        max_delay=fields.number("maxLaunchDelaySeconds", 3600),
        kill_grace=None if grace is None else fields.number("taskKillGracePeriodSeconds", 0),
        kill_selection=fields.word("killSelection", "YOUNGEST_FIRST", ("YOUNGEST_FIRST", "OLDEST_FIRST")),
        rest={name: value for name, value in body.items() if name not in SHOWN_ONLY | INTERPRETED},
    )
    if not app.cmd and not app.args and app.container is None:
        fields.wrong("", "AppDefinition must either contain one of 'cmd' or 'args', and/or a 'container'.")
    fields.mistakes.refuse()
    return app


def update(app: App, body: Mapping[str, Any]) -> App:
    """
    Return an app with the changes of a PUT or PATCH: the fields of the body replace those of the app.

    A field also replaces its alternative: ``ports`` and ``portDefinitions``, ``ipAddress`` and ``networks``, ``cmd``
    and ``args``.

    :raise Refused: as `parse` does.
    """
    given = {name: value for name, value in body.items() if value is not None and name not in SHOWN_ONLY}
    current = new_definition(app)
    for name, alternative in (
        ("ports", "portDefinitions"),
        ("ipAddress", "networks"),
        ("cmd", "args"),
        ("args", "cmd"),
    ):
        if name in given:
            current.pop(alternative, None)
    container = given.get("container")
    if isinstance(container, dict):
        docker = container.get("docker")
        if isinstance(docker, dict) and docker.get("network"):
            current.pop("networks", None)
    updated = parse({**current, **given}, app.id)
    return evolve(
        updated, version=app.version, config_version=app.config_version, scaled_version=app.scaled_version
    )


def _check_id(fields: Fields, app_id: str | None) -> None:
    if not app_id or not app_id.strip("/"):
        fields.wrong("id", "must not be empty")
        return
    parts = [part for part in app_id.split("/") if part]
    if not all(part in (".", "..") or SEGMENT.fullmatch(part) for part in parts):
        fields.wrong("id", f"must fully match regular expression '^({SEGMENT.pattern}|\\.|\\.\\.)$'")
    elif parts[-1] in ("restart", "tasks", "versions"):
        fields.wrong("id", "must not end with 'restart', 'tasks' or 'versions'")


def _container(fields: Fields) -> dict[str, Any] | None:
    """
    Return the container without network and ports, which an `App` holds elsewhere; None if nothing else is given.

    So an app defined with old field names equals the same app defined with current ones.
    """
    container = {name: value for name, value in fields.mapping("container").items() if name != "portMappings"}
    docker = container.get("docker")
    if isinstance(docker, dict):
        container["docker"] = {
            name: value for name, value in docker.items() if name not in ("network", "portMappings")
        }
    container.setdefault("type", "DOCKER" if docker else "MESOS")
    return None if container == {"type": "MESOS"} else container


def _networking(fields: Fields) -> tuple[Networking, str | None]:
    """Return the mode and the network's name, from the fields of any of the three generations."""
    networks = fields.list_of("networks")
    if networks:
        mode_name = networks[0].word("mode", "container", tuple(mode.value for mode in Networking))
        return Networking(mode_name), networks[0].text("name")
    address = fields.inner("ipAddress")
    if address is not None:
        return Networking.CONTAINER, address.text("networkName")
    container = fields.inner("container")
    docker = container.inner("docker") if container else None
    old_mode = docker.text("network") if docker else None
    if old_mode is not None:
        return OLD_NETWORKS.get(old_mode, Networking.HOST), None
    if container and container.body.get("portMappings"):
        return Networking.BRIDGE, None
    return Networking.HOST, None


def _ports(fields: Fields, networking: Networking) -> tuple[Port, ...]:
    if networking is not Networking.HOST:
        return _mapped_ports(fields, networking)
    definitions = fields.list_of("portDefinitions")
    if definitions is not None:
        return tuple(
            Port(
                service_port=item.integer("port", 0, 0, 65535),
                protocol=item.text("protocol") or "tcp",
                name=item.text("name"),
                labels=item.mapping("labels", only_texts=True),
            )
            for item in definitions
        )
    plain = fields.body.get("ports")
    if isinstance(plain, list):
        listed = Fields(
            {str(index): port for index, port in enumerate(plain)}, fields.mistakes, f"{fields.path}/ports"
        )
        return tuple(
            Port(service_port=listed.integer(str(index), 0, 0, 65535)) for index in range(len(plain))
        )
    return (Port(),)


def _mapped_ports(fields: Fields, networking: Networking) -> tuple[Port, ...]:
    container = fields.inner("container")
    docker = container.inner("docker") if container else None
    mappings = (container.list_of("portMappings") if container else None) or (
        docker.list_of("portMappings") if docker else None
    )
    if mappings:
        default_host_port = 0 if networking is Networking.BRIDGE else None
        return tuple(
            Port(
                service_port=item.integer("servicePort", 0, 0, 65535),
                container_port=item.integer("containerPort", 0, 0, 65535),
                host_port=default_host_port
                if item.body.get("hostPort") is None
                else item.integer("hostPort", 0, 0, 65535),
                protocol=item.text("protocol") or "tcp",
                name=item.text("name"),
                labels=item.mapping("labels", only_texts=True),
            )
            for item in mappings
        )
    address = fields.inner("ipAddress")
    discovery = address.inner("discovery") if address else None
    return tuple(
        Port(
            container_port=item.integer("number", 0, 0, 65535),
            host_port=None,
            protocol=item.text("protocol") or "tcp",
            name=item.text("name"),
        )
        for item in (discovery.list_of("ports") if discovery else None) or ()
    )


def _health_checks(fields: Fields, ports: int) -> tuple[HealthCheck, ...]:
    checks = []
    for item in fields.list_of("healthChecks") or ():
        command = item.inner("command")
        check = HealthCheck(
            protocol=item.word("protocol", "HTTP", PROTOCOLS),
            path=item.text("path"),
            command=command.text("value") if command else None,
            port_index=item.optional_integer("portIndex"),
            port=item.optional_integer("port", 1, 65535),
            grace=item.number("gracePeriodSeconds", 300),
            interval=item.number("intervalSeconds", 60),
            timeout=item.number("timeoutSeconds", 20),
            max_failures=item.integer("maxConsecutiveFailures", 3),
            ignore_http1xx=item.flag("ignoreHttp1xx"),
        )
        if check.protocol == "COMMAND":
            if not check.command:
                item.wrong("command", "must be set for a COMMAND check")
        elif check.port is None and (check.port_index or 0) >= ports:
            item.wrong(
                "portIndex",
                "Health check port indices must address an element of the ports array or container port mappings.",
            )
        checks.append(check)
    return tuple(checks)
