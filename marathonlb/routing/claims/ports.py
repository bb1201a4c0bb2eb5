"""Ports: those that the load balancer uses itself, and which service binds which of the others."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from attrs import evolve

from marathonlb.options.values import listening_port
from marathonlb.problem_kinds.sharing import PORT_RESERVED, PORT_TAKEN
from marathonlb.routing.claims.collisions import Collisions
from marathonlb.routing.precedence import seniority
from marathonlb.routing.services import addresses
from marathonlb.routing.services.model import Service
from marathonlb.settings import Settings

Bound = tuple[str, str]
"""An address, and the option or template that binds it."""


def own_ports(settings: Settings, *, passing: bool = False) -> dict[int, list[Bound]]:
    """
    Return the ports that the load balancer uses itself: by port the addresses, each with its option.

    :param passing: True if TLS of some service is passed through.
    """
    binds = {"--bind-appid": settings.bind_appid, "--bind-stats": settings.bind_stats}
    if not settings.dont_bind_http_https:
        binds["--bind-http"] = settings.bind_http
        if _binds_https(settings) or passing:
            binds["--bind-https"] = settings.bind_https
    ports = _by_port(binds)
    callback = listening_port(settings.listening) if settings.mode == "event" else None
    if callback:
        ports.setdefault(callback, []).append(("*", "--listening"))
    return ports


def _binds_https(settings: Settings) -> bool:
    """Return True if the https port is bound though no service has its TLS passed through."""
    return bool(settings.ssl_certs or settings.group_https_by_vhost)


def _by_port(binds: Mapping[str, str]) -> dict[int, list[Bound]]:
    ports: dict[int, list[Bound]] = {}
    for option, text in binds.items():
        for address, port in addresses.bound(text):
            ports.setdefault(port, []).append((address, option))
    return ports


_Holders = dict[addresses.Address | None, Service]
"""The services that bind one port, by address; None is every address."""


class PortClaims:
    """
    The ports of services: of several whose addresses overlap the oldest gets a port, after the load balancer itself.

    If a service older than the first one with TLS passthrough has the https port, it keeps the port.

    :ivar https_holders: services that have the port on which TLS would be passed through.
    """

    def __init__(
        self, settings: Settings, written: Mapping[int, Sequence[Bound]], collisions: Collisions
    ) -> None:
        self._settings = settings
        self._written = written
        self._collisions = collisions
        self._reserved = own_ports(settings)
        self._passing = False
        self._holders: dict[int, _Holders] = {}
        self.https_holders: list[Service] = []

    def with_ports(self, services: Iterable[Service]) -> list[Service]:
        """Return the services with `Service.binds_port`; they come and are returned by seniority."""
        return [self._claimed(service) for service in services]

    def _claimed(self, service: Service) -> Service:
        if service.passthrough and not self._passing:
            self._passing = True
            self._reserve_https()
        port = service.service_port
        for address, option in (*self._reserved.get(port, ()), *self._written.get(port, ())):
            if addresses.overlap(address, service.bind_addr):
                reason = f"is the load balancer's own ({option}); the service has no port of its own"
                self._collisions.report(service, "PORT", str(port), reason, PORT_RESERVED)
                self._collisions.contest([service])
                return evolve(service, binds_port=False)
        holders = self._holders.setdefault(port, {})
        rivals = _overlapping(holders, service.bind_addr) if holders else []
        if rivals:
            elder = min(rivals, key=seniority)
            self._collisions.lose(service, elder, "PORT", str(port), PORT_TAKEN)
            self._collisions.contest(rivals)
            return evolve(service, binds_port=False)
        holders[addresses.known(service.bind_addr)] = service
        return service

    def _reserve_https(self) -> None:
        """Reserve the https port for TLS that is passed through, unless older services have it."""
        settings = self._settings
        if settings.dont_bind_http_https or _binds_https(settings):
            return
        https = _by_port({"--bind-https": settings.bind_https})
        for port, bounds in https.items():
            for address, _ in bounds:
                self.https_holders += _overlapping(self._holders.get(port, {}), address)
        if not self.https_holders:
            for port, bounds in https.items():
                self._reserved[port] = [*self._reserved.get(port, ()), *bounds]


def _overlapping(holders: _Holders, address: str) -> list[Service]:
    """Return the services that bind an address which overlaps this one."""
    known = addresses.known(address)
    if known is None:
        return list(holders.values())
    return [holder for holder in (holders.get(known), holders.get(None)) if holder is not None]
