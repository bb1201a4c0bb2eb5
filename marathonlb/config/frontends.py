"""
The shared frontends: http, https and the one by app id.

Their first lines are global templates; what follows are the rules, in the order of `marathonlb.routing.rules`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Any

from attrs import field, frozen

from marathonlb import limits
from marathonlb.config.https import HttpsPort
from marathonlb.config.requests import guards
from marathonlb.config.templates.chunks import render_chunk
from marathonlb.config.templates.loader import Templates
from marathonlb.config.templates.variables import HOST, rule_variables, service_variables
from marathonlb.config.text.model import DIRECTORY, Chunk, Owner, Section
from marathonlb.errors import TemplateError
from marathonlb.problem_kinds.apps import LABEL_TEMPLATE
from marathonlb.problem_kinds.operators import TEMPLATE_CLOSED, TEMPLATE_SERVICE
from marathonlb.routing.claims.ports import Bound
from marathonlb.routing.problems import Problem
from marathonlb.routing.rules import AclRule, Rules, app_id_services
from marathonlb.routing.services.addresses import bound_by
from marathonlb.routing.services.model import Service
from marathonlb.routing.sni import Sni
from marathonlb.settings import Settings

_PATH_KEY = f"""\
  http-request set-var(txn.host) {HOST}
  http-request set-var(txn.path) path
"""
_PATH_LOOKUP = f"""\
  use_backend %[var(txn.host),concat(,txn.path),map_beg({DIRECTORY}/path2backend.map)] \
if {{ var(txn.host),concat(,txn.path),map_beg({DIRECTORY}/path2backend.map) -m found }}
"""
_WILDCARD_LOOKUP = f"""\
  use_backend %[{HOST},map_end({DIRECTORY}/wildcard2backend.map)] \
if {{ {HOST},map_end({DIRECTORY}/wildcard2backend.map) -m found }}
"""

_PLAIN = (
    "HTTP_FRONTEND_ACL",
    "HTTP_FRONTEND_ACL_ONLY",
    "HTTP_FRONTEND_ROUTING_ONLY",
    "HTTPS_FRONTEND_ACL",
)
_WITH_PATH = (
    "HTTP_FRONTEND_ACL_WITH_PATH",
    "HTTP_FRONTEND_ACL_ONLY_WITH_PATH",
    "HTTP_FRONTEND_ROUTING_ONLY_WITH_PATH",
    "HTTP_FRONTEND_ACL_ONLY",
    "HTTPS_FRONTEND_ACL_WITH_PATH",
    "HTTPS_FRONTEND_ACL_ONLY_WITH_PATH",
)
_AUTH = (
    "HTTP_FRONTEND_ACL_WITH_AUTH",
    "HTTP_FRONTEND_ROUTING_ONLY_WITH_AUTH",
    "HTTPS_FRONTEND_ACL_WITH_AUTH",
    "HTTPS_FRONTEND_AUTH_ACL_ONLY",
    "HTTPS_FRONTEND_AUTH_REQUEST_ONLY",
)
_AUTH_WITH_PATH = (
    "HTTP_FRONTEND_ACL_WITH_AUTH_AND_PATH",
    "HTTP_FRONTEND_ACL_ONLY_WITH_PATH_AND_AUTH",
    "HTTP_FRONTEND_ROUTING_ONLY_WITH_PATH_AND_AUTH",
    "HTTPS_FRONTEND_ACL_WITH_AUTH_AND_PATH",
    "HTTPS_FRONTEND_ROUTING_ONLY_WITH_PATH_AND_AUTH",
    "HTTPS_FRONTEND_AUTH_ACL_ONLY",
)


def auth_in_frontends(service: Service, templates: Templates) -> bool:
    """Whether somebody's template asks for the password in the frontends; else the backend asks for it."""
    names = _AUTH_WITH_PATH if service.paths else _AUTH
    return any(templates.overridden(name, service) for name in names)


def needs_acl(service: Service, templates: Templates) -> bool:
    """Whether the routing of a service is somebody's own text, which maps cannot say."""
    if not service.overrides and templates.changed.isdisjoint(_OF_A_SERVICE):
        return False  # mostly
    names = list(_WITH_PATH if service.paths else _PLAIN)
    if service.auth and auth_in_frontends(service, templates):
        return True
    if service.redirect_to_https:
        names.append("BACKEND_REDIRECT_HTTP_TO_HTTPS" + ("_WITH_PATH" if service.paths else ""))
    names += [name for name in _MAP_LABELS if name in service.overrides]
    return any(templates.overridden(name, service) for name in names)


def names_servers(service: Service, templates: Templates) -> bool:
    """Whether somebody's own text in the shared frontends may change with the servers of a service."""
    return any(
        "service" in templates.get(name, service).names
        for name in _OF_A_SERVICE
        if templates.overridden(name, service)
    )


def names_app(service: Service, templates: Templates) -> bool:
    """Whether the rule of the app-id frontend is somebody's own text for this service."""
    return (
        templates.overridden("HTTP_FRONTEND_APPID_ACL", service)
        or "MAP_HTTP_FRONTEND_APPID_ACL" in service.overrides
    )


_MAP_LABELS = ("MAP_HTTP_FRONTEND_ACL", "MAP_HTTP_FRONTEND_ACL_ONLY", "MAP_HTTPS_FRONTEND_ACL")

_OF_A_SERVICE = frozenset(
    (
        *(*_PLAIN, *_WITH_PATH, *_AUTH, *_AUTH_WITH_PATH, *_MAP_LABELS),
        *("BACKEND_REDIRECT_HTTP_TO_HTTPS", "BACKEND_REDIRECT_HTTP_TO_HTTPS_WITH_PATH"),
        *("HTTP_FRONTEND_APPID_ACL", "MAP_HTTP_FRONTEND_APPID_ACL"),
    )
)
"""The templates that write a service's rules in the shared frontends."""


def written_ports(
    templates: Templates, settings: Settings, shared: Mapping[str, Any], head: str
) -> dict[int, list[Bound]]:
    """
    The ports that the operator's own text binds: port → the addresses, each with the template that says so.

    :param shared: the variables of templates that belong to no service.
    :param head: the text of HAPROXY_HEAD.
    """
    names = ["HTTP_FRONTEND_APPID_HEAD"]
    if not settings.dont_bind_http_https:
        names.append("HTTP_FRONTEND_HEAD")
        if settings.ssl_certs or settings.group_https_by_vhost:
            names += [
                "HTTPS_GROUPED_FRONTEND_HEAD" if settings.group_https_by_vhost else "HTTPS_FRONTEND_HEAD"
            ]
    texts = {} if templates.get("HEAD").is_default else {"HEAD": head}
    texts |= {
        name: template.render(shared)
        for name in names
        if not (template := templates.get(name)).is_default and not template.closed
    }
    found: dict[int, list[Bound]] = {}
    for name, text in texts.items():
        for address, port in bound_by(text):
            found.setdefault(port, []).append((address, f"HAPROXY_{name}"))
    return found


def template_problem(service: Service, error: TemplateError) -> Problem:
    """What a service's owner is told of a template that cannot be rendered for it: his own, or the operator's."""
    if not error.source.startswith("label "):
        label = f"HAPROXY_{error.template}"
        kind = TEMPLATE_CLOSED if error.closed else TEMPLATE_SERVICE
        return Problem(service.app_id, service.port_index, label, "", error.reason, kind=kind)
    label = error.source.removeprefix("label ")
    text = service.overrides.get(label.split("_", 2)[2], "")
    return Problem(service.app_id, service.port_index, label, text, error.reason, kind=LABEL_TEMPLATE)


@frozen
class SharedFrontends:
    """
    Renders the shared frontends.

    A section that needs a closed template is missing. A service that has a wrong template among its rules has to be
    left out of everything else, too.

    :ivar refused: those services, by key, each with the problem.
    :ivar told: what the operator should know.
    """

    settings: Settings
    templates: Templates
    shared: Mapping[str, Any]
    rules: Rules
    services: Sequence[Service]
    sni: Sni
    refused: dict[tuple[str, int], Problem] = field(factory=dict, init=False)
    told: list[Problem] = field(factory=list, init=False)
    _known: dict[tuple[str, int], tuple[Service, Mapping[str, Any]]] = field(factory=dict, init=False)
    _written: Counter[tuple[str, int]] = field(factory=Counter, init=False)

    def sections(self) -> Iterable[Section]:
        """The sections, each where its head is not switched off."""
        if not self.settings.dont_bind_http_https:
            routing = self._routing("HTTP", self.rules.first, self.rules.later)
            yield from _open(self._section("marathon_http_in", "HTTP_FRONTEND_HEAD", routing))
        yield from _open(self._section("marathon_http_appid_in", "HTTP_FRONTEND_APPID_HEAD", self._app_ids()))
        if not self.settings.dont_bind_http_https:
            https = partial(self._routing, "HTTPS")
            port = HttpsPort(self.settings, self.templates, self.shared, self.sni, https, self.rules)
            self.told.extend(port.problems())
            yield from _open(port.sections())

    def _section(self, name: str, template: str, rules: Iterable[Chunk]) -> Iterable[Section]:
        head = self._shared_chunk(template)
        if head.text.strip():
            guard = guards(head, self.settings, routed=name != "marathon_http_appid_in")
            yield Section("frontend", name, (head, guard, *(c for c in rules if c.text)))

    def _shared_chunk(self, name: str) -> Chunk:
        template = self.templates.get(name)
        return render_chunk(template, Owner(None, None, name, template.source), self.shared)

    def _routing(self, kind: str, first: Sequence[AclRule], later: Sequence[AclRule]) -> Iterable[Chunk]:
        nobody = Owner(None, None, "", "default")
        if self.settings.haproxy_map:
            yield Chunk(_PATH_KEY, nobody)
        yield from self._acls(kind, first)
        if self.settings.haproxy_map:
            yield Chunk(_PATH_LOOKUP, nobody)
            variables = {**_NO_SERVICE, **self.shared}
            for name in (f"MAP_{kind}_FRONTEND_ACL", f"MAP_{kind}_FRONTEND_ACL_ONLY"):
                template = self.templates.shared.get(name)
                if template is not None and not (name.endswith("_ONLY") and template.is_default):
                    yield render_chunk(template, Owner(None, None, name, template.source), variables)
            yield from self._acls(kind, later)
            yield Chunk(_WILDCARD_LOOKUP, nobody)

    def _acls(self, kind: str, rules: Iterable[AclRule]) -> Iterable[Chunk]:
        for rule in rules:
            writer = _RuleText(rule, self.templates, self._variables(rule.service))
            try:
                written = self._counted(rule, writer.http() if kind == "HTTP" else writer.https())
            except TemplateError as error:
                self._refuse(rule.service, error)
                continue
            yield from written

    def _variables(self, service: Service) -> Mapping[str, Any]:
        """The variables of a service, made once: some of them go over all its hosts."""
        known = self._known.get(service.key)
        if known is None or known[0] is not service:
            known = self._known[service.key] = service, service_variables(service, self.settings)
        return known[1]

    def _counted(self, rule: AclRule, chunks: Iterable[Chunk]) -> list[Chunk]:
        """The chunks of a rule. Raises `TemplateError` where the labels of its service write too much."""
        found = []
        for chunk in chunks:
            found.append(chunk)
            if chunk.owner.source.startswith("label "):
                self._written[rule.service.key] += len(chunk.text)
                if self._written[rule.service.key] > limits.RULES:
                    reason = (
                        f"comes to more than {limits.RULES} characters in all rules of the shared frontends"
                    )
                    raise TemplateError(
                        source=chunk.owner.source, reason=reason, template=chunk.owner.template
                    )
        return found

    def _app_ids(self) -> Iterable[Chunk]:
        for service in app_id_services(self.services):
            if self.settings.haproxy_map and not names_app(service, self.templates):
                continue
            names = (
                ["MAP_HTTP_FRONTEND_APPID_ACL"] if "MAP_HTTP_FRONTEND_APPID_ACL" in service.overrides else []
            )
            try:
                for name in (*names, "HTTP_FRONTEND_APPID_ACL"):
                    template = self.templates.get(name, service)
                    owner = Owner(service.app_id, service.port_index, template.name, template.source)
                    yield render_chunk(template, owner, service_variables(service, self.settings))
            except TemplateError as error:
                self._refuse(service, error)
        if self.settings.haproxy_map:
            template = self.templates.get("MAP_HTTP_FRONTEND_APPID_ACL")
            owner = Owner(None, None, template.name, template.source)
            yield render_chunk(template, owner, {**_NO_SERVICE, **self.shared})

    def _refuse(self, service: Service, error: TemplateError) -> None:
        self.refused.setdefault(service.key, template_problem(service, error))


def _open(sections: Iterable[Section]) -> Sequence[Section]:
    """These sections; none of them where a template that one needs is closed."""
    try:
        return tuple(sections)
    except TemplateError as error:
        if not error.closed:
            raise
        return ()


@frozen
class _RuleText:
    """One ACL rule as HTTP's and as HTTPS's templates write it."""

    rule: AclRule
    templates: Templates
    variables: Mapping[str, Any]

    def http(self) -> Iterable[Chunk]:
        """The rule on the http frontend; where the service redirects to https, nobody asks for a password here."""
        service = self.rule.service
        auth = (
            bool(service.auth)
            and not service.redirect_to_https
            and auth_in_frontends(service, self.templates)
        )
        path = bool(self.rule.paths)
        suffix = {(False, False): "", (True, False): "_WITH_AUTH", (False, True): "_WITH_PATH"}
        yield from self._map_label("HTTP", len(self.rule.hosts) > 1)
        if path:
            yield self._chunk("HTTP_FRONTEND_ACL_ONLY_WITH_PATH" + ("_AND_AUTH" if auth else ""))
        if len(self.rule.hosts) == 1:
            yield self._chunk("HTTP_FRONTEND_ACL" + suffix.get((auth, path), "_WITH_AUTH_AND_PATH"))
        else:
            for host in self.rule.hosts:
                yield self._chunk("HTTP_FRONTEND_ACL_ONLY", host)
            yield from self._redirect(path)
            yield self._chunk("HTTP_FRONTEND_ROUTING_ONLY" + suffix.get((auth, path), "_WITH_PATH_AND_AUTH"))
            return
        yield from self._redirect(path)

    def _redirect(self, path: bool) -> Iterable[Chunk]:
        name = "BACKEND_REDIRECT_HTTP_TO_HTTPS" + ("_WITH_PATH" if path else "")
        if self.rule.service.redirect_to_https and self.templates.overridden(name, self.rule.service):
            yield self._chunk(name)

    def _map_label(self, kind: str, several: bool) -> Iterable[Chunk]:
        """The label's text of a map rule, before the ACLs: the maps themselves lead to the service no more."""
        name = f"MAP_{kind}_FRONTEND_ACL" + ("_ONLY" if several else "")
        if name in self.rule.service.overrides:
            yield self._chunk(name)

    def https(self) -> Iterable[Chunk]:
        """The rule on the https frontend: one match for each host."""
        service = self.rule.service
        auth = bool(service.auth) and auth_in_frontends(service, self.templates)
        path = bool(self.rule.paths)
        yield from self._map_label("HTTPS", several=False)
        if path:
            yield self._chunk("HTTPS_FRONTEND_ACL_ONLY_WITH_PATH")
        if auth:
            yield self._chunk("HTTPS_FRONTEND_AUTH_ACL_ONLY")
        suffix = {(False, False): "", (True, False): "_WITH_AUTH", (False, True): "_WITH_PATH"}
        for host in self.rule.hosts:
            yield self._chunk("HTTPS_FRONTEND_ACL" + suffix.get((auth, path), "_WITH_AUTH_AND_PATH"), host)
        # A request for a password without the path would ask on those of the host's other services, too.
        name = "HTTPS_FRONTEND_" + ("ROUTING_ONLY_WITH_PATH_AND_AUTH" if path else "AUTH_REQUEST_ONLY")
        if auth and self.templates.overridden(name, service):  # our own rules ask and route already
            yield self._host_acls()
            yield self._chunk(name)

    def _host_acls(self) -> Chunk:
        """The ACL of the hosts for overrides that name it, since those that match the handshake's name define none."""
        service, name = self.rule.service, "HTTPS_FRONTEND_ACL"
        each = (rule_variables(service, self.rule, host) for host in self.rule.hosts)
        text = "".join(f"  acl host_{found['hostAcl']} {found['hostMatch']}\n" for found in each)
        return Chunk(text, Owner(service.app_id, service.port_index, name, "default"))

    def _chunk(self, name: str, host: str | None = None) -> Chunk:
        service = self.rule.service
        template = self.templates.get(name, service)
        variables = {**self.variables, **rule_variables(service, self.rule, host)}
        return render_chunk(
            template, Owner(service.app_id, service.port_index, name, template.source), variables
        )


_NO_SERVICE: Mapping[str, Any] = dict.fromkeys(
    ("backend", "frontend", "hostname", "cleanedUpHostname", "appId", "cleanedUpAppId", "path"), ""
)
