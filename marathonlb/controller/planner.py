"""
Plan HAProxy's configuration from the cluster's state: services, their quarantine, the text.

The plan depends only on the state, and on the quarantine, which remembers what HAProxy refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from attrs import evolve
from twisted.internet.interfaces import IReactorTime

from marathonlb.config.render import SESSIONS_SINCE, Renderer
from marathonlb.config.templates import legacy
from marathonlb.config.templates.loader import Templates
from marathonlb.config.templates.table import PER_APP_NAMES
from marathonlb.config.text import named_defaults
from marathonlb.controller.certificates.admission import CertificateAdmission
from marathonlb.controller.hold import Hold, pin_problem
from marathonlb.controller.planned_config import PlannedConfig
from marathonlb.controller.refusals.exclude import Exclusion, Passes
from marathonlb.controller.refusals.operator_templates import Kept, OperatorTexts, as_it_runs
from marathonlb.errors import InvalidConfiguration, ReloadFailed
from marathonlb.marathon.model import App
from marathonlb.routing.offers import Offers
from marathonlb.routing.problems import Problem, gathered
from marathonlb.routing.quarantine.accepted import Readings
from marathonlb.routing.quarantine.refused import Quarantine, bare
from marathonlb.routing.quarantine.suspects import Suspects
from marathonlb.routing.services.model import AppServices, Service
from marathonlb.routing.services.servers import Resolve

if TYPE_CHECKING:
    from marathonlb.routing.explain.evidence import State


class Planner:
    """
    Plans the configuration for everything that is known.

    If only tasks have changed since the last plan, the cost depends on the number of changes, not on the cluster.

    :param certificates: knows which files can be served; None serves all files.
    :param hold: knows the pinned configuration; None pins nothing.
    :param kept: keeps the operator's texts that HAProxy accepted; None keeps none.
    :ivar texts: knows which of the operator's templates are used.
    :ivar exclusion: excludes what HAProxy refuses.
    """

    def __init__(
        self,
        offers: Offers,
        renderer: Renderer,
        certificates: CertificateAdmission | None = None,
        hold: Hold | None = None,
        kept: Kept | None = None,
    ) -> None:
        self.offers = offers
        self.quarantine = Quarantine()
        self.suspects = Suspects(self.quarantine)
        self.readings = Readings()
        self.texts = OperatorTexts(renderer, kept)
        self.exclusion = Exclusion(renderer, self.texts, self.quarantine, certificates)
        self._only: frozenset[tuple[str, str]] | None = None
        self._renderer = renderer
        self._certificates = certificates
        self._hold = hold
        self._apps: Mapping[str, App] = {}
        self._looked = 0
        self._last: PlannedConfig | None = None
        self._renamed: Mapping[tuple[str, int], str] = {}
        self._found: tuple[Problem, ...] = ()
        self._accepted: PlannedConfig | None = None
        self._moved: dict[tuple[str, int], tuple[Service, Service]] = {}

    def update(self, apps: Mapping[str, App], touched: Iterable[str]) -> None:
        """Record changed apps."""
        self._apps = apps
        for before, after in self.offers.update(apps, touched):
            if self._last is None or not _tasks_alone(before, after):
                self._last = None
                continue
            for old, new in zip(before.services, after.services, strict=True):
                self._moved[new.key] = (self._moved.get(new.key, (old, new))[0], new)

    async def prepare(self) -> None:
        """Read the files that services name outside of the reactor's thread, before `plan` judges them."""
        if self._certificates is not None and self._last is None:
            await self._certificates.prepare(self.offers.services())

    async def look_at(self, error: InvalidConfiguration | ReloadFailed) -> None:
        """Read the certificates again that HAProxy complains about."""
        if self._certificates is not None:
            await self._certificates.look_at(complaint.message for complaint in error.complaints)

    def plan(self, now: float) -> PlannedConfig:
        """
        Plan the configuration for everything that is known.

        :param now: seconds on the reactor's clock, for services in quarantine that are to be tried again.
        :raises TemplateError: a shared template cannot be used.
        """
        retry = self.quarantine.next_retry()
        if self._certificates is not None and self._certificates.generation != self._looked:
            self._looked, self._last = self._certificates.generation, None
        planned = self._from_last() if retry is None or now < retry else None
        planned = planned or self._from_scratch(now)
        self._last, self._moved = planned, {}
        self._renamed = planned.rendered.renamed
        return self._held(planned)

    def _held(self, today: PlannedConfig) -> PlannedConfig:
        held = self._hold.over(today.rendered.config, self._apps) if self._hold is not None else None
        return (
            today if held is None else evolve(today, held=held, problems=(pin_problem(held), *today.problems))
        )

    def suit(self, version: tuple[int, ...]) -> None:
        """
        Adapt the text to a version of HAProxy: named defaults for backends that it adds at runtime, distinct names,
        and only the measures about TLS sessions that it needs.

        :param version: its numbers; empty if it is not known.
        """
        known = (
            version >= named_defaults.SINCE and self._renderer.write_defaults(),
            version >= legacy.APART_SINCE and self._renderer.tell_apart(),
            version >= SESSIONS_SINCE and self._renderer.trust_sessions(),
        )
        if any(known):
            self._last = None

    def state(self, planned: PlannedConfig, apps: Mapping[str, App], resolve: Resolve) -> State:
        """
        Return the state that explanations need.

        :param apps: everything that runs, by id.
        :param resolve: returns the address of an agent's host, None if it has none.
        """
        from marathonlb.routing.explain.evidence import State

        return State(
            apps=apps,
            settings=self._renderer.settings,
            services=planned.services,
            rules=planned.rendered.rules,
            problems=planned.problems,
            verdicts=tuple(self.quarantine.verdicts()),
            template_names=PER_APP_NAMES,
            resolve=resolve,
            members=self.offers.members,
        )

    async def supposing(self, apps: Mapping[str, App], touched: Iterable[str], now: float) -> PlannedConfig:
        """
        Plan as if these apps ran. This planner stays as it is.

        :param apps: everything that would run, by id.
        :param touched: the ids of the apps that differ from those that run.
        :raises TemplateError: a shared template cannot be used.
        """
        certificates = self._certificates.copy() if self._certificates else None
        other = Planner(self.offers.copy(), self._renderer.copy(), certificates)
        other.quarantine, other.texts.overrides = self.quarantine.copy(), self.texts.overrides.copy()
        other.suspects = Suspects(other.quarantine)
        other.update(apps, touched)
        await other.prepare()
        return other.plan(now)

    def servers_of(self, apps: Iterable[str], tasks: frozenset[str]) -> list[tuple[str, str]]:
        """Return the servers of these tasks of these apps, each as its backend and its name."""
        return [
            (self._renamed.get(service.key, service.backend), server.name)
            for app_id in sorted(apps)
            for service in self.offers.of(app_id)
            for server in service.servers
            if server.task_id in tasks
        ]

    def accepted(self, planned: PlannedConfig, *, read: bool = True) -> None:
        """
        Record that HAProxy runs this plan; under a pin it has not seen the plan's text.

        :param read: True if HAProxy has read the text; False if it was updated at runtime.
        """
        if planned.held is not None:
            return
        self._accepted = planned
        self.exclusion.accepted = planned.services
        self.restrict(None)
        self.texts.accepted(planned.rendered)
        self.readings.took(planned.services, self.quarantine.admitted, read=read)

    def forget(self) -> None:
        """Render everything again at the next plan, since a service is held or admitted."""
        self._last = None

    def _from_last(self) -> PlannedConfig | None:
        if self._last is None:
            return None
        rendered = self._renderer.render_servers(self._last.rendered, self._moved.values())
        if rendered is None:
            return None
        more = sum(
            len(new.servers) - len(old.servers)
            for old, new in self._moved.values()
            if rendered.holds(new.key)
        )
        problems = self._last.problems
        if any(self.offers.attributed(problem) is not problem for problem in self._found):
            problems = self._problems()  # another app of the group may lead it now
        return PlannedConfig(rendered, problems, self._last.servers + more)

    def _from_scratch(self, now: float) -> PlannedConfig:
        kept, refused = self.quarantine.admit(self.offers.services(), now)
        shared: tuple[Problem, ...] = ()
        if self._certificates is not None:
            certificates = self._certificates.shared()
            self._renderer.serve_certificates(certificates.paths)
            shared = certificates.problems
            kept, bad = self._certificates.admit(kept)
            refused = [*refused, *bad]
        if self._only is not None:
            kept, waiting = as_it_runs(kept, self._only)
            refused = [*refused, *waiting]
        rendered = self.texts.render(kept, now, running=self._accepted is not None)
        self._found = (*shared, *refused, *rendered.problems)
        servers = sum(len(service.servers) for service in rendered.services)
        return PlannedConfig(rendered, self._problems(), servers)

    def _problems(self) -> tuple[Problem, ...]:
        """Return the problems in the order in which they are shown."""
        attributed = map(self.offers.attributed, self._found)
        problems = [*self.offers.problems(), *self.texts.overrides.problems, *attributed]
        problems.sort(
            key=lambda p: (p.app_id, -1 if p.port_index is None else p.port_index, p.label, p.reason)
        )
        return tuple(gathered(problems))

    def blame(
        self,
        error: InvalidConfiguration | ReloadFailed,
        planned: PlannedConfig,
        clock: IReactorTime,
        *,
        running: bool = False,
    ) -> bool:
        """
        Exclude what HAProxy complains about: quarantine services, and refuse templates of the operator as `Overrides`
        says.

        A port that another process holds may be free later, so what failed at a reload is tried again after a while.

        :param running: True if HAProxy runs.
        :return: False if no owner was named, or only the running configuration can serve, or a pin holds: then the
            text is none of today's owners'.
        """
        if planned.held is not None:
            return False
        excluded = self.exclusion.exclude(error, planned.rendered, clock.seconds(), running=running)
        if excluded:
            self._last = None
        return excluded

    async def is_of_changes(self, planned: PlannedConfig, passes: Passes) -> bool:
        """See `Exclusion.is_of_changes`."""
        return await self.exclusion.is_of_changes(planned.services, passes)

    async def search_templates(
        self, error: InvalidConfiguration, planned: PlannedConfig, passes: Passes
    ) -> bool:
        """See `Exclusion.search_templates`."""
        self._last = None
        return await self.exclusion.search_templates(error, planned.rendered, passes)

    def take(self, templates: Templates | None) -> None:
        """
        Use the operator's templates as they were read now, and try every refused one again.

        :param templates: None if they could not be read.
        """
        if templates is not None and self.texts.overrides.use(templates):
            self._release_all()
        self._last = None
        self.texts.try_all_again()

    async def reconsider(self, now: float, passes: Passes) -> bool:
        """
        Retry the operator's refused templates that another text replaces.

        :param passes: returns whether HAProxy accepts a configuration.
        :return: True if HAProxy accepts one now.
        """
        services, _ = self.quarantine.copy().admit(self.offers.services(), now)
        accepted = await self.texts.reconsider(services, now, passes)
        if accepted:
            self._last = None
            self._release_all()
        return accepted

    def _release_all(self) -> None:
        """Try every service again: the cause of its refusal may have been another text."""
        refused = (verdict for verdict in self.quarantine.verdicts() if not verdict.silent)
        self.quarantine.release([verdict.refused.key for verdict in refused])

    def restrict(self, sections: frozenset[tuple[str, str]] | None) -> bool:
        """
        Plan only the services that HAProxy runs already, so that their servers come and go.

        That is for a controller that has just started, while a refused template of the operator prevents other changes.

        :param sections: the sections that HAProxy runs, each as its keyword and its name; None ends it.
        :return: True if another configuration follows.
        """
        before, self._only = self._only, None
        if before is not None:
            self._last = None
        if sections and before is None and self._accepted is None and self.texts.overrides.held:
            self._only, self._last = sections, None
        return self._only is not None

    @property
    def restricted(self) -> bool:
        """True if only the services are planned that HAProxy runs already."""
        return self._only is not None

    def problems_with(self, planned: PlannedConfig) -> tuple[Problem, ...]:
        """Return the problems of a plan that could not be applied, with those found since it was made."""
        new = (*self.texts.overrides.held, *self.texts.overrides.problems)
        return (*(problem for problem in new if problem not in planned.problems), *planned.problems)


def _tasks_alone(before: AppServices, after: AppServices) -> bool:
    """Return whether an app's services differ in their servers and dates only."""
    return (
        before.problems == after.problems
        and len(before.services) == len(after.services)
        and all(bare(old) == bare(new) for old, new in zip(before.services, after.services, strict=True))
    )
