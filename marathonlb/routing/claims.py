"""
Who gets what two services want: a port, a backend's name, a path of a host.

The older app keeps it (then the smaller app id); the other one loses that thing alone, and a problem names both.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from attrs import evolve, field, frozen

from marathonlb.options.values import listening_port
from marathonlb.problem_kinds.kind import ProblemKind
from marathonlb.problem_kinds.sharing import (
    BACKEND_NAME,
    HOST_TAKEN,
    PORT_RESERVED,
    PORT_TAKEN,
    TLS_PASSED_THROUGH,
    WEIGHT_UNUSED,
)
from marathonlb.routing.names import distinct_backend_name, owner_of
from marathonlb.routing.precedence import (
    HostPath,
    Key,
    fold_case,
    seniority,
    unused_weights,
    weight_of,
    wishes,
)
from marathonlb.routing.problems import Problem
from marathonlb.routing.services import addresses
from marathonlb.routing.services.model import Service
from marathonlb.settings import Settings


@frozen
class Settled:
    """
    The services with what each may have.

    :param services: in the order of app id and port; `Service.binds_port` says whether the port is theirs.
    :param lost: the hosts and paths that a service (by its key) wanted and another one got.
    :param renamed: the names of backends that are not what the app's id makes of them.
    :param contested: the services, by key, that want something which another one wants too, or which is ours.
    """

    services: tuple[Service, ...]
    problems: tuple[Problem, ...]
    lost: dict[Key, frozenset[HostPath]]
    contested: frozenset[Key] = frozenset()
    renamed: Mapping[Key, str] = field(factory=dict)


Bound = tuple[str, str]
"""An address, and what binds it: an option or a template."""


def own_ports(settings: Settings, *, passing: bool = False) -> dict[int, list[Bound]]:
    """
    The ports that the load balancer itself uses: port → the addresses, each with the option that says so.

    :param passing: some service has its TLS passed through.
    """
    binds = {"--bind-appid": settings.bind_appid, "--bind-stats": settings.bind_stats}
    if not settings.dont_bind_http_https:
        binds["--bind-http"] = settings.bind_http
        if settings.ssl_certs or settings.group_https_by_vhost or passing:
            binds["--bind-https"] = settings.bind_https
    found = _bound(binds)
    callback = listening_port(settings.listening) if settings.mode == "event" else None
    if callback:
        found.setdefault(callback, []).append(("*", "--listening"))
    return found


def _https(settings: Settings) -> dict[int, list[Bound]]:
    """The ports on which TLS is passed through."""
    return {} if settings.dont_bind_http_https else _bound({"--bind-https": settings.bind_https})


def _bound(binds: Mapping[str, str]) -> dict[int, list[Bound]]:
    found: dict[int, list[Bound]] = {}
    for option, text in binds.items():
        for address, port in addresses.bound(text):
            found.setdefault(port, []).append((address, option))
    return found


def _options(ports: Mapping[int, Sequence[Bound]]) -> set[str]:
    return {option for bounds in ports.values() for _, option in bounds}


def _merged(
    first: Mapping[int, Sequence[Bound]], second: Mapping[int, Sequence[Bound]]
) -> dict[int, list[Bound]]:
    return {port: [*first.get(port, ()), *second.get(port, ())] for port in first.keys() | second.keys()}


def settle(
    services: Iterable[Service], settings: Settings, written: Mapping[int, Sequence[Bound]] = {}
) -> Settled:
    """
    Decide every collision; the outcome depends on the set of services alone, not on any order.

    :param written: the ports that the operator's own text binds, as `own_ports` tells its own.
    """
    ordered = sorted(services, key=seniority)
    found = _Collisions()
    ordered = found.names(ordered)
    ordered = found.ports(ordered, settings, written)
    found.paths(ordered)
    ordered = found.weights(ordered)
    ordered = found.handshakes(ordered)
    return Settled(
        tuple(sorted(ordered, key=lambda service: service.key)),
        tuple(sorted(found.problems, key=_order)),
        {key: frozenset(values) for key, values in found.lost.items()},
        frozenset(found.contested),
        found.renamed,
    )


class _Collisions:
    """What has been settled so far. Every step takes the services in the order of seniority, and gives them back so."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []
        self.contested: set[Key] = set()
        self.lost: dict[Key, set[HostPath]] = {}
        self.renamed: dict[Key, str] = {}
        self._https: list[Service] = []
        """Who has the port on which TLS would be passed through, where another service has."""

    def names(self, services: Iterable[Service]) -> list[Service]:
        """Tell backends of one name apart."""
        taken: dict[str, Service] = {}
        kept = []
        for service in services:
            elder = taken.get(service.backend)
            if elder is not None:
                self.contested |= {service.key, elder.key}
                name = distinct_backend_name(service.backend, service.key, taken)
                reason = (
                    f"is the name of a backend of {elder.app_id}, which {_older(service, elder)}; that of"
                    f" {service.app_id} is {name}, and everything is served"
                )
                self._tell(service, "PORT", service.backend, reason, BACKEND_NAME, elder.app_id, fatal=False)
                service = evolve(service, backend=name)
                self.renamed[service.key] = name
            taken[service.backend] = service
            kept.append(service)
        return kept

    def ports(
        self, services: Iterable[Service], settings: Settings, written: Mapping[int, Sequence[Bound]]
    ) -> list[Service]:
        """Give each port to the oldest of those whose addresses overlap; the first of all is the load balancer."""
        reserved = own_ports(settings)
        https = {} if "--bind-https" in _options(reserved) else _https(settings)
        taken: dict[int, dict[addresses.Address | None, Service]] = {}
        kept = []
        passing = False
        for service in services:
            if service.passthrough and not passing:
                passing = True
                self._https.extend(
                    each for port in https for each in _overlapping(taken.get(port, {}), https[port])
                )
                reserved = reserved if self._https else {**reserved, **_merged(reserved, https)}
            own = [*reserved.get(service.service_port, ()), *written.get(service.service_port, ())]
            kept.append(self._port(service, taken.setdefault(service.service_port, {}), own))
        return kept

    def _port(
        self, service: Service, taken: dict[addresses.Address | None, Service], own: Sequence[Bound]
    ) -> Service:
        for address, option in own:
            if addresses.overlap(address, service.bind_addr):
                reason = f"is the load balancer's own ({option}); the service has no port of its own"
                self._tell(service, "PORT", str(service.service_port), reason, PORT_RESERVED)
                self.contested.add(service.key)
                return evolve(service, binds_port=False)
        holders = _overlapping(taken, [(service.bind_addr, "")]) if taken else []
        if holders:
            elder = min(holders, key=seniority)
            self._lose(service, elder, "PORT", str(service.service_port), PORT_TAKEN)
            self.contested |= {holder.key for holder in holders}
            return evolve(service, binds_port=False)
        taken[addresses.known(service.bind_addr)] = service
        return service

    def paths(self, services: Iterable[Service]) -> None:
        """
        Give each path of a host to the oldest; of one owner's apps to the one with the largest weight.

        Paths that differ in case are one path as soon as either side ignores it. All of a host is one path, too.
        """
        held: dict[HostPath, _Rivals] = {}
        for service in services:
            for wanted in wishes(service):
                host, path = wanted[0], _prefix(wanted[1])
                rivals = held.setdefault((host, fold_case(path)), _Rivals())
                keeps = rivals.keeper(service, path)
                if keeps is service:
                    continue
                if keeps is not None:
                    self.lost.setdefault(service.key, set()).add(wanted)
                    self._lose(service, keeps, "VHOST", "".join(wanted), HOST_TAKEN)
                    continue
                for theirs, other in rivals.replaced(service, path, wanted):
                    self.lost.setdefault(other.key, set()).add(theirs)
                    self._lose(other, service, "VHOST", "".join(theirs), HOST_TAKEN)

    def weights(self, services: Sequence[Service]) -> list[Service]:
        """Leave out the weights that would take from an older app of another owner."""
        unused, contested = unused_weights(services, self.lost)
        self.contested |= contested
        kept = []
        for service in services:
            if service.key in unused:
                elder = unused[service.key]
                why = (
                    f"would take requests from {elder.app_id}, which {_older(service, elder)}"
                    if elder is not None
                    else "concerns too many hosts and paths of others"
                )
                reason = f"{why}: it is not used, and the rules have their usual order"
                rival = elder.app_id if elder is not None else ""
                value = str(service.weight)
                self._tell(service, "BACKEND_WEIGHT", value, reason, WEIGHT_UNUSED, rival, fatal=False)
                service = evolve(service, weight=None)
            kept.append(service)
        return kept

    def handshakes(self, services: Sequence[Service]) -> list[Service]:
        """
        Give each service those names of TLS handshakes that it may have passed through.

        An older app that serves the host over https keeps it; a younger one serves it over http alone.
        """
        if not any(service.passthrough for service in services):
            return list(services)
        owners: dict[str, list[Service]] = {}
        for service in services:
            for host in service.hosts:
                owners.setdefault(host, []).append(service)
        passing: dict[str, Service] = {}
        return [self._handshake(service, owners, passing) for service in services]

    def _handshake(
        self, service: Service, owners: Mapping[str, Sequence[Service]], passing: dict[str, Service]
    ) -> Service:
        won = []
        for host in service.passthrough:
            others = [other for other in owners.get(host, ()) if other.app_id != service.app_id]
            older = [other for other in others if seniority(other) < seniority(service)]
            holder = passing.get(host) or next(iter([*self._https, *older]), None)
            self.contested |= {service.key, *(other.key for other in others)} if others else set()
            if holder is not None:
                self._lose(service, holder, "VHOST", host, HOST_TAKEN)
                continue
            passing[host] = service
            won.append(host)
            for other in others:
                whose = f"is passed through to {service.app_id}, which is older"
                reason = f"{whose}, on the https port; over http it is served"
                self._tell(other, "VHOST", host, reason, TLS_PASSED_THROUGH, service.app_id, fatal=False)
        return evolve(service, passthrough=tuple(won)) if len(won) != len(service.passthrough) else service

    def _lose(self, loser: Service, winner: Service, label: str, value: str, kind: ProblemKind) -> None:
        self.contested |= {loser.key, winner.key}
        older = _older(loser, winner)
        if label == "VHOST" and seniority(loser) < seniority(winner):
            older = "has the larger weight"
        reason = f"is wanted by {loser.app_id} and {winner.app_id}; {winner.app_id} {older} and keeps it"
        self._tell(loser, label, value, reason, kind, winner.app_id)

    def _tell(
        self,
        service: Service,
        label: str,
        value: str,
        reason: str,
        kind: ProblemKind,
        rival: str = "",
        *,
        fatal: bool = True,
    ) -> None:
        index = service.port_index
        label = f"HAPROXY_{index}_{label}"
        self.problems.append(
            Problem(service.app_id, index, label, value, reason, fatal, kind=kind, rival=rival)
        )


def _older(younger: Service, elder: Service) -> str:
    return "is older" if elder.since < younger.since else "goes first"


def _prefix(path: str) -> str:
    """A prefix; that of every path is empty."""
    return "" if path == "/" else path


class _Rivals:
    """Who has the paths of a host that differ in case alone: one service each, or one that ignores the case."""

    def __init__(self) -> None:
        self._held: dict[str, tuple[HostPath, Service]] = {}
        self._refused: tuple[Key, Service] | None = None

    def _met(self, service: Service, path: str) -> Iterable[tuple[HostPath, Service]]:
        if service.ignore_path_case:
            return self._held.values()
        if path in self._held:
            return (self._held[path],)
        first = next(iter(self._held.values()), None)
        return (first,) if first is not None and first[1].ignore_path_case else ()

    def keeper(self, service: Service, path: str) -> Service | None:
        """Who keeps a path that a service wants; None where nobody does."""
        if self._refused is not None and self._refused[0] == service.key and service.ignore_path_case:
            return self._refused[1]  # all its paths here are one
        met = self._met(service, path)
        keeps = next(
            (other for _, other in met if other is service or not _yields(other, service, path)), None
        )
        self._refused = None if keeps is None else (service.key, keeps)
        return keeps

    def replaced(self, service: Service, path: str, wanted: HostPath) -> list[tuple[HostPath, Service]]:
        """Give a path to a service; what others lose by it."""
        met = list(self._met(service, path))
        for (_, theirs), _ in met:
            del self._held[_prefix(theirs)]
        self._held[path] = wanted, service
        return met


def _yields(holder: Service, service: Service, path: str) -> bool:
    """Whether who has a path gives it to a younger service: one owner's rules have the order of their weights."""
    if owner_of(holder.app_id) != owner_of(service.app_id):
        return False
    return weight_of(service, bool(path)) > weight_of(holder, bool(path))


def _overlapping(taken: Mapping[addresses.Address | None, Service], bounds: Iterable[Bound]) -> list[Service]:
    """Who has a port at an address that overlaps one of these."""
    found: dict[Key, Service] = {}
    for address, _ in bounds:
        one = addresses.known(address)
        holders = taken.values() if one is None else filter(None, (taken.get(one), taken.get(None)))
        found |= {holder.key: holder for holder in holders}
    return list(found.values())


_order: Callable[[Problem], tuple[str, int, str, str]] = lambda p: (  # noqa: E731
    p.app_id,
    -1 if p.port_index is None else p.port_index,
    p.label,
    p.value,
)
