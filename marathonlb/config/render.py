"""
From routed services to the text of HAProxy's configuration.

Rendering is cached per service: a change of one app renders one app. The same services give the same bytes,
whatever order they came in.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from attrs import evolve, field, frozen

from marathonlb.config import frontends
from marathonlb.config.sources import Templates
from marathonlb.config.templates import Template
from marathonlb.config.text import Chunk, Config, MapEntry, Owner, Section
from marathonlb.config.variables import (
    SERVER_VARIABLES,
    server_variables,
    service_variables,
    shared_variables,
)
from marathonlb.errors import TemplateError
from marathonlb.routing.claims import settle
from marathonlb.routing.problems import Problem
from marathonlb.routing.rules import MapRule, Rules, rules_of
from marathonlb.routing.services import Service
from marathonlb.routing.sni import Sni, sni_of
from marathonlb.settings import Settings

Key = tuple[str, int]
"""What names a service: the app's id and the port's index."""

MAPS = ("path2backend.map", "domain2backend.map", "wildcard2backend.map", "app2backend.map")


@frozen
class Rendered:
    """
    A configuration and what could not go into it.

    :param services: those that are in it, with what each was given.
    :param sni: what the https port does with the names in handshakes.
    :param rules: of the shared frontends; their services are as they were when the rules were made.
    """

    config: Config
    services: tuple[Service, ...] = ()
    problems: tuple[Problem, ...] = ()
    rules: Rules = field(factory=Rules, repr=False)
    sni: Sni = field(factory=Sni, repr=False)
    _places: Mapping[Key, int] = field(factory=dict, repr=False)
    _contested: frozenset[Key] = frozenset()


@frozen
class _Sections:
    """The sections of one service."""

    userlist: Section | None
    frontend: Section | None
    backend: Section | None

    @property
    def others(self) -> list[str]:
        """The text of all but the backend."""
        return [section.text if section else "" for section in (self.userlist, self.frontend)]


class Renderer:
    """
    Renders configurations, one after another, and remembers the sections of services that did not change.

    :param templates: all templates, as they were read.
    """

    def __init__(self, settings: Settings, templates: Templates) -> None:
        self.settings = settings
        self.templates = templates
        self._cache: dict[Key, tuple[Service, _Sections]] = {}
        self._refused: list[Problem] = []

    def copy(self) -> Renderer:
        """Another one that knows the same, for a question of what would be."""
        other = Renderer(self.settings, self.templates)
        other._cache, other._refused = dict(self._cache), list(self._refused)
        return other

    def serve_certificates(self, paths: tuple[str, ...]) -> None:
        """Take other certificates for the shared https frontend; without one there is none."""
        if paths != self.settings.ssl_certs:
            self.settings = evolve(self.settings, ssl_certs=paths)
            self._cache.clear()

    def fall_back(self, name: str, words: str) -> bool:
        """
        Use the default in place of the operator's text of a template, which HAProxy refuses.

        :param words: HAProxy's.
        :return: False where it is the default already.
        """
        template = self.templates.shared.get(name)
        if template is None or template.is_default:
            return False
        reason = (
            f"HAProxy says: {words}; the default serves in its place until the controller is started anew"
        )
        self._refused.append(Problem("", None, f"HAPROXY_{name}", template.source, reason))
        self.templates = self.templates.fall_back(name)
        self._cache.clear()
        return True

    def render(self, services: Iterable[Service]) -> Rendered:
        """
        The configuration for these services.

        :raises TemplateError: a shared template is wrong; one that an app's label overrides is that app's problem.
        """
        settled = settle(services, self.settings)
        problems = [*self._refused, *settled.problems]
        kept: list[Service] = []
        sections: list[_Sections] = []
        for service in settled.services:
            try:
                own = self._sections(service)
            except TemplateError as error:
                problems.append(_template_problem(service, error))
                continue
            if own.backend is not None:
                kept.append(service)
                sections.append(own)
        seen = {service.key for service in kept}
        for key in [key for key in self._cache if key not in seen]:
            del self._cache[key]
        shared = shared_variables(self.settings)
        rules = rules_of(
            kept,
            settled.lost,
            lambda s: frontends.needs_acl(s, self.templates),
            maps=self.settings.haproxy_map,
            names_app=lambda s: frontends.names_app(s, self.templates),
        )
        sni = sni_of(kept, rules, self.settings)
        problems += sni.problems
        text = frontends.SharedFrontends(self.settings, self.templates, shared, rules, kept, problems, sni)
        config = Config(
            (
                self._head(shared),
                *(own.userlist for own in sections if own.userlist),
                *text.sections(),
                *(own.frontend for own in sections if own.frontend),
                *(own.backend for own in sections if own.backend),
            ),
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
        return Rendered(config, tuple(kept), tuple(problems), rules, sni, places, settled.contested)

    def render_servers(self, rendered: Rendered, services: Iterable[Service]) -> Rendered | None:
        """
        The configuration after a change of tasks alone; costs what has changed.

        :param rendered: the last configuration that this renderer made.
        :param services: those that have other servers now.
        :return: None where more may follow from the change, and everything has to be rendered.
        """
        sections: dict[int, Section] = {}
        changed = list(rendered.services)
        first = len(rendered.config.sections) - len(changed)
        for service in services:
            place = rendered._places.get(service.key)
            if (
                place is None
                or service.key in rendered._contested
                or frontends.needs_acl(service, self.templates)
            ):
                return None
            held = changed[place]
            if evolve(held, servers=service.servers, since=service.since) != service:
                return None
            before = self._sections(held)
            after = self._sections(service)
            if after.backend is None or after.others != before.others:
                return None
            sections[first + place] = after.backend
            changed[place] = service
        return evolve(rendered, config=rendered.config.replace(sections), services=tuple(changed))

    def _head(self, shared: Mapping[str, Any]) -> Section:
        template = self.templates.get("HEAD")
        return Section(
            "head", "", (frontends.chunk(template, Owner(None, None, "HEAD", template.source), shared),)
        )

    def _sections(self, service: Service) -> _Sections:
        cached = self._cache.get(service.key)
        if cached is not None and cached[0] == service:
            return cached[1]
        made = _ServiceText(service, self.settings, self.templates).sections()
        self._cache[service.key] = (service, made)
        return made


@frozen
class _ServiceText:
    """Renders the sections of one service."""

    service: Service
    settings: Settings
    templates: Templates
    _variables: dict[str, Any] = field(init=False)

    @_variables.default
    def _make_variables(self) -> dict[str, Any]:
        return service_variables(self.service, self.settings)

    def sections(self) -> _Sections:
        """The service's userlist, frontend and backend, each where it has one."""
        service = self.service
        head = self._chunk("BACKEND_HEAD")
        if not head.text.strip():
            return _Sections(None, None, None)
        userlist = None
        if service.auth:
            userlist = Section("userlist", f"user_{service.backend}", (self._chunk("USERLIST_HEAD"),))
        frontend = None
        if service.binds_port:
            front = self._chunk("FRONTEND_HEAD")
            if front.text.strip():
                chunks = (front, self._chunk("FRONTEND_EXTRA"), self._chunk("FRONTEND_BACKEND_GLUE"))
                frontend = Section("frontend", service.frontend, tuple(c for c in chunks if c.text))
        backend = Section("backend", service.backend, tuple(c for c in (head, *self._body()) if c.text))
        return _Sections(userlist, frontend, backend)

    def _body(self) -> Iterable[Chunk]:
        service = self.service
        http = service.mode == "http"
        if service.networks:
            kind = "HTTP" if http else "TCP"
            for network in service.networks:
                yield self._chunk(f"{kind}_BACKEND_NETWORK_ALLOWED_ACL", {"network_allowed": network})
            yield self._chunk(f"{kind}_BACKEND_ACL_ALLOW_DENY")
        if service.cors and http:  # first, so that the pages may read whatever is answered
            yield self._chunk("BACKEND_CORS")
        if service.maintenance:
            yield self._chunk("BACKEND_MAINTENANCE")
        if service.rate_limit and http:
            yield self._chunk("BACKEND_RATE_LIMIT")
        if http:
            yield from self._http_body()
        if service.sticky and http:
            yield self._chunk("BACKEND_STICKY_OPTIONS")
        if service.health_check is not None:
            yield self._chunk(f"BACKEND_{self._check_kind}_HEALTHCHECK_OPTIONS")
        if service.timeout_server or service.timeout_tunnel:
            yield self._chunk("BACKEND_TIMEOUTS")
        yield self._chunk("BACKEND_EXTRA")
        yield self._servers()

    def _http_body(self) -> Iterable[Chunk]:
        service = self.service
        if service.redirect_to_https:
            name = "BACKEND_REDIRECT_HTTP_TO_HTTPS" + ("_WITH_PATH" if service.paths else "")
            if not self.templates.overridden(name, service):
                yield self._chunk(name)
        if service.auth and not frontends.auth_in_frontends(service, self.templates):
            yield self._auth()
        yield self._chunk("BACKEND_HTTP_OPTIONS")
        if service.use_hsts:
            yield self._chunk("BACKEND_HSTS_OPTIONS")
        # Before the path is cut: what is cut down to / is not the client's /.
        if service.redirect_path or "HTTP_BACKEND_REDIR" in service.overrides:
            yield self._chunk("HTTP_BACKEND_REDIR")
        if service.proxypass_path:
            yield self._chunk("HTTP_BACKEND_PROXYPASS_GLUE")
        if service.revproxy_path:
            yield self._chunk("HTTP_BACKEND_REVPROXY_GLUE")

    def _auth(self) -> Chunk:
        """
        Basic auth on what comes from the shared frontends.

        Asked in the backend, where the routing is decided: a frontend's rule would also ask for the password of
        paths that another service of the host answers.
        """
        service = self.service
        own = " ".join((service.frontend, service.backend, "marathon_http_appid_in"))
        realm = f'"{self._variables["realm"]}"'
        asked = f"!{{ fe_name -m str {own} }} !{{ http_auth(user_{service.backend}) }}"
        text = f"  http-request auth realm {realm} if {asked}\n"
        return Chunk(
            text, Owner(service.app_id, service.port_index, "HTTP_FRONTEND_ACL_WITH_AUTH", "default")
        )

    @property
    def _check_kind(self) -> str:
        return "HTTP" if self.service.checks_http else "TCP"

    def _servers(self) -> Chunk:
        line = self.templates.get("BACKEND_SERVER_OPTIONS", self.service)
        extra = self.templates.get("SERVER_EXTRA", self.service)
        check = None
        if self.service.health_check is not None:
            check = self.templates.get(f"BACKEND_SERVER_{self._check_kind}_HEALTHCHECK_OPTIONS", self.service)
        alike = check is not None and SERVER_VARIABLES.isdisjoint(check.names - {"healthCheckPortOptions"})
        options: dict[str, str] = {}
        whole = not line.names <= SERVER_VARIABLES
        lines = []
        for server in self.service.servers:
            own = server_variables(server, self.service)
            port = own["healthCheckPortOptions"]
            if check is None:
                said = ""
            elif alike and port in options:
                said = options[port]
            else:
                said = check.render({**self._variables, **own}).strip()
                options[port] = said = f" {said}" if said else ""
            own["healthCheckOptions"] = said
            text = line.render({**self._variables, **own} if whole else own)
            if not extra.is_empty:
                text = _with_words(text, extra.render({**self._variables, **own}))
            lines.append(text)
        text = "".join(frontends.whole_lines(each) for each in dict.fromkeys(lines))
        named = line.source.startswith("label ") or extra.is_empty
        return Chunk(text, self._owner(line if named else extra))

    def _chunk(self, name: str, more: Mapping[str, Any] | None = None) -> Chunk:
        template = self.templates.get(name, self.service)
        variables = self._variables if more is None else {**self._variables, **more}
        return frontends.chunk(template, self._owner(template), variables)

    def _owner(self, template: Template) -> Owner:
        return Owner(self.service.app_id, self.service.port_index, template.name, template.source)


def _with_words(text: str, words: str) -> str:
    """The lines, with words at the end of each ``server`` line."""
    more = " ".join(words.split("\n")).strip()
    lines = text.rstrip("\n").split("\n")
    return "\n".join(f"{line} {more}" if line.split()[:1] == ["server"] else line for line in lines)


def _entries(rules: Sequence[MapRule]) -> tuple[MapEntry, ...]:
    return tuple(
        MapEntry(rule.key, rule.service.backend, Owner(rule.service.app_id, rule.service.port_index, "MAP"))
        for rule in rules
    )


def _template_problem(service: Service, error: TemplateError) -> Problem:
    if not error.source.startswith("label "):
        raise error
    label = error.source.removeprefix("label ")
    return Problem(
        service.app_id,
        service.port_index,
        label,
        service.overrides.get(label.split("_", 2)[2], ""),
        error.reason,
    )
