"""
From the cluster's state to the wanted configuration: services, their quarantine, the text.

A pure function of the state but for the quarantine, which remembers what HAProxy refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from attrs import frozen
from twisted.internet.interfaces import IReactorTime

from marathonlb.config.render import Rendered, Renderer
from marathonlb.config.text import Owner
from marathonlb.errors import InvalidConfiguration, ReloadFailed
from marathonlb.marathon.model import App
from marathonlb.routing.offers import Offers
from marathonlb.routing.problems import Problem
from marathonlb.routing.quarantine import Quarantine
from marathonlb.routing.services import Service

RETRY_BIND = 30.0
"""Seconds until a port that somebody else held is tried again; doubled at each failure, up to sixteenfold."""


@frozen
class Wanted:
    """
    What HAProxy should run.

    :param problems: what is wrong, by app and port, quarantine included.
    """

    rendered: Rendered
    problems: tuple[Problem, ...]

    @property
    def services(self) -> tuple[Service, ...]:
        """The services that are in it."""
        return self.rendered.services

    @property
    def servers(self) -> int:
        """How many servers are in it."""
        return sum(len(service.servers) for service in self.rendered.services)


class Planner:
    """Keeps what is offered, and says what is wanted."""

    def __init__(self, offers: Offers, renderer: Renderer) -> None:
        self.offers = offers
        self.quarantine = Quarantine()
        self._renderer = renderer

    def update(self, apps: Mapping[str, App], touched: Iterable[str]) -> None:
        """Take note of apps that have changed."""
        self.offers.update(apps, touched)

    def wanted(self, now: float) -> Wanted:
        """
        The configuration for what is known.

        :param now: seconds on the reactor's clock, for services that are to be tried again.
        :raises TemplateError: a shared template is wrong.
        """
        kept, refused = self.quarantine.admit(self.offers.services(), now)
        rendered = self._renderer.render(kept)
        problems = [*self.offers.problems(), *refused, *rendered.problems]
        problems.sort(
            key=lambda p: (p.app_id, -1 if p.port_index is None else p.port_index, p.label, p.reason)
        )
        return Wanted(rendered, tuple(problems))

    def blame(
        self, error: InvalidConfiguration | ReloadFailed, wanted: Wanted, clock: IReactorTime
    ) -> list[Problem]:
        """
        Put the services that HAProxy complains about into quarantine.

        A port that somebody else holds may be free later, so what failed at a reload is tried again after a while.

        :return: a problem for each; none where nobody's line was named.
        """
        by_key = {service.key: service for service in wanted.services}
        blamed: dict[tuple[str, int], Problem] = {}
        for complaint in error.complaints:
            owner = complaint.owner
            if not isinstance(owner, Owner) or owner.app_id is None or owner.port_index is None:
                continue
            service = by_key.get((owner.app_id, owner.port_index))
            if service is None or service.key in blamed:
                continue
            label = (
                owner.source.removeprefix("label ") if owner.source.startswith("label ") else owner.template
            )
            retry_at = None
            if isinstance(error, ReloadFailed):
                retry_at = clock.seconds() + RETRY_BIND * 2.0 ** min(self.quarantine.failures(service.key), 4)
            self.quarantine.condemn(service, label, complaint.message, retry_at)
            blamed[service.key] = Problem(service.app_id, service.port_index, label, "", complaint.message)
        return list(blamed.values())
