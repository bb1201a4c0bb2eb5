"""
From the cluster's state to the wanted configuration: services, their quarantine, the text.

A pure function of the state but for the quarantine, which remembers what HAProxy refused.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence

from attrs import evolve, frozen
from twisted.internet.interfaces import IReactorTime

from marathonlb.config import defaults, legacy
from marathonlb.config.render import SESSIONS_SINCE, Rendered, Renderer
from marathonlb.config.templates import BY_NAME, PER_APP_NAMES
from marathonlb.config.text import Config, Owner
from marathonlb.errors import Complaint, InvalidConfiguration, ReloadFailed
from marathonlb.haproxy.certificates import Certificates
from marathonlb.haproxy.hold import Held, Hold
from marathonlb.haproxy.offenders import about_defaults, blamed, label_of, names_clash, operators
from marathonlb.marathon.model import App
from marathonlb.routing.evidence import State
from marathonlb.routing.offers import Offers
from marathonlb.routing.problems import Problem, gathered
from marathonlb.routing.quarantine import Quarantine, bare
from marathonlb.routing.readings import Readings
from marathonlb.routing.servers import Resolve
from marathonlb.routing.services import AppServices, Service
from marathonlb.routing.suspects import Suspects

RETRY_BIND = 30.0
"""Seconds until a port that somebody else held is tried again; doubled at each failure, up to sixteenfold."""


@frozen
class Wanted:
    """
    What HAProxy should run.

    :param problems: what is wrong, by app and port, quarantine included.
    :param servers: how many there are in all services.
    :param held: what a pin puts in its place; None where nothing is pinned.
    """

    rendered: Rendered
    problems: tuple[Problem, ...]
    servers: int
    held: Held | None = None

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
    """

    def __init__(
        self,
        offers: Offers,
        renderer: Renderer,
        certificates: Certificates | None = None,
        hold: Hold | None = None,
    ) -> None:
        self.offers = offers
        self.quarantine = Quarantine()
        self.suspects = Suspects(self.quarantine)
        self.readings = Readings()
        self._renderer = renderer
        self._certificates = certificates
        self._hold = hold
        self._apps: Mapping[str, App] = {}
        self._looked = 0
        self._last: Wanted | None = None
        self._renamed: Mapping[tuple[str, int], str] = {}
        self._found: tuple[Problem, ...] = ()
        self._accepted: Wanted | None = None
        self._proven: frozenset[str] = frozenset()
        self._doubted: dict[str, frozenset[tuple[str, int]]] = {}
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

    def wanted(self, now: float) -> Wanted:
        """
        The configuration for what is known.

        :param now: seconds on the reactor's clock, for services that are to be tried again.
        :raises TemplateError: a shared template is wrong.
        """
        retry = self.quarantine.next_retry()
        if self._certificates is not None and self._certificates.generation != self._looked:
            self._looked, self._last = self._certificates.generation, None
        wanted = self._from_last() if retry is None or now < retry else None
        wanted = wanted or self._from_scratch(now)
        self._last, self._moved = wanted, {}
        self._renamed = wanted.rendered.renamed
        return self._held(wanted)

    def _held(self, today: Wanted) -> Wanted:
        held = self._hold.over(today.rendered.config, self._apps) if self._hold is not None else None
        return today if held is None else evolve(today, held=held, problems=(held.problem, *today.problems))

    def suit(self, version: tuple[int, ...]) -> None:
        """
        Write what suits a version of HAProxy: that from which it makes backends while it runs, names apart, and no
        more against the sessions of TLS than it needs.

        :param version: its numbers; none where it is not known.
        """
        known = (
            version >= defaults.SINCE and self._renderer.write_defaults(),
            version >= legacy.APART_SINCE and self._renderer.tell_apart(),
            version >= SESSIONS_SINCE and self._renderer.trust_sessions(),
        )
        if any(known):
            self._last = None

    def state(self, wanted: Wanted, apps: Mapping[str, App], resolve: Resolve) -> State:
        """
        What explanations rest on.

        :param apps: everything that runs, by id.
        :param resolve: gives the address of an agent's host, None where it has none.
        """
        return State(
            apps=apps,
            settings=self._renderer.settings,
            services=wanted.services,
            rules=wanted.rendered.rules,
            problems=wanted.problems,
            verdicts=tuple(self.quarantine.verdicts()),
            template_names=PER_APP_NAMES,
            resolve=resolve,
            members=self.offers.members,
        )

    async def supposing(self, apps: Mapping[str, App], touched: Iterable[str], now: float) -> Wanted:
        """
        What would be wanted if these apps ran. Nothing of this planner changes.

        :param apps: everything that would run, by id.
        :param touched: the apps that are not as they are.
        :raises TemplateError: a shared template is wrong.
        """
        certificates = self._certificates.copy() if self._certificates else None
        other = Planner(self.offers.copy(), self._renderer.copy(), certificates)
        other.quarantine = self.quarantine.copy()
        other.suspects = Suspects(other.quarantine)
        other.update(apps, touched)
        await other.prepare()
        return other.wanted(now)

    def servers_of(self, apps: Iterable[str], tasks: frozenset[str]) -> list[tuple[str, str]]:
        """The servers, each as its backend and its name, that are these tasks of these apps."""
        return [
            (self._renamed.get(service.key, service.backend), server.name)
            for app_id in sorted(apps)
            for service in self.offers.of(app_id)
            for server in service.servers
            if server.task_id in tasks
        ]

    def accepted(self, wanted: Wanted, *, read: bool = True) -> None:
        """
        Take note that HAProxy runs this; under a pin it has not seen today's text.

        :param read: whether it has read the text; else it was led there by steps.
        """
        if wanted.held is not None:
            return
        self._accepted = wanted
        self.readings.took(wanted.services, self.quarantine.admitted, read=read)

    def forget(self) -> None:
        """Render everything anew: somebody is held, or admitted."""
        self._last = None

    def _from_last(self) -> Wanted | None:
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
        return Wanted(rendered, problems, self._last.servers + more)

    def _from_scratch(self, now: float) -> Wanted:
        kept, refused = self.quarantine.admit(self.offers.services(), now)
        shared: tuple[Problem, ...] = ()
        if self._certificates is not None:
            certificates = self._certificates.shared()
            self._renderer.serve_certificates(certificates.paths)
            shared = certificates.problems
            kept, bad = self._certificates.admit(kept)
            refused = [*refused, *bad]
        rendered = self._renderer.render(kept)
        self._found = (*shared, *refused, *rendered.problems)
        servers = sum(len(service.servers) for service in rendered.services)
        return Wanted(rendered, self._problems(), servers)

    def _problems(self) -> tuple[Problem, ...]:
        """What is wrong, in the order in which it is told."""
        problems = [*self.offers.problems(), *map(self.offers.attributed, self._found)]
        problems.sort(
            key=lambda p: (p.app_id, -1 if p.port_index is None else p.port_index, p.label, p.reason)
        )
        return tuple(gathered(problems))

    def blame(self, error: InvalidConfiguration | ReloadFailed, wanted: Wanted, clock: IReactorTime) -> bool:
        """
        Put what HAProxy complains about into quarantine: services, or a shared template of the operator's.

        A port that somebody else holds may be free later, so what failed at a reload is tried again after a while.

        :return: False where nobody's line was named, or a pin holds: nobody of today wrote its text.
        """
        if wanted.held is not None:
            return False
        if names_clash(error.complaints) and self._renderer.tell_apart():
            self._last = None
            return True
        found = self._blame_somebody(error, wanted, clock)
        if not found and about_defaults(error.complaints):
            found = self._renderer.write_defaults(False)
            self._last = None
        return found

    def _blame_somebody(
        self, error: InvalidConfiguration | ReloadFailed, wanted: Wanted, clock: IReactorTime
    ) -> bool:
        found = False
        others: list[Complaint] = []
        for complaint in error.complaints:
            if self._is_certificates(complaint):
                found = True
            else:
                others.append(complaint)
        starting = isinstance(error, ReloadFailed)
        who = blamed(
            others, wanted.rendered.config, trusted=self._trusted(starting=starting), doubted=self._doubted
        )
        for name, words in who.templates.items():
            found |= self._renderer.fall_back(name, f"HAProxy says: {words}")
            self.quarantine.release(self._doubted.pop(name, ()))
        if found:
            self._last = None
        self._doubted |= who.doubted
        by_key = {service.key: service for service in wanted.services}
        for key in who.services.keys() & by_key.keys():
            label, words = who.services[key]
            retry_at = None
            if starting:
                retry_at = clock.seconds() + RETRY_BIND * 2.0 ** min(self.quarantine.failures(key), 4)
            self._condemn(by_key[key], label_of(label, by_key[key], words), words, retry_at)
            found = True
        return found

    def _trusted(self, *, starting: bool) -> Collection[str]:
        """The operator's templates that HAProxy has accepted; at a start it has read all that is there."""
        if self._accepted is not None:
            self._proven |= operators(self._accepted.rendered.config)
        return BY_NAME if starting else self._proven

    def _is_certificates(self, complaint: Complaint) -> bool:
        """Whether a file is to blame, which is left out from now on."""
        certificates, owner = self._certificates, complaint.owner
        if certificates is None or not isinstance(owner, Owner):
            return False
        return certificates.refuse(complaint.message, owner.app_id)

    async def search_templates(
        self, error: InvalidConfiguration, wanted: Wanted, passes: Callable[[Config], Awaitable[bool]]
    ) -> bool:
        """Find the one template without which HAProxy accepts the rest, HAPROXY_HEAD first."""
        doubtful = operators(wanted.rendered.config) - frozenset(self._trusted(starting=False))
        for name in sorted(doubtful, key=lambda each: (each != "HEAD", each)):
            trial = self._renderer.copy()
            if trial.fall_back(name, "") and await passes(trial.render(wanted.services).config):
                self._last = None
                return self._renderer.fall_back(name, f"HAProxy says: {error.words}")
        return False

    def _condemn(self, service: Service, label: str, words: str, retry_at: float | None) -> None:
        accepted = None
        if self._accepted is not None:
            accepted = next((s for s in self._accepted.services if s.key == service.key), None)
        self.quarantine.condemn(service, accepted, label, words, retry_at)
        self._last = None


def _tasks_alone(before: AppServices, after: AppServices) -> bool:
    """Whether an app's services differ in their servers and dates at most."""
    return (
        before.problems == after.problems
        and len(before.services) == len(after.services)
        and all(bare(old) == bare(new) for old, new in zip(before.services, after.services, strict=True))
    )
