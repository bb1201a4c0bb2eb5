"""The limits of one app: how many ports, hosts, paths and words are served, and the problems of more."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from attrs import evolve

from marathonlb.base import limits
from marathonlb.marathon.model import App
from marathonlb.problem_kinds.apps import BIND_LINE, HEALTH_CHECK_PATH, LABEL_PORT, PORT_LIMIT, ROUTING_LIMIT
from marathonlb.routing.labels import values
from marathonlb.routing.labels.parse import AppLabels
from marathonlb.routing.problems import Problem
from marathonlb.routing.services.model import Service


def served_ports(app: App) -> int:
    """Return how many of an app's ports are served."""
    return min(len(app.ports), limits.PORTS, max(1, limits.SERVERS // max(1, len(app.tasks))))


def port_problems(app: App, labels: AppLabels) -> list[Problem]:
    """Return the problems of ports beyond the limit, and of labels for ports that the app does not have."""
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
    """Return how many ports an app has, as a sentence."""
    count = len(app.ports) or "no"
    return f"the app has {count} port{'' if count == 1 else 's'}; labels count them from 0"


def within_host_limits(
    services: Iterable[Service], problems: list[Problem], *, grouped: bool
) -> list[Service]:
    """
    Return the services of one app; a service that exceeds the app's limits of hosts loses all of its hosts.

    :param problems: gets one problem for each such service.
    :param grouped: True if hosts with certificates or bind options have TLS of their own, as passed-through ones do.
    """
    kept: list[Service] = []
    entries = tls_hosts = 0
    for service in services:
        own_entries = len(service.hosts or service.passthrough) * max(1, len(service.paths))
        own_tls = grouped and (service.ssl_certs or service.bind_options)
        own_tls_hosts = len(service.passthrough or (service.hosts if own_tls else ()))
        too_many_entries = entries + own_entries > limits.ENTRIES
        if not too_many_entries and tls_hosts + own_tls_hosts <= limits.ACL_RULES:
            entries += own_entries
            tls_hosts += own_tls_hosts
            kept.append(service)
            continue
        problems.append(_host_limit(service, own_entries if too_many_entries else 0))
        kept.append(
            evolve(service, hosts=(), paths=(), passthrough=(), redirect_to_https=False, auth=None),
        )
    return kept


def _host_limit(service: Service, entries: int) -> Problem:
    """
    Return the problem of a service that loses its hosts.

    :param entries: the number of its hosts times paths; 0 if the limit is that of hosts with TLS of their own.
    """
    label = f"HAPROXY_{service.port_index}_VHOST"
    excess = (
        f"comes to {entries} hosts and paths, and an app has {limits.ENTRIES}"
        if entries
        else f"has hosts whose TLS is their own, and an app has {limits.ACL_RULES} of them"
    )
    reason = f"{excess} in all its ports at most; no host of this port is served, its service port is"
    return Problem(service.app_id, service.port_index, label, "", reason, fatal=False, kind=ROUTING_LIMIT)


def length_problems(service: Service) -> Iterator[Problem]:
    """Yield the problems of lines that are too long by several labels together, or by the path of a health check."""
    index = service.port_index
    words = len(service.bind_options.split()) + 2 * len(service.ssl_certs)
    if words > limits.BIND_WORDS:
        reason = (
            f"comes to {words} words with the certificates of SSL_CERT; the maximum is {limits.BIND_WORDS}"
        )
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
