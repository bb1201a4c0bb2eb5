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
from marathonlb.routing.quarantine import Quarantine, bare
from marathonlb.routing.services import AppServices, Service

RETRY_BIND = 30.0
"""Seconds until a port that somebody else held is tried again; doubled at each failure, up to sixteenfold."""


@frozen
class Wanted:
    """
    What HAProxy should run.

    :param problems: what is wrong, by app and port, quarantine included.
    :param servers: how many there are in all services.
    """

    rendered: Rendered
    problems: tuple[Problem, ...]
    servers: int

    @property
    def services(self) -> tuple[Service, ...]:
        """The services that are in it."""
        return self.rendered.services


class Planner:
    """
    Keeps what is offered, and says what is wanted.

    Where nothing but tasks has changed since the last time, what is said costs what has changed, not the cluster.
    """

    def __init__(self, offers: Offers, renderer: Renderer) -> None:
        self.offers = offers
        self.quarantine = Quarantine()
        self._renderer = renderer
        self._last: Wanted | None = None
        self._moved: dict[tuple[str, int], tuple[Service, Service]] = {}

    def update(self, apps: Mapping[str, App], touched: Iterable[str]) -> None:
        """Take note of apps that have changed."""
        for before, after in self.offers.update(apps, touched):
            if self._last is None or not _tasks_alone(before, after):
                self._last = None
                continue
            for old, new in zip(before.services, after.services, strict=True):
                self._moved[new.key] = (self._moved.get(new.key, (old, new))[0], new)

    def wanted(self, now: float) -> Wanted:
        """
        The configuration for what is known.

        :param now: seconds on the reactor's clock, for services that are to be tried again.
        :raises TemplateError: a shared template is wrong.
        """
        wanted = self._from_last() or self._from_scratch(now)
        self._last, self._moved = (None if self.quarantine.verdicts else wanted), {}
        return wanted

    def _from_last(self) -> Wanted | None:
        if self._last is None or self.quarantine.verdicts:
            return None
        rendered = self._renderer.render_servers(
            self._last.rendered, (new for _, new in self._moved.values())
        )
        if rendered is None:
            return None
        more = sum(len(new.servers) - len(old.servers) for old, new in self._moved.values())
        return Wanted(rendered, self._last.problems, self._last.servers + more)

    def _from_scratch(self, now: float) -> Wanted:
        kept, refused = self.quarantine.admit(self.offers.services(), now)
        rendered = self._renderer.render(kept)
        problems = [*self.offers.problems(), *refused, *rendered.problems]
        problems.sort(
            key=lambda p: (p.app_id, -1 if p.port_index is None else p.port_index, p.label, p.reason)
        )
        return Wanted(rendered, tuple(problems), sum(len(service.servers) for service in rendered.services))

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


def _tasks_alone(before: AppServices, after: AppServices) -> bool:
    """Whether an app's services differ in their servers and dates at most."""
    return (
        before.problems == after.problems
        and len(before.services) == len(after.services)
        and all(bare(old) == bare(new) for old, new in zip(before.services, after.services, strict=True))
    )
