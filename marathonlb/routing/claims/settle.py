"""
The decision of all collisions between services.

The older app (then the smaller app id) keeps what several apps claim. The other app loses only that, and a problem
names both.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from attrs import evolve, field, frozen

from marathonlb.problem_kinds.sharing import BACKEND_NAME, WEIGHT_UNUSED
from marathonlb.routing.claims.collisions import Collisions, age_of
from marathonlb.routing.claims.handshakes import HandshakeClaims
from marathonlb.routing.claims.paths import lost_paths
from marathonlb.routing.claims.ports import Bound, PortClaims
from marathonlb.routing.names import distinct_backend_name
from marathonlb.routing.precedence import HostPath, Key, seniority, unused_weights
from marathonlb.routing.problems import Problem
from marathonlb.routing.services.model import Service
from marathonlb.settings import Settings


@frozen
class Settled:
    """
    The services with the ports, hosts and names that each gets.

    :param services: by app id and port index; `Service.binds_port` is False if another service has the port.
    :param lost: service key to the hosts and paths that it claimed and another service keeps.
    :param renamed: service key to the backend's name, if it differs from the name made from the app's id.
    :param contested: the keys of services whose claim collides with another service's, or with something reserved.
    """

    services: tuple[Service, ...]
    problems: tuple[Problem, ...]
    lost: dict[Key, frozenset[HostPath]]
    contested: frozenset[Key] = frozenset()
    renamed: Mapping[Key, str] = field(factory=dict)


def settle(
    services: Iterable[Service], settings: Settings, written: Mapping[int, Sequence[Bound]] = {}
) -> Settled:
    """
    Decide every collision; the result depends on the set of services, not on their order.

    :param written: the ports that the operator's own templates bind, in the form of `own_ports`.
    """
    collisions = Collisions()
    ordered, renamed = _with_distinct_backends(sorted(services, key=seniority), collisions)
    ports = PortClaims(settings, written, collisions)
    ordered = ports.with_ports(ordered)
    lost = lost_paths(ordered, collisions)
    ordered = _with_used_weights(ordered, lost, collisions)
    ordered = HandshakeClaims(ordered, ports.https_holders, collisions).with_passthrough()
    return Settled(
        tuple(sorted(ordered, key=lambda service: service.key)),
        tuple(sorted(collisions.problems, key=_by_app)),
        lost,
        frozenset(collisions.contested),
        renamed,
    )


def _by_app(problem: Problem) -> tuple[str, int, str, str]:
    index = -1 if problem.port_index is None else problem.port_index
    return problem.app_id, index, problem.label, problem.value


def _with_distinct_backends(
    services: Iterable[Service], collisions: Collisions
) -> tuple[list[Service], dict[Key, str]]:
    """Return the services with distinct backend names, and the names that were changed."""
    renamed: dict[Key, str] = {}
    holders: dict[str, Service] = {}
    kept = []
    for service in services:
        elder = holders.get(service.backend)
        if elder is not None:
            name = distinct_backend_name(service.backend, service.key, holders)
            reason = (
                f"is the name of a backend of {elder.app_id}, which {age_of(elder, service)}; that of"
                f" {service.app_id} is {name}, and everything is served"
            )
            collisions.contest((service, elder))
            collisions.report(
                service, "PORT", service.backend, reason, BACKEND_NAME, elder.app_id, fatal=False
            )
            service = evolve(service, backend=name)
            renamed[service.key] = name
        holders[service.backend] = service
        kept.append(service)
    return kept, renamed


def _with_used_weights(
    services: Sequence[Service], lost: Mapping[Key, frozenset[HostPath]], collisions: Collisions
) -> list[Service]:
    """Return the services without the weights that would take requests from an older app of another owner."""
    unused, contested = unused_weights(services, lost)
    collisions.contested |= contested
    kept = []
    for service in services:
        if service.key in unused:
            elder = unused[service.key]
            effect = (
                f"would take requests from {elder.app_id}, which {age_of(elder, service)}"
                if elder is not None
                else "concerns too many hosts and paths of others"
            )
            reason = f"{effect}: it is not used, and the rules have their usual order"
            rival = elder.app_id if elder is not None else ""
            value = str(service.weight)
            collisions.report(service, "BACKEND_WEIGHT", value, reason, WEIGHT_UNUSED, rival, fatal=False)
            service = evolve(service, weight=None)
        kept.append(service)
    return kept
