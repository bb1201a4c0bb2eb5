"""How many ports, hosts, paths and words of an app are served, and what its owner is told of more."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from attrs import evolve

from marathonlb import limits
from marathonlb.marathon.model import App
from marathonlb.problem_kinds.apps import BIND_LINE, HEALTH_CHECK_PATH, LABEL_PORT, PORT_LIMIT, ROUTING_LIMIT
from marathonlb.routing.labels import values
from marathonlb.routing.labels.parse import AppLabels
from marathonlb.routing.problems import Problem
from marathonlb.routing.services.model import Service


def served_ports(app: App) -> int:
    """How many of an app's ports are served."""
    return min(len(app.ports), limits.PORTS, max(1, limits.SERVERS // max(1, len(app.tasks))))


def beyond(app: App, labels: AppLabels) -> list[Problem]:
    """What the owner is told of ports that are not served, and of labels for ports that are not there."""
    served = served_ports(app)
    if served < len(app.ports):
        reason = (
            f"are too many: the first {served} are served, the others are not; an app has {limits.PORTS} ports and"
            f" {limits.SERVERS} servers at most"
        )
        return [Problem(app.id, None, "ports", "", reason, fatal=False, kind=PORT_LIMIT)]
    reason = ports_of(app)
    indexes = sorted(index for index in labels.ports if index >= len(app.ports))
    if len(indexes) > limits.HINTS:
        reason = f"and {len(indexes) - 1} more indexes: {reason}"
        del indexes[1:]
    return [
        Problem(app.id, index, f"HAPROXY_{index}_…", "", reason, fatal=False, kind=LABEL_PORT)
        for index in indexes
    ]


def ports_of(app: App) -> str:
    """How many ports an app has, in words."""
    count = len(app.ports) or "no"
    return f"the app has {count} port{'' if count == 1 else 's'}; labels count them from 0"


def with_few_hosts(services: Iterable[Service], problems: list[Problem], *, grouped: bool) -> list[Service]:
    """
    The services of one app; those whose hosts and paths come on top of too many have their service ports alone.

    :param grouped: hosts with certificates or bind options have their own TLS, as those have that are passed through.
    """
    kept: list[Service] = []
    entries = apart = 0
    for service in services:
        mine = len(service.hosts or service.passthrough) * max(1, len(service.paths))
        own = grouped and (service.ssl_certs or service.bind_options)
        hosts = service.passthrough or (service.hosts if own else ())
        if entries + mine <= limits.ENTRIES and apart + len(hosts) <= limits.ACL_RULES:
            entries += mine
            apart += len(hosts)
            kept.append(service)
            continue
        problems.append(_problem(service, mine if entries + mine > limits.ENTRIES else 0))
        kept.append(
            evolve(service, hosts=(), paths=(), passthrough=(), redirect_to_https=False, auth=None),
        )
    return kept


def _problem(service: Service, entries: int) -> Problem:
    label = f"HAPROXY_{service.port_index}_VHOST"
    what = (
        f"comes to {entries} hosts and paths, and an app has {limits.ENTRIES}"
        if entries
        else f"has hosts whose TLS is their own, and an app has {limits.ACL_RULES} of them"
    )
    reason = f"{what} in all its ports at most; no host of this port is served, its service port is"
    return Problem(service.app_id, service.port_index, label, "", reason, fatal=False, kind=ROUTING_LIMIT)


def too_long(service: Service) -> Iterator[Problem]:
    """What is wrong with a service whose lines would be longer than they may, by several labels or by what is none."""
    index = service.port_index
    words = len(service.bind_options.split()) + 2 * len(service.ssl_certs)
    if words > limits.BIND_WORDS:
        reason = f"comes to {words} words with the certificates of SSL_CERT; {limits.BIND_WORDS} are the most"
        yield Problem(
            service.app_id,
            index,
            f"HAPROXY_{index}_BIND_OPTIONS",
            service.bind_options,
            reason,
            kind=BIND_LINE,
        )
    check = service.health_check
    if check is not None and check.path is not None:
        try:
            limits.within(values.no_control(check.path), limits.PATH, "is a path of")
        except ValueError as error:
            yield Problem(
                service.app_id, index, "healthChecks[].path", check.path, str(error), kind=HEALTH_CHECK_PATH
            )
