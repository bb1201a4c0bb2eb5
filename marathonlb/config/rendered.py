"""A rendered configuration, with the problems of what was left out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from attrs import evolve, field, frozen

from marathonlb.config.templates.loader import Templates
from marathonlb.config.text.model import Config, Section
from marathonlb.config.text.rows import Rows
from marathonlb.routing.problems import Problem
from marathonlb.routing.rules import Rules
from marathonlb.routing.services.model import Service
from marathonlb.routing.sni import Sni

ServiceKey = tuple[str, int]
"""The key of a service: the app's id and the index of the service port."""


def _services(services: Iterable[Service]) -> Rows[Service]:
    return Rows.of(services)


@frozen
class Rendered:
    """
    A configuration, the services in it, and the problems of those that are not.

    :param services: the services in the configuration, with their assigned ports, hosts and names.
    :param rules: the rules of the shared frontends; their services have the servers of the last full rendering.
    :param sni: the routing of the https port by SNI.
    :param renamed: service key to the backend's name, if it differs from the name made from the app's id.
    :param templates: the templates that were used.
    :param wrong: the operator's templates that could not be rendered for a service, each with the reason.
    :param places: service key to the index in `services`.
    :param first_backend: the index of the first service's backend in the sections of the configuration.
    :param contested: the services whose age decides a conflict with another one.
    :param left_out: the services that are not in it; with a problem if their template is wrong.
    """

    config: Config
    services: Rows[Service] = field(default=(), converter=_services)
    problems: tuple[Problem, ...] = ()
    rules: Rules = field(factory=Rules, repr=False)
    sni: Sni = field(factory=Sni, repr=False)
    renamed: Mapping[ServiceKey, str] = field(factory=dict, repr=False)
    templates: Templates | None = field(default=None, repr=False)
    wrong: Mapping[str, str] = field(factory=dict)
    places: Mapping[ServiceKey, int] = field(factory=dict, repr=False)
    first_backend: int = field(default=0, repr=False)
    contested: frozenset[ServiceKey] = field(default=frozenset(), repr=False)
    left_out: Mapping[ServiceKey, tuple[Service, Problem | None]] = field(factory=dict, repr=False)

    def holds(self, key: ServiceKey) -> bool:
        """Return whether a service is in the configuration."""
        return key in self.places

    def with_backends(self, changed: Mapping[int, tuple[Service, Section]]) -> Rendered:
        """
        Return a copy with other services and backends at some places; its cost depends on the change only.

        :param changed: index in `services` to the new service and its backend.
        """
        backends = {self.first_backend + place: backend for place, (_, backend) in changed.items()}
        services = {place: service for place, (service, _) in changed.items()}
        return evolve(self, config=self.config.replace(backends), services=self.services.replace(services))
