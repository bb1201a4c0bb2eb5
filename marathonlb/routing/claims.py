"""
Who gets what two services want: a port, a backend's name, a path of a host.

The older app keeps it (then the smaller app id); the other one loses that thing alone, and a problem names both.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from string import ascii_lowercase, ascii_uppercase

from attrs import evolve, frozen

from marathonlb.routing.problems import Problem
from marathonlb.routing.services import Service
from marathonlb.settings import Settings

HostPath = tuple[str, str]
"""A virtual host and a path prefix; the empty prefix is every path."""


@frozen
class Settled:
    """
    The services with what each may have.

    :param services: in the order of app id and port; `Service.binds_port` says whether the port is theirs.
    :param lost: the hosts and paths that a service (by its key) wanted and another one got.
    :param contested: the services, by key, that want something which another one wants too, or which is ours.
    """

    services: tuple[Service, ...]
    problems: tuple[Problem, ...]
    lost: dict[tuple[str, int], frozenset[HostPath]]
    contested: frozenset[tuple[str, int]] = frozenset()


def settle(services: Iterable[Service], settings: Settings) -> Settled:
    """Decide every collision; the outcome depends on the set of services alone, not on any order."""
    problems: list[Problem] = []
    lost: dict[tuple[str, int], set[HostPath]] = {}
    kept: list[Service] = []
    names: dict[str, Service] = {}
    ports: dict[tuple[str, int], Service] = {}
    reserved = own_ports(settings)
    paths: dict[HostPath, list[tuple[str, Service]]] = {}
    passing: dict[str, Service] = {}
    contested: set[tuple[str, int]] = set()
    services = sorted(services, key=seniority)
    if any(service.passthrough for service in services):
        reserved = own_ports(settings, passing=True)
    for service in services:
        elder = names.setdefault(service.backend, service)
        if elder is not service:
            problems.append(_collision(service, elder, f"HAPROXY_{service.port_index}_PORT", service.backend))
            contested |= {service.key, elder.key}
            continue
        kept.append(_claim_port(service, ports, reserved, problems, contested))
    for service in sorted(kept, key=lambda s: (-weight_of(s, bool(s.paths)), *seniority(s))):
        for wanted in wishes(service):
            holder = _holder(paths, service, *wanted)
            if holder is not service:
                lost.setdefault(service.key, set()).add(wanted)
                label = f"HAPROXY_{service.port_index}_VHOST"
                problems.append(_collision(service, holder, label, "".join(wanted)))
                contested |= {service.key, holder.key}
    if any(service.passthrough for service in kept):
        owners: dict[str, list[Service]] = {}
        for service in kept:
            for host in service.hosts:
                owners.setdefault(host, []).append(service)
        kept = [_claim_names(service, owners, passing, problems, contested) for service in kept]
    kept.sort(key=lambda s: s.key)
    frozen_lost = {key: frozenset(values) for key, values in lost.items()}
    return Settled(tuple(kept), tuple(sorted(problems, key=_order)), frozen_lost, frozenset(contested))


def weight_of(service: Service, has_path: bool, wildcard: bool = False) -> int:
    """The weight of a rule: its owner's; else 0, 1 where a path is set, and less than both for wildcards."""
    if service.weight is not None:
        return service.weight
    return (1 if has_path else 0) - (2 if wildcard else 0)


def fold_case(path: str) -> str:
    """A path as HAProxy compares it where case is ignored: the letters of ASCII in lower case, and no others."""
    return path.translate(_LOWER)


_LOWER = str.maketrans(ascii_uppercase, ascii_lowercase)


def _holder(
    paths: dict[HostPath, list[tuple[str, Service]]], service: Service, host: str, path: str
) -> Service:
    """
    Who has a path of a host: an older service, or from now on this one.

    Paths that differ in case are one path as soon as either side ignores it.
    """
    rivals = paths.setdefault((host, fold_case(path)), [])
    for theirs, other in rivals:
        if theirs == path or other.ignore_path_case or service.ignore_path_case:
            return other
    rivals.append((path, service))
    return service


def wishes(service: Service) -> list[HostPath]:
    """Every host and path that a service wants."""
    return [(host, path) for host in service.hosts for path in (service.paths or ("",))]


def own_ports(settings: Settings, *, passing: bool = False) -> dict[int, list[tuple[str, str]]]:
    """
    The ports that the load balancer itself uses: port → the addresses, each with the option that says so.

    :param passing: some service has its TLS passed through.
    """
    binds = {"--bind-appid": settings.bind_appid, "--bind-stats": settings.bind_stats}
    if not settings.dont_bind_http_https:
        binds["--bind-http"] = settings.bind_http
        if settings.ssl_certs or settings.group_https_by_vhost or passing:
            binds["--bind-https"] = settings.bind_https
    found: dict[int, list[tuple[str, str]]] = {}
    for option, bind in binds.items():
        for each in bind.split(","):
            address, _, port = each.strip().rpartition(":")
            if port.isdigit():
                found.setdefault(int(port), []).append((_any(address), option))
    return found


def _any(address: str) -> str:
    """The address, every way to write "all of IPv4" being one."""
    return "*" if address in ("", "*", "0.0.0.0") else address


def _claim_port(
    service: Service,
    ports: dict[tuple[str, int], Service],
    reserved: dict[int, list[tuple[str, str]]],
    problems: list[Problem],
    contested: set[tuple[str, int]],
) -> Service:
    wanted = _any(service.bind_addr)
    for address, option in reserved.get(service.service_port, ()):
        if "*" not in (address, wanted) and address != wanted:
            continue
        reason = f"is the load balancer's own ({option}); the service has no port of its own"
        label = f"HAPROXY_{service.port_index}_PORT"
        problems.append(Problem(service.app_id, service.port_index, label, str(service.service_port), reason))
        contested.add(service.key)
        return evolve(service, binds_port=False)
    elder = ports.setdefault((wanted, service.service_port), service)
    if elder is not service:
        problems.append(
            _collision(service, elder, f"HAPROXY_{service.port_index}_PORT", str(service.service_port))
        )
        contested |= {service.key, elder.key}
        return evolve(service, binds_port=False)
    return service


def _claim_names(
    service: Service,
    owners: dict[str, list[Service]],
    passing: dict[str, Service],
    problems: list[Problem],
    contested: set[tuple[str, int]],
) -> Service:
    """
    The service with those names of TLS handshakes that it may have passed through; called in the order of seniority.

    An older app that serves the host over https keeps it; a younger one serves it over http alone.
    """
    won = []
    for host in service.passthrough:
        others = [other for other in owners.get(host, ()) if other.app_id != service.app_id]
        older = [other for other in others if seniority(other) < seniority(service)]
        holder = passing.get(host) or next(iter(older), None)
        contested |= {service.key, *(other.key for other in others)} if others else set()
        if holder is not None:
            contested |= {service.key, holder.key}
            problems.append(_collision(service, holder, f"HAPROXY_{service.port_index}_VHOST", host))
            continue
        passing[host] = service
        won.append(host)
        for other in others:
            reason = f"is passed through to {service.app_id}, which is older, on the https port; over http it is served"
            label = f"HAPROXY_{other.port_index}_VHOST"
            problems.append(Problem(other.app_id, other.port_index, label, host, reason, fatal=False))
    return evolve(service, passthrough=tuple(won)) if len(won) != len(service.passthrough) else service


def _collision(loser: Service, winner: Service, label: str, value: str) -> Problem:
    older = "is older" if winner.since < loser.since else "goes first"
    if label.endswith("_VHOST") and weight_of(winner, bool(winner.paths)) > weight_of(
        loser, bool(loser.paths)
    ):
        older = "has the larger weight"
    reason = f"is wanted by {loser.app_id} and {winner.app_id}; {winner.app_id} {older} and keeps it"
    return Problem(loser.app_id, loser.port_index, label, value, reason)


def seniority(service: Service) -> tuple[str, str, int]:
    """Who was first: the smallest keeps what several want."""
    return service.since, service.app_id, service.port_index


_order: Callable[[Problem], tuple[str, int, str, str]] = lambda p: (  # noqa: E731
    p.app_id,
    -1 if p.port_index is None else p.port_index,
    p.label,
    p.value,
)
