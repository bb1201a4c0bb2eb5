"""
The app file, and the definition of an app of the pair made from it, in Marathon's JSON.

The file is posted unchanged, except for its id, instances, service ports and deployment labels. So it stays JSON here,
unlike Marathon's answers.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from copy import deepcopy
from datetime import datetime
from typing import Any

from attrs import field, frozen

from marathonlb.config.templates.table import PER_APP_NAMES
from marathonlb.marathon.model import App
from marathonlb.marathon.parsing.apps import UnusableAnswer, absolute, parse_app
from marathonlb.routing.deployments import GroupMember
from marathonlb.routing.labels.values import deployment_group
from marathonlb.routing.names import group_id
from marathonlb.routing.services.build import services_of
from marathonlb.settings import Settings
from marathonlb.zdd.errors import Refused

Json = dict[str, Any]

GROUP = "HAPROXY_DEPLOYMENT_GROUP"
ALTERNATE = "HAPROXY_DEPLOYMENT_ALT_PORT"
COLOUR = "HAPROXY_DEPLOYMENT_COLOUR"
STARTED_AT = "HAPROXY_DEPLOYMENT_STARTED_AT"
TARGET = "HAPROXY_DEPLOYMENT_TARGET_INSTANCES"
SPLIT = "HAPROXY_DEPLOYMENT_NEW_INSTANCES"

BLUE, GREEN = "blue", "green"

_EVERYTHING = Settings(groups=frozenset({"*"}))


@frozen
class AppFile:
    """
    An app file that can be deployed.

    :param body: the file's JSON.
    :param id: the app's absolute id in the file; the ids of the pair are this and a colour.
    :param group: the name of the deployment group.
    :param instances: the number of instances.
    :param ports: the service ports in the order of the definition; 0 if Marathon chooses the port.
    :param alternate: the second app's service port for the first port; the next ones are for the ports that follow.
        None if the app has no fixed ports.
    :param group_id: the id of the deployment group, which belongs to the app's parent group.
    """

    body: Json = field(repr=False)
    id: str
    group: str
    instances: int
    ports: tuple[int, ...]
    alternate: int | None
    group_id: str

    def alternates(self) -> tuple[int, ...]:
        """Return the second app's service ports; 0 if Marathon chooses the port."""
        first = self.alternate or 0
        return tuple(first + index if port else 0 for index, port in enumerate(self.ports))


@frozen
class Build:
    """
    The values that differ between the apps of a pair.

    :param taken: the service ports of the existing app, which the new one may not have.
    :param bound: port index to the port that clients use, as the existing app has it.
    """

    colour: str
    instances: int
    started_at: datetime
    taken: frozenset[int] = frozenset()
    bound: Mapping[int, int] = {}


def read(text: str, where: str) -> AppFile:
    """
    Parse an app file.

    :param where: its name, for error messages.
    :raises Refused: it is not an app, or lacks something that a pair needs.
    """
    try:
        body = json.loads(text)
    except ValueError as error:
        raise Refused(f"{where}: this is not JSON: {error}") from None
    if not isinstance(body, dict) or not isinstance(body.get("id"), str) or not body["id"].strip("/"):
        raise Refused(f"{where}: this is not an app: an object with an id is expected, as for POST /v2/apps")
    instances = body.get("instances", 1)
    if not isinstance(instances, int) or isinstance(instances, bool) or instances < 1:
        raise Refused(f"{where}: instances is {instances!r}, and the minimum is 1")
    labels = body.get("labels") or {}
    if not isinstance(labels, dict) or not labels.get(GROUP):
        raise Refused(
            f"{where}: the label {GROUP} is missing: it is the name that both apps of the pair share"
        )
    try:
        ports = _ports(body)
    except (TypeError, ValueError, AttributeError):
        raise Refused(f"{where}: its ports have a shape that Marathon does not know") from None
    alternate = _alternate(labels.get(ALTERNATE), ports, where)
    app_id, name = absolute(body["id"]), str(labels[GROUP])
    return AppFile(body, app_id, name, instances, ports, alternate, _group(app_id, name, where))


def _group(app_id: str, name: str, where: str) -> str:
    try:
        group = group_id(app_id, deployment_group(name))
    except ValueError as error:
        raise Refused(f"{where}: the label {GROUP} is {name!r}, which {error}") from None
    if group is None:
        raise Refused(
            f"{where}: the label {GROUP} is {name!r}, a group of another parent group than {app_id}'s"
        )
    return group


def _alternate(text: object, ports: Sequence[int], where: str) -> int | None:
    """Return the second app's first service port, which every app with a fixed service port needs."""
    fixed = {port for port in ports if port}
    if not fixed:
        return None
    try:
        first = int(str(text))
    except ValueError:
        first = 0
    wanted = {first + index for index, port in enumerate(ports) if port}
    if not 1 <= min(wanted) <= max(wanted) <= 65535:
        raise Refused(
            f"{where}: the label {ALTERNATE} is {text!r}; it has to be the second app's service port, and the next "
            "ports are those of its further ports"
        )
    if wanted & fixed:
        both = ", ".join(map(str, sorted(wanted & fixed)))
        raise Refused(f"{where}: {both} would be a service port of both apps; choose another {ALTERNATE}")
    return first


def _port_list(body: Json) -> tuple[list[Any], str]:
    """Return the list with the service ports, and the key of the port in an entry; empty if the entry is the port."""
    container = body.get("container") or {}
    for holder, name, key in (
        (container, "portMappings", "servicePort"),
        (container.get("docker") or {}, "portMappings", "servicePort"),
        (body, "portDefinitions", "port"),
        (body, "ports", ""),
    ):
        if holder.get(name):
            entries: list[Any] = holder[name]
            return entries, key
    return [], ""


def _ports(body: Json) -> tuple[int, ...]:
    entries, key = _port_list(body)
    return tuple(int(entry.get(key) or 0) if key else int(entry) for entry in entries)


def build(file: AppFile, wanted: Build) -> Json:
    """
    Return the definition of an app of the pair, as it is posted.

    Each port that clients use stays bound whichever app remains, because both name it in ``HAPROXY_{n}_PORT``.
    """
    body = deepcopy(file.body)
    body["id"] = f"{file.id}-{wanted.colour}"
    body["instances"] = wanted.instances
    ports = file.alternates() if wanted.taken & set(file.ports) else file.ports
    entries, key = _port_list(body)
    for index, port in enumerate(ports):
        if not key:
            entries[index] = port
        elif port:
            entries[index][key] = port
    labels = body["labels"]
    for index, port in enumerate(file.ports):
        known = port or wanted.bound.get(index)
        if known:
            labels.setdefault(f"HAPROXY_{index}_PORT", str(known))
    labels |= {
        COLOUR: wanted.colour,
        STARTED_AT: wanted.started_at.isoformat(),
        TARGET: str(file.instances),
    }
    labels.pop(SPLIT, None)
    return body


def check(body: Json) -> None:
    """
    Check an app as the load balancer does.

    :raises Refused: a label is wrong, or no port would be served.
    """
    try:
        parsed = parse_app(json.dumps({"app": body}).encode())
    except UnusableAnswer as error:
        raise Refused(f"{body['id']}: {error}") from None
    for unreadable in parsed.unreadable:
        raise Refused(f"{unreadable.app_id}: {unreadable.reason}")
    (app,) = parsed.apps
    offered = member(app).offered
    problems = [str(problem) for problem in offered.problems if problem.fatal]
    if problems:
        raise Refused("; ".join(problems))
    if not offered.services:
        raise Refused(f"{app.id}: no port of it would be served: it has none, or its labels turn them off")


def member(app: App) -> GroupMember:
    """Return an app as a member of a deployment group, for load balancers of any HAPROXY_GROUP."""
    chosen_by_marathon = {index: 1 for index, port in enumerate(app.ports) if not port.service_port}
    return GroupMember(
        app, services_of(app, _EVERYTHING, PER_APP_NAMES, lambda host: host, chosen_by_marathon)
    )
