"""
The TLS of one virtual host under ``--group-https-by-vhost``: which service's certificates and bind options it has.

The services of the oldest owner decide. Otherwise any app with one path of another owner's host could refuse all of
its clients, or admit all of them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from attrs import define, field
from msgspec import Struct

from marathonlb.base import limits
from marathonlb.problem_kinds.kind import ProblemKind
from marathonlb.problem_kinds.operators import HOST_CERTIFICATE
from marathonlb.problem_kinds.sharing import CERTIFICATE_LIMIT, TLS_OPTIONS_UNUSED
from marathonlb.routing.names import owner_of
from marathonlb.routing.precedence import Key, narrows, seniority
from marathonlb.routing.problems import Problem
from marathonlb.routing.rules import MapRule, Rules
from marathonlb.routing.services.model import Service
from marathonlb.settings import Settings

_CLIENT_CERTIFICATES = re.compile(r"(?:^|\s)verify\s+(?:required|optional)\b")

HOST_OF_ENTRY: Mapping[str, Callable[[MapRule], str]] = {
    "paths": lambda entry: entry.key.partition("/")[0],
    "hosts": lambda entry: entry.key,
    "wildcards": lambda entry: f"*{entry.key}",
}
"""By the field of `Rules`, the virtual host of a map's entry."""


def asks_for_certificates(bind_options: str) -> bool:
    """Return True if bind options ask clients for certificates."""
    return _CLIENT_CERTIFICATES.search(bind_options) is not None


class TlsHost(Struct, frozen=True):
    """
    A host whose TLS is terminated in a frontend of its own.

    :param certs: its certificates; empty means the shared ones.
    :param bind_options: the other words of its frontend's bind line.
    :param service: the service that decides, if several have this host.
    """

    host: str
    certs: tuple[str, ...]
    bind_options: str
    service: Service

    @property
    def demands(self) -> bool:
        """True if clients are asked for certificates."""
        return asks_for_certificates(self.bind_options)


@define
class HostServices:
    """
    The services that have rules of one host.

    :param services: by key.
    :param whole: the service that has all of the host; None if each has a path of it.
    """

    host: str
    services: dict[Key, Service] = field(factory=dict)
    whole: Service | None = None

    @property
    def contested(self) -> bool:
        """True if several services have the host, and some of them wants certificates or bind options for it."""
        return len(self.services) > 1 and any(
            service.bind_options or service.ssl_certs for service in self.services.values()
        )


def services_by_host(rules: Rules) -> dict[str, HostServices]:
    """Return the hosts of all routing rules with their services."""
    by_host: dict[str, HostServices] = {}
    for host, service, whole in _routed(rules):
        of_host = by_host.get(host)
        if of_host is None:
            of_host = by_host[host] = HostServices(host)
        of_host.services[service.key] = service
        if whole:
            of_host.whole = service
    return by_host


def _routed(rules: Rules) -> Iterator[tuple[str, Service, bool]]:
    """Yield the hosts of all rules, each with its service, and True if the service has all of the host."""
    for acl in (*rules.first, *rules.later):
        for host in acl.hosts:
            yield host, acl.service, not narrows(acl.paths)
    for entry in rules.paths:
        host, _, path = entry.key.partition("/")
        yield host, entry.service, not path
    for entry in rules.hosts:
        yield HOST_OF_ENTRY["hosts"](entry), entry.service, True
    for entry in rules.wildcards:
        yield HOST_OF_ENTRY["wildcards"](entry), entry.service, True


class HostTls:
    """
    Decides the TLS of one host, with the problems of services whose certificates or bind options are not used.

    :ivar own: the host's own TLS; None if it has that of the shared certificates.
    :ivar excluded: the keys of services that ask for client certificates where the host does not: they have no part of
        it.
    """

    def __init__(self, of_host: HostServices, settings: Settings) -> None:
        self._host = of_host.host
        self.problems: list[Problem] = []
        services = sorted(of_host.services.values(), key=seniority)
        holder = of_host.whole or services[0]
        eldest = services[0] if services[0].since < holder.since else holder
        owner = owner_of(eldest.app_id)
        deciding = [service for service in services if owner_of(service.app_id) == owner]
        others = [service for service in services if owner_of(service.app_id) != owner]
        for service in others:
            self._refuse(service, eldest)
        self.excluded = frozenset(
            service.key for service in others if asks_for_certificates(service.bind_options)
        )
        self.own = self._decide(deciding, settings)

    def _refuse(self, service: Service, holder: Service) -> None:
        """Report the TLS labels of a service of another owner."""
        reason = f"is not used for {self._host} on the https port: the host is that of {holder.app_id}"
        if service.bind_options:
            consequence = (
                "; without its demand for client certificates, the service has no part of the host"
                if asks_for_certificates(service.bind_options)
                else ""
            )
            self._report_options(service, reason + consequence, holder)
        if service.ssl_certs:
            certs = ",".join(service.ssl_certs)
            self._report(service, "SSL_CERT", certs, reason, TLS_OPTIONS_UNUSED, holder.app_id)

    def _decide(self, owners: Sequence[Service], settings: Settings) -> TlsHost | None:
        """
        Return the TLS that the services of one owner want; the oldest decides, and its certificates come first.

        :param owners: by seniority.
        """
        with_options = [owner for owner in owners if owner.bind_options]
        decides = next(iter(with_options), None)
        words = len(decides.bind_options.split()) if decides is not None else 0
        certs = self._certificates(owners, min(limits.CERTIFICATES, (limits.BIND_WORDS - words) // 2))
        if not certs and decides is None:
            return None
        for other in with_options[1:]:
            if decides is not None and other.bind_options != decides.bind_options:
                reason = (
                    f"is not used for {self._host} on the https port: those of {decides.app_id} are, which is"
                    " older"
                )
                self._report_options(other, reason, decides)
        service = decides or next(owner for owner in owners if owner.ssl_certs)
        if not certs and not settings.ssl_certs:
            label = f"HAPROXY_{service.port_index}_SSL_CERT"
            reason = f"has no certificate for https; {label} or --ssl-certs names one"
            self._report(service, "VHOST", self._host, reason, HOST_CERTIFICATE)
            return None
        return TlsHost(self._host, certs, decides.files.bind_options if decides is not None else "", service)

    def _certificates(self, owners: Iterable[Service], maximum: int) -> tuple[str, ...]:
        """Return the host's certificates, the oldest app's first, as many as fit on one line."""
        kept: dict[str, None] = {}
        for owner in owners:
            more = [path for path in owner.files.certs if path not in kept]
            if len(kept) + len(more) > maximum:
                reason = (
                    f"is not used for {self._host}, which has room for {maximum}, those of older apps first"
                )
                self._report(owner, "SSL_CERT", ",".join(owner.ssl_certs), reason, CERTIFICATE_LIMIT)
                continue
            kept.update(dict.fromkeys(more))
        return tuple(kept)

    def _report_options(self, service: Service, reason: str, rival: Service) -> None:
        self._report(service, "BIND_OPTIONS", service.bind_options, reason, TLS_OPTIONS_UNUSED, rival.app_id)

    def _report(
        self, service: Service, label: str, value: str, reason: str, kind: ProblemKind, rival: str = ""
    ) -> None:
        index = service.port_index
        label = f"HAPROXY_{index}_{label}"
        self.problems.append(
            Problem(service.app_id, index, label, value, reason, fatal=False, kind=kind, rival=rival)
        )
