"""From an app's JSON, in any shape that any Marathon took, to an `App`; and an update laid over an `App`."""

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

#: What Marathon adds to an app that it shows; never part of a definition.
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
UNDERSTOOD = frozenset(
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
    """Return an absolute id: `text` where it has a leading slash, else `text` below the group `base`."""
    path = text if text.startswith("/") else f"{base.rstrip('/')}/{text}"
    return "/" + "/".join(part for part in path.split("/") if part)


def parse(body: Mapping[str, Any], app_id: str | None = None, base: str = "/") -> App:
    """
    Return an app's JSON as an `App` that has no version and whose service ports may be 0.

    :param app_id: the id that the request's path names; it wins over the body's.
    :param base: the group that a relative id lies in.
    :raise Refused: 400 for wrong types, 422 for what cannot be; with every mistake found.
    """
    fields = Fields(body, Mistakes())
    named = app_id or fields.text("id")
    _check_id(fields, named)
    networking, network_name = _networking(fields)
    ports = _ports(fields, networking)
    strategy = fields.inner("upgradeStrategy") or Fields({}, fields.mistakes, "/upgradeStrategy")
    grace = fields.body.get("taskKillGracePeriodSeconds")
    app = App(
        id=absolute(named or "/", base),
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
        rest={name: value for name, value in body.items() if name not in SHOWN_ONLY | UNDERSTOOD},
    )
    if not app.cmd and not app.args and app.container is None:
        fields.wrong("", "AppDefinition must either contain one of 'cmd' or 'args', and/or a 'container'.")
    fields.mistakes.refuse()
    return app


def update(app: App, body: Mapping[str, Any]) -> App:
    """
    Apply Marathon's PUT and PATCH: the fields of the body replace those of the app.

    Fields that say the same thing in two ways (ports, networks, cmd and args) push each other out.

    :raise Refused: as `parse` does.
    """
    given = {name: value for name, value in body.items() if value is not None and name not in SHOWN_ONLY}
    held = new_definition(app)
    for one, others in (
        ("ports", ("portDefinitions",)),
        ("ipAddress", ("networks",)),
        ("cmd", ("args",)),
        ("args", ("cmd",)),
    ):
        if one in given:
            for other in others:
                held.pop(other, None)
    container = given.get("container")
    if isinstance(container, dict):
        docker = container.get("docker")
        if isinstance(docker, dict) and docker.get("network"):
            held.pop("networks", None)
    fresh = parse({**held, **given}, app.id)
    return evolve(
        fresh, version=app.version, config_version=app.config_version, scaled_version=app.scaled_version
    )


def _check_id(fields: Fields, named: str | None) -> None:
    if not named or not named.strip("/"):
        fields.wrong("id", "must not be empty")
        return
    parts = [part for part in named.split("/") if part]
    if not all(part in (".", "..") or SEGMENT.fullmatch(part) for part in parts):
        fields.wrong("id", f"must fully match regular expression '^({SEGMENT.pattern}|\\.|\\.\\.)$'")
    elif parts[-1] in ("restart", "tasks", "versions"):
        fields.wrong("id", "must not end with 'restart', 'tasks' or 'versions'")


def _container(fields: Fields) -> dict[str, Any] | None:
    """
    Return the container without network and ports, which are elsewhere in an `App`; None where nothing else is given.

    So an app that was written with old names is the same app when it is written with today's.
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
    """Return the mode and the network's name, from whichever of three generations of fields has them."""
    networks = fields.each("networks")
    if networks:
        mode = networks[0].word("mode", "container", tuple(one.value for one in Networking))
        return Networking(mode), networks[0].text("name")
    address = fields.inner("ipAddress")
    if address is not None:
        return Networking.CONTAINER, address.text("networkName")
    container = fields.inner("container")
    docker = container.inner("docker") if container else None
    old = docker.text("network") if docker else None
    if old is not None:
        return OLD_NETWORKS.get(old, Networking.HOST), None
    if container and container.body.get("portMappings"):
        return Networking.BRIDGE, None
    return Networking.HOST, None


def _ports(fields: Fields, networking: Networking) -> tuple[Port, ...]:
    if networking is not Networking.HOST:
        return _mapped_ports(fields, networking)
    definitions = fields.each("portDefinitions")
    if definitions is not None:
        return tuple(
            Port(
                service_port=one.integer("port", 0, 0, 65535),
                protocol=one.text("protocol") or "tcp",
                name=one.text("name"),
                labels=one.mapping("labels", only_texts=True),
            )
            for one in definitions
        )
    plain = fields.body.get("ports")
    if isinstance(plain, list):
        listed = Fields(
            {str(index): one for index, one in enumerate(plain)}, fields.mistakes, f"{fields.path}/ports"
        )
        return tuple(
            Port(service_port=listed.integer(str(index), 0, 0, 65535)) for index in range(len(plain))
        )
    return (Port(),)


def _mapped_ports(fields: Fields, networking: Networking) -> tuple[Port, ...]:
    container = fields.inner("container")
    docker = container.inner("docker") if container else None
    mappings = (container.each("portMappings") if container else None) or (
        docker.each("portMappings") if docker else None
    )
    if mappings:
        anywhere = 0 if networking is Networking.BRIDGE else None
        return tuple(
            Port(
                service_port=one.integer("servicePort", 0, 0, 65535),
                container_port=one.integer("containerPort", 0, 0, 65535),
                host_port=anywhere
                if one.body.get("hostPort") is None
                else one.integer("hostPort", 0, 0, 65535),
                protocol=one.text("protocol") or "tcp",
                name=one.text("name"),
                labels=one.mapping("labels", only_texts=True),
            )
            for one in mappings
        )
    address = fields.inner("ipAddress")
    discovery = address.inner("discovery") if address else None
    return tuple(
        Port(
            container_port=one.integer("number", 0, 0, 65535),
            host_port=None,
            protocol=one.text("protocol") or "tcp",
            name=one.text("name"),
        )
        for one in (discovery.each("ports") if discovery else None) or ()
    )


def _health_checks(fields: Fields, ports: int) -> tuple[HealthCheck, ...]:
    checks = []
    for one in fields.each("healthChecks") or ():
        command = one.inner("command")
        check = HealthCheck(
            protocol=one.word("protocol", "HTTP", PROTOCOLS),
            path=one.text("path"),
            command=command.text("value") if command else None,
            port_index=one.optional_integer("portIndex"),
            port=one.optional_integer("port", 1, 65535),
            grace=one.number("gracePeriodSeconds", 300),
            interval=one.number("intervalSeconds", 60),
            timeout=one.number("timeoutSeconds", 20),
            max_failures=one.integer("maxConsecutiveFailures", 3),
            ignore_http1xx=one.flag("ignoreHttp1xx"),
        )
        if check.protocol == "COMMAND":
            if not check.command:
                one.wrong("command", "must be set for a COMMAND check")
        elif check.port is None and (check.port_index or 0) >= ports:
            one.wrong(
                "portIndex",
                "Health check port indices must address an element of the ports array or container port mappings.",
            )
        checks.append(check)
    return tuple(checks)
