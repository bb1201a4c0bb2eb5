"""
From the cluster's state to the wanted configuration: services, their quarantine, the text.

A pure function of the state but for the quarantine, which remembers what HAProxy refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from attrs import evolve, frozen
from twisted.internet.interfaces import IReactorTime

from marathonlb.config.render import SESSIONS_SINCE, Rendered, Renderer
from marathonlb.config.templates import legacy
from marathonlb.config.templates.loader import Templates
from marathonlb.config.templates.table import PER_APP_NAMES
from marathonlb.config.text import named_defaults
from marathonlb.config.text.model import Config
from marathonlb.controller.certificates.admission import CertificateAdmission
from marathonlb.controller.hold import Hold, pin_problem
from marathonlb.controller.refusals.exclude import Culprits, Passes
from marathonlb.controller.refusals.operator_templates import Kept, OperatorTexts, as_it_runs
from marathonlb.errors import InvalidConfiguration, ReloadFailed
from marathonlb.haproxy.rollback.override import Override
from marathonlb.marathon.model import App
from marathonlb.routing.explain.evidence import State
from marathonlb.routing.offers import Offers
from marathonlb.routing.problems import Problem, gathered
from marathonlb.routing.quarantine.accepted import Readings
from marathonlb.routing.quarantine.refused import Quarantine, bare
from marathonlb.routing.quarantine.suspects import Suspects
from marathonlb.routing.services.model import AppServices, Service
from marathonlb.routing.services.servers import Resolve


@frozen
class PlannedConfig:
    """
    What HAProxy should run.

    :param problems: what is wrong, by app and port, quarantine included.
    :param servers: how many there are in all services.
    :param held: what a pin puts in its place; None where nothing is pinned.
    """

    rendered: Rendered
    problems: tuple[Problem, ...]
    servers: int
    held: Override | None = None

    @property
    def config(self) -> Config:
        """What HAProxy should run."""
        return self.rendered.config if self.held is None else self.held.config

    @property
    def services(self) -> Sequence[Service]:
        """The services that are in it."""
        return self.rendered.services


class Planner:
    """
    Keeps what is offered, and says what is wanted.

    Where nothing but tasks has changed since the last time, what is said costs what has changed, not the cluster.

    :param certificates: knows which files can be served; None takes them all for good.
    :param hold: knows what is pinned; None pins nothing.
    :param kept: keeps the operator's texts that HAProxy accepted; None keeps none.
    :ivar texts: which of the operator's templates serve.
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
        self.culprits = Culprits(renderer, self.texts, self.quarantine, certificates)
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
        """Take note of apps that have changed."""
        self._apps = apps
        for before, after in self.offers.update(apps, touched):
            if self._last is None or not _tasks_alone(before, after):
                self._last = None
                continue
            for old, new in zip(before.services, after.services, strict=True):
                self._moved[new.key] = (self._moved.get(new.key, (old, new))[0], new)

    async def prepare(self) -> None:
        """Have the files read that services name, off the reactor's thread, before `wanted` judges them."""
        if self._certificates is not None and self._last is None:
            await self._certificates.prepare(self.offers.services())

    async def look_at(self, error: InvalidConfiguration | ReloadFailed) -> None:
        """Have those certificates read again that HAProxy complains about."""
        if self._certificates is not None:
            await self._certificates.look_at(complaint.message for complaint in error.complaints)

    def plan(self, now: float) -> PlannedConfig:
        """
        The configuration for what is known.

        :param now: seconds on the reactor's clock, for services that are to be tried again.
        :raises TemplateError: a shared template is wrong.
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
        Write what suits a version of HAProxy: that from which it makes backends while it runs, names apart, and no
        more against the sessions of TLS than it needs.

        :param version: its numbers; none where it is not known.
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
        What explanations rest on.

        :param apps: everything that runs, by id.
        :param resolve: gives the address of an agent's host, None where it has none.
        """
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
        What would be wanted if these apps ran. Nothing of this planner changes.

        :param apps: everything that would run, by id.
        :param touched: the apps that are not as they are.
        :raises TemplateError: a shared template is wrong.
        """
        certificates = self._certificates.copy() if self._certificates else None
        other = Planner(self.offers.copy(), self._renderer.copy(), certificates)
        other.quarantine, other.texts.overrides = self.quarantine.copy(), self.texts.overrides.copy()
        other.suspects = Suspects(other.quarantine)
        other.update(apps, touched)
        await other.prepare()
        return other.plan(now)

    def servers_of(self, apps: Iterable[str], tasks: frozenset[str]) -> list[tuple[str, str]]:
        """The servers, each as its backend and its name, that are these tasks of these apps."""
        return [
            (self._renamed.get(service.key, service.backend), server.name)
            for app_id in sorted(apps)
            for service in self.offers.of(app_id)
            for server in service.servers
            if server.task_id in tasks
        ]

    def accepted(self, planned: PlannedConfig, *, read: bool = True) -> None:
        """
        Take note that HAProxy runs this; under a pin it has not seen today's text.

        :param read: whether it has read the text; else it was led there by steps.
        """
        if planned.held is not None:
            return
        self._accepted = planned
        self.culprits.accepted = planned.services
        self.restrict(None)
        self.texts.accepted(planned.rendered)
        self.readings.took(planned.services, self.quarantine.admitted, read=read)

    def forget(self) -> None:
        """Render everything anew: somebody is held, or admitted."""
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
        """What is wrong, in the order in which it is told."""
        found = map(self.offers.attributed, self._found)
        problems = [*self.offers.problems(), *self.texts.overrides.problems, *found]
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
        Put what HAProxy complains about out of the way: services into quarantine, and the operator's templates as
        `Overrides` says.

        A port that somebody else holds may be free later, so what failed at a reload is tried again after a while.

        :param running: whether HAProxy runs.
        :return: False where nobody's line was named, or nothing but what runs can serve, or a pin holds: nobody of
            today wrote its text.
        """
        if planned.held is not None:
            return False
        found = self.culprits.blame(error, planned.rendered, clock.seconds(), running=running)
        if found:
            self._last = None
        return found

    async def is_of_changes(self, planned: PlannedConfig, passes: Passes) -> bool:
        """See `Culprits.is_of_changes`."""
        return await self.culprits.is_of_changes(planned.services, passes)

    async def search_templates(
        self, error: InvalidConfiguration, planned: PlannedConfig, passes: Passes
    ) -> bool:
        """See `Culprits.search_templates`."""
        self._last = None
        return await self.culprits.search_templates(error, planned.rendered, passes)

    def take(self, templates: Templates | None) -> None:
        """
        Use the operator's templates as they were read anew, and try every one that was refused again.

        :param templates: None where they could not be read.
        """
        if templates is not None and self.texts.overrides.take(templates):
            self._release_all()
        self._last = None
        self.texts.try_all_again()

    async def reconsider(self, now: float, passes: Passes) -> bool:
        """
        Try the operator's refused templates again in whose place another text serves.

        :param passes: whether HAProxy accepts a configuration.
        :return: whether one is good now.
        """
        services, _ = self.quarantine.copy().admit(self.offers.services(), now)
        found = await self.texts.reconsider(services, now, passes)
        if found:
            self._last = None
            self._release_all()
        return found

    def _release_all(self) -> None:
        """Try every service again: what it was refused with may have lacked what another text holds."""
        refused = (verdict for verdict in self.quarantine.verdicts() if not verdict.silent)
        self.quarantine.release([verdict.refused.key for verdict in refused])

    def restrict(self, sections: frozenset[tuple[str, str]] | None) -> bool:
        """
        Want no services but those that HAProxy runs already, where this controller has just begun and a template of the
        operator's lets nothing else be done: so that their servers come and go.

        :param sections: what HAProxy runs, each as its keyword and its name; None ends it.
        :return: whether another configuration follows.
        """
        before, self._only = self._only, None
        if before is not None:
            self._last = None
        if sections and before is None and self._accepted is None and self.texts.overrides.held:
            self._only, self._last = sections, None
        return self._only is not None

    @property
    def restricted(self) -> bool:
        """Whether no others are wanted."""
        return self._only is not None

    def problems_with(self, planned: PlannedConfig) -> tuple[Problem, ...]:
        """What is wrong where something could not be applied: what has been found out meanwhile, too."""
        new = (*self.texts.overrides.held, *self.texts.overrides.problems)
        return (*(problem for problem in new if problem not in planned.problems), *planned.problems)


def _tasks_alone(before: AppServices, after: AppServices) -> bool:
    """Whether an app's services differ in their servers and dates at most."""
    return (
        before.problems == after.problems
        and len(before.services) == len(after.services)
        and all(bare(old) == bare(new) for old, new in zip(before.services, after.services, strict=True))
    )
