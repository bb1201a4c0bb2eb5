"""
One rendering of a whole configuration, step by step. Pure, but for the directories of sockets.

The order of the steps is the order of precedence: the ports that HAPROXY_HEAD binds, the claims of services, their
sections, and then the rules that route to the services that are left.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from attrs import define, field

from marathonlb.config import counters, frontends, heads, userlists
from marathonlb.config.rendered import Rendered, ServiceKey
from marathonlb.config.rule_templates import names_app, needs_acl
from marathonlb.config.sections import Sections, asks_clients
from marathonlb.config.templates import hashes
from marathonlb.config.templates.loader import Templates
from marathonlb.config.templates.variables import shared_variables
from marathonlb.config.text import line_check
from marathonlb.config.text.model import Chunk, Config, MapEntry, Owner, Section
from marathonlb.problem_kinds.operators import TEMPLATE_SERVICE
from marathonlb.problem_kinds.table import BY_CODE
from marathonlb.routing.claims.settle import Settled, settle
from marathonlb.routing.problems import Problem
from marathonlb.routing.rules import MapRule, Rules, rules_of
from marathonlb.routing.services.model import Service
from marathonlb.routing.sni import Sni, tls_of
from marathonlb.settings import Settings

NO_RESUMPTION = Section(
    "global", "tune.ssl.cachesize", (Chunk("\nglobal\n  tune.ssl.cachesize 0\n", Owner()),)
)
"""
Disables TLS session resumption, for versions of HAProxy before `marathonlb.config.render.SESSIONS_SINCE`.

There all frontends share one cache of sessions, and a session that began in a frontend that asks for no client
certificate would be resumed in one that does. Our HAPROXY_HEAD disables session tickets too.
"""

MAPS = ("path2backend.map", "domain2backend.map", "wildcard2backend.map", "app2backend.map")


@define
class Assembly:
    """
    The context of one rendering, filled step by step.

    :param templates: the templates that are used.
    :param resumes_safely: True if this HAProxy resumes a TLS session only under the same client certificates.
    :param is_directory: returns whether a path is a directory.
    :ivar variables: the variables of templates that belong to no service.
    :ivar head: the section of HAPROXY_HEAD.
    :ivar problems: the problems found so far.
    :ivar services: the services in the configuration.
    :ivar sections: their sections, in the same order.
    :ivar refused: services that have to be left out as well, by key, because of a wrong template among their rules.
    """

    settings: Settings
    templates: Templates
    resumes_safely: bool
    is_directory: Callable[[str], bool]
    variables: Mapping[str, Any] = field(init=False)
    head: Section = field(init=False)
    problems: list[Problem] = field(factory=list, init=False)
    services: list[Service] = field(factory=list, init=False)
    sections: list[Sections] = field(factory=list, init=False)
    refused: Mapping[ServiceKey, Problem] = field(factory=dict, init=False)
    _settled: Settled = field(init=False)
    _rules: Rules = field(factory=Rules, init=False)
    _sni: Sni = field(factory=Sni, init=False)
    _shared: tuple[Section, ...] = field(default=(), init=False)
    _userlist_claimants: frozenset[ServiceKey] = field(default=frozenset(), init=False)
    _left_out: dict[ServiceKey, tuple[Service, Problem | None]] = field(factory=dict, init=False)

    def settle(self, services: Iterable[Service]) -> Iterable[Service]:
        """
        Render HAPROXY_HEAD, and return the services with the ports and names that they get beside it.

        :raises TemplateError: HAPROXY_HEAD or the head of a shared frontend is wrong.
        """
        self.variables = shared_variables(self.settings)
        template, default = self.templates.get("HEAD"), self.templates.defaults["HEAD"]
        self.head, problems = heads.head(template, default, self.settings, self.variables, self.is_directory)
        ports = frontends.written_ports(self.templates, self.settings, self.variables, self.head.text)
        self._settled = settle(services, self.settings, ports)
        self.problems += (*problems, *self._settled.problems)
        return self._settled.services

    def take(self, written: Iterable[tuple[Service, Sections | Problem]]) -> None:
        """
        Take the services that can be written; the others are left out.

        :param written: the settled services, each with its sections, or with the problem of a wrong template.
        """
        for service, own in written:
            if isinstance(own, Sections) and own.backend is not None:
                self.services.append(service)
                self.sections.append(own)
            else:
                problem = own if isinstance(own, Problem) else None
                self._left_out[service.key] = service, problem
                self.problems += (problem,) if problem is not None else ()
        self.services, self.sections, problems, self._userlist_claimants = userlists.settled(
            self.head, self.services, self.sections
        )
        self.problems += (*problems, *_remarks(self.services, self.sections))

    def route(self) -> None:
        """
        Make the rules of the services and write the shared frontends.

        :raises TemplateError: a template of a shared frontend is wrong.
        """
        rules = rules_of(
            self.services,
            self._settled.lost,
            lambda service: needs_acl(service, self.templates),
            maps=self.settings.haproxy_map,
            names_app=lambda service: names_app(service, self.templates),
        )
        rules, too_long = line_check.without_long(rules, line_check.room_of_maps(self.head.text))
        self._rules, self._sni = tls_of(self.services, rules, self.settings)
        shared = frontends.SharedFrontends(
            self.settings, self.templates, self.variables, self._rules, self.services, self._sni
        )
        self._shared = tuple(shared.sections())
        self.problems += (*too_long, *self._sni.problems, *shared.problems)
        self.problems += hashes.shared((self.head, *self._shared), self.settings.max_password_cost)
        self.refused = shared.refused

    def rendered(self, defaults: Sequence[Section]) -> Rendered:
        """
        Return the configuration.

        :param defaults: the named ``defaults`` from which backends are created at runtime.
        """
        before = (
            self.head,
            *((NO_RESUMPTION,) if self._asks_clients() and not self.resumes_safely else ()),
            *counters.sections(self.templates, self.settings, self.services),
            *(own.userlist for own in self.sections if own.userlist),
            *self._shared,
            *(own.frontend for own in self.sections if own.frontend),
        )
        backends = (own.backend for own in self.sections if own.backend)
        return Rendered(
            config=Config((*before, *backends, *defaults), self._maps()),
            services=tuple(self.services),
            problems=tuple(self.problems),
            rules=self._rules,
            sni=self._sni,
            renamed=self._settled.renamed,
            templates=self.templates,
            wrong=_wrong_templates(problem for _, problem in self._left_out.values()),
            places={service.key: place for place, service in enumerate(self.services)},
            first_backend=len(before),
            contested=self._contested(),
            left_out=self._left_out,
        )

    def _asks_clients(self) -> bool:
        """Return whether any port asks clients for certificates."""
        if any(own.asks_clients for own in self.sections):
            return True
        return any(map(asks_clients, (self.head, *self._shared)))

    def _contested(self) -> frozenset[ServiceKey]:
        """Return the services whose age decides a conflict."""
        return self._settled.contested | self._sni.contested | self._rules.alike | self._userlist_claimants

    def _maps(self) -> dict[str, tuple[MapEntry, ...]]:
        """Return the map files; none if maps are switched off."""
        if not self.settings.haproxy_map:
            return {}
        rules = self._rules
        tables = (rules.paths, rules.hosts, rules.wildcards, rules.app_ids)
        return {name: _entries(entries) for name, entries in zip(MAPS, tables, strict=True)}


def _entries(rules: Sequence[MapRule]) -> tuple[MapEntry, ...]:
    return tuple(
        MapEntry(rule.key, rule.service.backend, Owner(rule.service.app_id, rule.service.port_index, "MAP"))
        for rule in rules
    )


def _wrong_templates(problems: Iterable[Problem | None]) -> Mapping[str, str]:
    """Return the operator's templates that are wrong for a service, each with the reason; closed ones are not among."""
    return {
        problem.label.removeprefix("HAPROXY_"): problem.reason
        for problem in problems
        if problem is not None and problem.kind is TEMPLATE_SERVICE
    }


def _remarks(services: Iterable[Service], sections: Iterable[Sections]) -> Iterable[Problem]:
    """Yield the remarks as problems: one for each app's label, and one for each of the operator's templates."""
    operators = set()
    for service, own in zip(services, sections, strict=True):
        for remark in own.remarks:
            owner, kind = remark.owner, remark.kind
            if owner.label:
                yield Problem(
                    service.app_id, service.port_index, owner.label, "", remark.words, fatal=False, kind=kind
                )
            else:
                operators.add((f"HAPROXY_{owner.template}", owner.source, remark.words, kind.code))
    for label, source, words, code in sorted(operators):
        yield Problem("", None, label, source, words, fatal=False, kind=BY_CODE[code])
