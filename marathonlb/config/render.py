"""
From routed services to the text of HAProxy's configuration.

Rendering is cached per service: a change of one app renders one app. The same services give the same bytes,
whatever order they came in.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from functools import lru_cache
from os.path import isdir

from attrs import evolve, field, frozen

from marathonlb.config import counters, frontends, userlists
from marathonlb.config.sections import Sections, ServiceText, asks_clients
from marathonlb.config.templates import hashes, heads
from marathonlb.config.templates.loader import Templates
from marathonlb.config.templates.variables import shared_variables
from marathonlb.config.text import line_check, named_defaults
from marathonlb.config.text.model import Chunk, Config, MapEntry, Owner, Section
from marathonlb.config.text.rows import Rows
from marathonlb.errors import TemplateError
from marathonlb.marathon.model import HealthCheck
from marathonlb.problem_kinds.operators import TEMPLATE_SERVICE
from marathonlb.problem_kinds.table import BY_CODE
from marathonlb.routing.claims.settle import settle
from marathonlb.routing.problems import Problem
from marathonlb.routing.rules import MapRule, Rules, rules_of
from marathonlb.routing.services.model import Service
from marathonlb.routing.sni import Sni, tls_of
from marathonlb.settings import Settings

Key = tuple[str, int]
"""What names a service: the app's id and the port's index."""

PLAIN = tuple(
    tuple(
        Service(f"/{name}", 0, port, f"{name}_{port}", "http", health_check=check)
        for name, port in (("A", 1), ("B", 2))
    )
    for check in (None, HealthCheck(path="/"))
)
"""
What apps without labels offer: not checked, or checked as Marathon does where an app says no more.

Two of each, of ids that no app has: where their backends differ, a template names what each has for itself.
"""

SESSIONS_SINCE = (3, 2)
"""HAProxy tells the sessions of frontends with other client certificates apart from this version on."""

NO_RESUMPTION = Section(
    "global", "tune.ssl.cachesize", (Chunk("\nglobal\n  tune.ssl.cachesize 0\n", Owner()),)
)
"""
Where clients are asked for certificates, older ones would resume a session that began in a frontend that asks for none.

All frontends share one cache of sessions there, so it is empty; our HAPROXY_HEAD gives out no tickets either.
"""

MAPS = ("path2backend.map", "domain2backend.map", "wildcard2backend.map", "app2backend.map")


def _services(services: Iterable[Service]) -> Rows[Service]:
    return Rows.of(services)


@frozen
class Rendered:
    """
    A configuration and what could not go into it.

    :param services: those that are in it, with what each was given.
    :param sni: what the https port does with the names in handshakes.
    :param rules: of the shared frontends; their services are as they were when the rules were made.
    :param templates: those that it was rendered from.
    :param wrong: the operator's templates that could not be rendered for some service, each with the reason.
    :param renamed: the names of backends that are not what the app's id makes of them.
    :param _left_out: the services that are not in it, with the problem of those whose template is wrong.
    """

    config: Config
    services: Rows[Service] = field(default=(), converter=_services)
    problems: tuple[Problem, ...] = ()
    rules: Rules = field(factory=Rules, repr=False)
    sni: Sni = field(factory=Sni, repr=False)
    _places: Mapping[Key, int] = field(factory=dict, repr=False)
    _first: int = 0
    _contested: frozenset[Key] = frozenset()
    _left_out: Mapping[Key, tuple[Service, Problem | None]] = field(factory=dict, repr=False)
    renamed: Mapping[Key, str] = field(factory=dict, repr=False)
    templates: Templates | None = field(default=None, repr=False)
    wrong: Mapping[str, str] = field(factory=dict)

    def holds(self, key: Key) -> bool:
        """Whether a service is in it."""
        return key in self._places


class Renderer:
    """
    Renders configurations, one after another, and remembers the sections of services that did not change.

    :param templates: all templates, as they were read.
    :param is_directory: whether there is a directory of this path.
    """

    def __init__(
        self, settings: Settings, templates: Templates, is_directory: Callable[[str], bool] = isdir
    ) -> None:
        self._is_directory = lru_cache(maxsize=100)(is_directory)  # one answer, lest a text follow the disk
        self.settings = settings
        self.templates = templates
        self._cache: dict[Key, tuple[Service, Sections | Problem]] = {}
        self._apart = False
        self._defaults = False
        self._binds_sessions = False

    def copy(self) -> Renderer:
        """Another one that knows the same, for a question of what would be."""
        other = Renderer(self.settings, self.templates, self._is_directory)
        other._cache = dict(self._cache)
        other._apart, other._defaults = self._apart, self._defaults
        other._binds_sessions = self._binds_sessions
        return other

    def write_defaults(self, wanted: bool = True) -> bool:
        """
        Write the ``defaults`` from which backends are made while HAProxy runs, or do not.

        :return: False where that is so already.
        """
        before, self._defaults = self._defaults, wanted
        return before is not wanted

    def trust_sessions(self) -> bool:
        """
        Take note that this HAProxy resumes a TLS session only where the same client certificates are asked for.

        :return: False where that is known already.
        """
        before, self._binds_sessions = self._binds_sessions, True
        return not before

    def serve_certificates(self, paths: tuple[str, ...]) -> None:
        """Take other certificates for the shared https frontend; without one there is none."""
        if paths != self.settings.ssl_certs:
            self.settings = evolve(self.settings, ssl_certs=paths)
            self._cache.clear()

    def use(self, templates: Templates) -> None:
        """Render other templates from now on."""
        self.templates = templates
        self._cache.clear()

    def tell_apart(self) -> bool:
        """
        Take note that this HAProxy refuses a frontend and a backend of one name.

        :return: False where that is known already.
        """
        if self._apart:
            return False
        self._apart = True
        self._cache.clear()
        return True

    def render(self, services: Iterable[Service]) -> Rendered:
        """
        The configuration for these services.

        One whose template is wrong is left out, whoever wrote it; a shared section whose template is closed is missing.

        :raises TemplateError: a template that no service is left out for is wrong.
        """
        known = list(services)
        out: dict[Key, Problem] = {}
        while True:
            rendered, more = self._render(known, out)
            if not more:
                return rendered
            out |= more

    def _render(
        self, services: Iterable[Service], out: Mapping[Key, Problem]
    ) -> tuple[Rendered, Mapping[Key, Problem]]:
        """The configuration without some services; with it those that have to be left out, too, and why."""
        template, shared = self.templates.get("HEAD"), shared_variables(self.settings)
        head, told = heads.head(
            template, self.templates.defaults["HEAD"], self.settings, shared, self._is_directory
        )
        written = frontends.written_ports(self.templates, self.settings, shared, head.text)
        settled = settle(services, self.settings, written)
        problems = [*told, *settled.problems]
        kept, sections, left_out = self._writable(settled.services, out)
        problems += (problem for _, problem in left_out.values() if problem is not None)
        kept, sections, taken, claimants = userlists.settled(head, kept, sections)
        problems += (*taken, *_remarks(kept, sections))
        seen = {service.key for service in kept}
        for key in [key for key in self._cache if key not in seen]:
            del self._cache[key]
        rules = rules_of(
            kept,
            settled.lost,
            lambda s: frontends.needs_acl(s, self.templates),
            maps=self.settings.haproxy_map,
            names_app=lambda s: frontends.names_app(s, self.templates),
        )
        rules, long = line_check.without_long(rules, line_check.room_of_maps(head.text))
        rules, sni = tls_of(kept, rules, self.settings)
        problems += (*long, *sni.problems)
        text = frontends.SharedFrontends(self.settings, self.templates, shared, rules, kept, sni)
        ours = tuple(text.sections())
        problems += text.told
        problems += hashes.shared((head, *ours), self.settings.max_password_cost)
        asks = any(own.demands for own in sections) or any(map(asks_clients, (head, *ours)))
        before = (
            head,
            *((NO_RESUMPTION,) if asks and not self._binds_sessions else ()),
            *counters.sections(self.templates, self.settings, kept),
            *(own.userlist for own in sections if own.userlist),
            *ours,
            *(own.frontend for own in sections if own.frontend),
        )
        backends = (own.backend for own in sections if own.backend)
        config = Config(
            (*before, *backends, *self._own_defaults(head, kept, sections)),
            {
                name: _entries(entries)
                for name, entries in zip(
                    MAPS, (rules.paths, rules.hosts, rules.wildcards, rules.app_ids), strict=True
                )
            }
            if self.settings.haproxy_map
            else {},
        )
        places = {service.key: place for place, service in enumerate(kept)}
        contested = settled.contested | sni.contested | rules.alike | claimants
        made = Rendered(config, tuple(kept), tuple(problems), rules, sni, places, len(before), contested)
        made = evolve(
            made,
            left_out=left_out,
            renamed=settled.renamed,
            templates=self.templates,
            wrong=_operators_wrong(problem for _, problem in left_out.values()),
        )
        return made, text.refused

    def _writable(
        self, services: Iterable[Service], out: Mapping[Key, Problem]
    ) -> tuple[list[Service], list[Sections], dict[Key, tuple[Service, Problem | None]]]:
        """The services that can be written and are not switched off, their sections, and the others with the reason."""
        kept: list[Service] = []
        sections: list[Sections] = []
        left_out: dict[Key, tuple[Service, Problem | None]] = {}
        for service in services:
            own = out.get(service.key) or self._tried(service)
            if isinstance(own, Sections) and own.backend is not None:
                kept.append(service)
                sections.append(own)
            else:
                left_out[service.key] = service, own if isinstance(own, Problem) else None
        return kept, sections, left_out

    def render_servers(self, rendered: Rendered, moved: Iterable[tuple[Service, Service]]) -> Rendered | None:
        """
        The configuration after a change of tasks alone; costs what has changed.

        :param rendered: the last configuration that this renderer made.
        :param moved: services as they were offered then and as they are offered now, alike but for servers and dates.
        :return: None where more may follow from the change, and everything has to be rendered.
        """
        try:
            return self._with_servers(rendered, moved)
        except TemplateError:
            return None

    def _with_servers(self, rendered: Rendered, moved: Iterable[tuple[Service, Service]]) -> Rendered | None:
        sections: dict[int, Section] = {}
        changed: dict[int, Service] = {}
        for old, new in moved:
            if old.since != new.since and new.key in rendered._contested:
                return None
            place = rendered._places.get(new.key)
            if place is None:
                if not self._stays_out(rendered, new):
                    return None
                continue
            held = rendered.services[place]
            if not self._has_app_of(held, new):
                return None
            service = evolve(held, servers=new.servers, since=new.since)
            backend = self._backend_alone(held, service) if held.servers == old.servers else None
            if backend is None:
                return None
            sections[rendered._first + place] = backend
            changed[place] = service
        config = rendered.config.replace(sections)
        return evolve(rendered, config=config, services=rendered.services.replace(changed))

    def _backend_alone(self, held: Service, service: Service) -> Section | None:
        """The backend of a service that has other servers; None where it may not be all that they change."""
        if frontends.names_servers(service, self.templates):
            return None
        before, after = self._tried(held), self._tried(service)
        if isinstance(before, Problem) or isinstance(after, Problem) or after.others != before.others:
            return None
        return after.backend

    def _stays_out(self, rendered: Rendered, new: Service) -> bool:
        """Whether a service that is not in a configuration is not in it with other servers, and why is the same."""
        held, problem = rendered._left_out.get(new.key, (None, None))
        if held is None:  # it was kept from the renderer, or another one has its name
            return True
        now = self._tried(evolve(held, servers=new.servers, since=new.since))
        return now == problem if isinstance(now, Problem) else problem is None and now.backend is None

    def _own_defaults(
        self, head: Section, services: Iterable[Service], sections: Iterable[Sections]
    ) -> tuple[Section, ...]:
        """The ``defaults`` for backends like these, and for those of apps without a label but their host."""
        if not self._defaults:
            return ()
        always = []
        for pair in PLAIN:
            with suppress(TemplateError):
                own = [
                    ServiceText(each, self.settings, self.templates, self._apart).sections() for each in pair
                ]
                if own[0].body == own[1].body:
                    always.append(own[0].body)
        bodies = (own.body for service, own in zip(services, sections, strict=True) if service.mode == "http")
        return named_defaults.sections((head,), always, bodies)

    def _tried(self, service: Service) -> Sections | Problem:
        """The sections of a service, or what is wrong with a template of its."""
        try:
            return self._sections(service)
        except TemplateError as error:
            return frontends.template_problem(service, error)

    def _has_app_of(self, held: Service, service: Service) -> bool:
        """Whether two services that are alike have one app, as far as a template reads it."""
        return not self.templates.read_app or held.app == service.app

    def _sections(self, service: Service) -> Sections | Problem:
        cached = self._cache.get(service.key)
        same = cached is not None and (cached[0] is service or cached[0] == service)
        if cached is not None and same and self._has_app_of(cached[0], service):
            return cached[1]
        text = ServiceText(service, self.settings, self.templates, self._apart).sections()
        made = line_check.too_long(service, text.written) or text
        self._cache[service.key] = (service, made)
        return made


def _entries(rules: Sequence[MapRule]) -> tuple[MapEntry, ...]:
    return tuple(
        MapEntry(rule.key, rule.service.backend, Owner(rule.service.app_id, rule.service.port_index, "MAP"))
        for rule in rules
    )


def _operators_wrong(problems: Iterable[Problem | None]) -> Mapping[str, str]:
    """The operator's templates that are wrong for a service, each with the reason; those that are closed are not."""
    return {
        each.label.removeprefix("HAPROXY_"): each.reason
        for each in problems
        if each is not None and each.kind is TEMPLATE_SERVICE
    }


def _remarks(services: Iterable[Service], sections: Iterable[Sections]) -> Iterable[Problem]:
    """A word to everybody whose text was written anew, the operator once."""
    shared = set()
    for service, own in zip(services, sections, strict=True):
        for owner, words, kind in own.remarks:
            if owner.label:
                yield Problem(
                    service.app_id, service.port_index, owner.label, "", words, fatal=False, kind=kind
                )
            else:
                shared.add((f"HAPROXY_{owner.template}", owner.source, words, kind.code))
    for label, source, words, code in sorted(shared):
        yield Problem("", None, label, source, words, fatal=False, kind=BY_CODE[code])
