"""Names in TLS handshakes: which service may have the TLS of a host passed through."""

from __future__ import annotations

from collections.abc import Sequence

from attrs import evolve

from marathonlb.problem_kinds.sharing import HOST_TAKEN, TLS_PASSED_THROUGH
from marathonlb.routing.claims.collisions import Collisions
from marathonlb.routing.precedence import seniority
from marathonlb.routing.services.model import Service


class HandshakeClaims:
    """
    The names of TLS handshakes that each service may have passed through.

    An older app that serves the host over https keeps it; a younger one serves it only over http.

    :param services: by seniority.
    :param https_holders: services that have the https port: then no TLS is passed through.
    """

    def __init__(
        self, services: Sequence[Service], https_holders: Sequence[Service], collisions: Collisions
    ) -> None:
        self._services = services
        self._https_holders = https_holders
        self._collisions = collisions
        self._by_host: dict[str, list[Service]] = {}
        self._passing: dict[str, Service] = {}

    def with_passthrough(self) -> list[Service]:
        """Return the services with the hosts that they may have passed through."""
        if not any(service.passthrough for service in self._services):
            return list(self._services)
        for service in self._services:
            for host in service.hosts:
                self._by_host.setdefault(host, []).append(service)
        return [self._settled(service) for service in self._services]

    def _settled(self, service: Service) -> Service:
        won = tuple(host for host in service.passthrough if self._wins(service, host))
        return evolve(service, passthrough=won) if len(won) != len(service.passthrough) else service

    def _wins(self, service: Service, host: str) -> bool:
        """Give a host to a service, unless another one has it; younger apps that serve it get a warning."""
        others = [other for other in self._by_host.get(host, ()) if other.app_id != service.app_id]
        if others:
            self._collisions.contest((service, *others))
        holder = self._holder(service, host, others)
        if holder is not None:
            self._collisions.lose(service, holder, "VHOST", host, HOST_TAKEN)
            return False
        self._passing[host] = service
        reason = f"is passed through to {service.app_id}, which is older, on the https port; over http it is served"
        for other in others:
            self._collisions.report(
                other, "VHOST", host, reason, TLS_PASSED_THROUGH, service.app_id, fatal=False
            )
        return True

    def _holder(self, service: Service, host: str, others: Sequence[Service]) -> Service | None:
        """Return the service that keeps a host: that passes it through, has the https port, or is older."""
        if host in self._passing:
            return self._passing[host]
        if self._https_holders:
            return self._https_holders[0]
        return next((other for other in others if seniority(other) < seniority(service)), None)
