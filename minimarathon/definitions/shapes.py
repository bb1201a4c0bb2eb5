"""Marathon's JSON by version: apps, tasks, groups, deployments, and the plans in events."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from minimarathon.dialect import Dialect
from minimarathon.model import App, Deployment, Failure, Health, HealthCheck, Networking, Port, Task, iso

OLD_NETWORKS = {Networking.BRIDGE: "BRIDGE", Networking.CONTAINER: "USER", Networking.HOST: "HOST"}

#: Fields that every version of Marathon adds with these defaults.
DEFAULTS: Mapping[str, Any] = {"cpus": 1, "mem": 128, "disk": 0, "gpus": 0, "executor": ""}

#: Fields that versions up to 1.4 add in addition, empty or null.
OLD_DEFAULTS: Mapping[str, Any] = {
    "cmd": None, "args": None, "user": None, "env": {}, "constraints": [], "uris": [], "fetch": [], "storeUrls": [],
    "container": None, "healthChecks": [], "readinessChecks": [], "dependencies": [], "labels": {},
    "acceptedResourceRoles": None, "ipAddress": None, "residency": None, "secrets": {},
    "taskKillGracePeriodSeconds": None,
    "unreachableStrategy": {"inactiveAfterSeconds": 300, "expungeAfterSeconds": 600},
}  # fmt: skip
NEW_DEFAULTS: Mapping[str, Any] = {
    "unreachableStrategy": {"inactiveAfterSeconds": 0, "expungeAfterSeconds": 0},
}


def app_json(app: App, dialect: Dialect) -> dict[str, Any]:
    """Return an app's JSON for ``/v2/apps``, without embedded values."""
    body = _old_definition(app) if dialect.old_ports else {**DEFAULTS, **NEW_DEFAULTS, **new_definition(app)}
    if dialect.roles:
        body.setdefault("role", "*")
    body["version"] = app.version
    body["versionInfo"] = {"lastScalingAt": app.scaled_version, "lastConfigChangeAt": app.config_version}
    return body


def new_definition(app: App) -> dict[str, Any]:
    """Return an app's definition with the field names of Marathon 1.5 and later, and no empty fields."""
    body = {**app.rest, **_common(app)}
    for name, value in (
        ("cmd", app.cmd),
        ("args", list(app.args) if app.args is not None else None),
        ("env", dict(app.env)),
        ("healthChecks", [_check_json(check) for check in app.health_checks]),
        ("taskKillGracePeriodSeconds", app.kill_grace),
    ):
        if value or value == 0:
            body[name] = value
    network: dict[str, Any] = {"mode": app.networking.value}
    if app.network_name:
        network["name"] = app.network_name
    body["networks"] = [network]
    container = dict(app.container or {})
    if app.networking is Networking.HOST:
        body["portDefinitions"] = [_definition(port) for port in app.ports]
    else:
        container.setdefault("type", "MESOS")
        container["portMappings"] = [_mapping(port) for port in app.ports]
    if container:
        body["container"] = container
    return body


def _common(app: App) -> dict[str, Any]:
    """Return the fields whose names are the same in every version."""
    return {
        "id": app.id,
        "instances": app.instances,
        "labels": dict(app.labels),
        "requirePorts": app.require_ports,
        "backoffSeconds": app.backoff,
        "backoffFactor": app.backoff_factor,
        "maxLaunchDelaySeconds": app.max_delay,
        "upgradeStrategy": {
            "minimumHealthCapacity": app.minimum_health,
            "maximumOverCapacity": app.over_capacity,
        },
        "killSelection": app.kill_selection,
    }


def _old_definition(app: App) -> dict[str, Any]:
    """Return an app's definition as up to 1.4: also ``ports``, ``docker.network``, ``ipAddress`` and nulls."""
    body = {**DEFAULTS, **OLD_DEFAULTS, **app.rest, **_common(app)}
    body["cmd"], body["args"] = app.cmd, None if app.args is None else list(app.args)
    body["env"] = dict(app.env)
    body["healthChecks"] = [_check_json(check) for check in app.health_checks]
    body["taskKillGracePeriodSeconds"] = app.kill_grace
    body["ports"] = list(app.service_ports)
    body["portDefinitions"] = [_definition(port) for port in app.ports]
    container = dict(app.container or {})
    docker = container.get("docker")
    if isinstance(docker, Mapping):
        mapped = None if app.networking is Networking.HOST else [_mapping(port) for port in app.ports]
        network = OLD_NETWORKS[app.networking]
        container["docker"] = {"privileged": False, "parameters": [], "forcePullImage": False, **docker,
                               "network": network, "portMappings": mapped}  # fmt: skip
    elif app.networking is not Networking.HOST:
        discovery_ports = [
            {"number": p.container_port or 0, "name": p.name or "", "protocol": p.protocol} for p in app.ports
        ]
        body["ipAddress"] = {"groups": [], "labels": {}, "discovery": {"ports": discovery_ports}}
    if app.networking is Networking.CONTAINER and app.network_name:
        body["ipAddress"] = {**(body["ipAddress"] or {}), "networkName": app.network_name}
    body["container"] = container or None
    return body


def _definition(port: Port) -> dict[str, Any]:
    name = {} if port.name is None else {"name": port.name}
    return {"port": port.service_port, "protocol": port.protocol, **name, "labels": dict(port.labels)}


def _mapping(port: Port) -> dict[str, Any]:
    body: dict[str, Any] = {"containerPort": port.container_port or 0}
    if port.host_port is not None:
        body["hostPort"] = port.host_port
    body |= {"servicePort": port.service_port, "protocol": port.protocol, "labels": dict(port.labels)}
    if port.name is not None:
        body["name"] = port.name
    return body


def _check_json(check: HealthCheck) -> dict[str, Any]:
    body: dict[str, Any] = {"protocol": check.protocol}
    for name, value in (
        ("path", check.path),
        ("command", None if check.command is None else {"value": check.command}),
        ("portIndex", check.port_index),
        ("port", check.port),
    ):
        if value is not None:
            body[name] = value
    body |= {
        "gracePeriodSeconds": check.grace,
        "intervalSeconds": check.interval,
        "timeoutSeconds": check.timeout,
        "maxConsecutiveFailures": check.max_failures,
    }
    if not check.by_mesos or check.ignore_http1xx:
        body["ignoreHttp1xx"] = check.ignore_http1xx
    return body


def check_json(check: HealthCheck) -> dict[str, Any]:
    """Return a health check's JSON for apps and health events."""
    return _check_json(check)


def task_json(task: Task, dialect: Dialect) -> dict[str, Any]:
    """Return a task's JSON for ``/v2/tasks`` and embedded lists; like Marathon's, it has no empty fields."""
    body: dict[str, Any] = {
        "appId": task.app_id,
        "host": task.host,
        "id": task.id,
        "ipAddresses": addresses(task),
        "localVolumes": [],
        "ports": list(task.ports),
        "slaveId": AGENT,
        "stagedAt": iso(task.staged_at),
        "startedAt": None if task.started_at is None else iso(task.started_at),
        "state": task.state,
        "version": task.version,
    }
    if task.service_ports:
        body["servicePorts"] = list(task.service_ports)
    results = [_health_json(health, task) for health in task.health if health is not None]
    if results:
        body["healthCheckResults"] = results
    if dialect.roles:
        body["role"] = "*"
    return body


#: The id of the only agent.
AGENT = "6d696e69-6d61-4172-b174-686f6e000000-S0"


def addresses(task: Task) -> list[dict[str, str]]:
    """Return a task's ``ipAddresses``."""
    return [{"ipAddress": task.address, "protocol": "IPv4"}]


def _health_json(health: Health, task: Task) -> dict[str, Any]:
    def moment(at: float | None) -> str | None:
        return None if at is None else iso(at)

    return {
        "alive": health.alive,
        "consecutiveFailures": health.failures,
        "firstSuccess": moment(health.first_success),
        "lastFailure": moment(health.last_failure),
        "lastSuccess": moment(health.last_success),
        "lastFailureCause": health.cause,
        "instanceId": task.instance_id,
    }


def failure_json(failure: Failure) -> dict[str, Any]:
    """Return the JSON of ``lastTaskFailure``."""
    return {
        "appId": failure.task.app_id,
        "host": failure.task.host,
        "message": failure.message,
        "state": failure.state,
        "taskId": failure.task.id,
        "timestamp": iso(failure.at),
        "version": failure.task.version,
        "slaveId": AGENT,
    }


def step_json(deployment: Deployment, index: int) -> dict[str, Any]:
    """Return the JSON of one step of a deployment."""
    return {"actions": [{"action": action.kind, "app": action.app_id} for action in deployment.steps[index]]}


def plan_json(deployment: Deployment, dialect: Dialect, light: bool) -> dict[str, Any]:
    """Return a deployment's JSON for events; unless `light`, with the whole cluster before and after."""
    body: dict[str, Any] = {"id": deployment.id}
    if not light:
        body["original"] = group_json("/", deployment.before, deployment.version, dialect)
        body["target"] = group_json("/", deployment.after, deployment.version, dialect)
    body["steps"] = [step_json(deployment, index) for index in range(len(deployment.steps))]
    body["version"] = deployment.version
    return body


def deployment_json(deployment: Deployment) -> dict[str, Any]:
    """Return a deployment's JSON for ``/v2/deployments``."""
    index = min(deployment.step, len(deployment.steps) - 1)
    actions = [{**action, "readinessCheckResults": []} for action in step_json(deployment, index)["actions"]]
    return {
        "id": deployment.id,
        "version": deployment.version,
        "affectedApps": sorted(deployment.apps),
        "affectedPods": [],
        "steps": [step_json(deployment, step) for step in range(len(deployment.steps))],
        "currentActions": actions,
        "currentStep": index + 1,
        "totalSteps": len(deployment.steps),
    }


def group_json(group_id: str, apps: Iterable[App], version: str, dialect: Dialect) -> dict[str, Any]:
    """
    Return a group's JSON with its apps and groups, by the ids of the apps.

    :param apps: all apps; those outside the group are ignored.
    """
    prefix = group_id.rstrip("/") + "/"
    own: list[App] = []
    inner: dict[str, list[App]] = {}
    for app in apps:
        if not app.id.startswith(prefix):
            continue
        head, _, deeper = app.id[len(prefix) :].partition("/")
        if deeper:
            inner.setdefault(prefix + head, []).append(app)
        else:
            own.append(app)
    return {
        "id": group_id,
        "dependencies": [],
        "version": version,
        "apps": [app_json(app, dialect) for app in own],
        "pods": [],
        "groups": [group_json(path, members, version, dialect) for path, members in sorted(inner.items())],
    }
