"""
The shared frontends: http, https and the one by app id.

The first lines of each are a global template; the rules follow, in the order of `marathonlb.routing.rules`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Any

from attrs import field, frozen

from marathonlb.base import limits
from marathonlb.config.https import HttpsPort
from marathonlb.config.requests import guards
from marathonlb.config.rule_templates import RuleText, names_app
from marathonlb.config.templates.chunks import render_chunk, template_problem
from marathonlb.config.templates.loader import Templates
from marathonlb.config.templates.variables import HOST, service_variables
from marathonlb.config.text.model import DIRECTORY, Chunk, Owner, Section
from marathonlb.errors import TemplateError
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

_NO_SERVICE: Mapping[str, Any] = dict.fromkeys(
    ("backend", "frontend", "hostname", "cleanedUpHostname", "appId", "cleanedUpAppId", "path"), ""
)
"""The variables of a service, empty, for the templates of map rules, which are written once for all services."""


def written_ports(
    templates: Templates, settings: Settings, shared: Mapping[str, Any], head: str
) -> dict[int, list[Bound]]:
    """
    Return the ports bound by the operator's templates: port to addresses, each with the template's name.

    :param shared: the variables of templates that belong to no service.
    :param head: the rendered text of HAPROXY_HEAD.
    :raises TemplateError: a template cannot be rendered.
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
    ports: dict[int, list[Bound]] = {}
    for name, text in texts.items():
        for address, port in bound_by(text):
            ports.setdefault(port, []).append((address, f"HAPROXY_{name}"))
    return ports


@frozen
class SharedFrontends:
    """
    Renders the shared frontends.

    A section with a closed template is left out. A service with a wrong template among its rules is refused: the caller
    has to render again without it.

    :param shared: the variables of templates that belong to no service.
    :ivar refused: the refused services by key, each with its problem.
    :ivar problems: problems of the operator's.
    """

    settings: Settings
    templates: Templates
    shared: Mapping[str, Any]
    rules: Rules
    services: Sequence[Service]
    sni: Sni
    refused: dict[tuple[str, int], Problem] = field(factory=dict, init=False)
    problems: list[Problem] = field(factory=list, init=False)
    _variables_of: dict[tuple[str, int], tuple[Service, Mapping[str, Any]]] = field(factory=dict, init=False)
    _label_characters: Counter[tuple[str, int]] = field(factory=Counter, init=False)

    def sections(self) -> Iterable[Section]:
        """Yield the sections of the frontends that are not switched off."""
        if not self.settings.dont_bind_http_https:
            routing = self._routing("HTTP", self.rules.first, self.rules.later)
            yield from _unless_closed(self._section("marathon_http_in", "HTTP_FRONTEND_HEAD", routing))
        yield from _unless_closed(
            self._section("marathon_http_appid_in", "HTTP_FRONTEND_APPID_HEAD", self._app_ids())
        )
        if not self.settings.dont_bind_http_https:
            https = partial(self._routing, "HTTPS")
            port = HttpsPort(self.settings, self.templates, self.shared, self.sni, https, self.rules)
            self.problems.extend(port.problems())
            yield from _unless_closed(port.sections())

    def _section(self, name: str, template: str, rules: Iterable[Chunk]) -> Iterable[Section]:
        head = self._shared_chunk(template)
        if head.text.strip():
            guard = guards(head, self.settings, routed=name != "marathon_http_appid_in")
            yield Section("frontend", name, (head, guard, *(rule for rule in rules if rule.text)))

    def _shared_chunk(self, name: str) -> Chunk:
        template = self.templates.get(name)
        return render_chunk(template, Owner(None, None, name, template.source), self.shared)

    def _routing(self, kind: str, first: Sequence[AclRule], later: Sequence[AclRule]) -> Iterable[Chunk]:
        """Yield the routing rules of the http or https frontend: ACLs, maps, the later ACLs, and the wildcard map."""
        ours = Owner(None, None, "", "default")
        if self.settings.haproxy_map:
            yield Chunk(_PATH_KEY, ours)
        yield from self._acls(kind, first)
        if self.settings.haproxy_map:
            yield Chunk(_PATH_LOOKUP, ours)
            variables = {**_NO_SERVICE, **self.shared}
            for name in (f"MAP_{kind}_FRONTEND_ACL", f"MAP_{kind}_FRONTEND_ACL_ONLY"):
                template = self.templates.shared.get(name)
                if template is not None and not (name.endswith("_ONLY") and template.is_default):
                    yield render_chunk(template, Owner(None, None, name, template.source), variables)
            yield from self._acls(kind, later)
            yield Chunk(_WILDCARD_LOOKUP, ours)

    def _acls(self, kind: str, rules: Iterable[AclRule]) -> Iterable[Chunk]:
        for rule in rules:
            text = RuleText(rule, self.templates, self._variables(rule.service))
            try:
                chunks = self._within_limit(rule, text.http() if kind == "HTTP" else text.https())
            except TemplateError as error:
                self._refuse(rule.service, error)
                continue
            yield from chunks

    def _variables(self, service: Service) -> Mapping[str, Any]:
        """Return the variables of a service, cached for its rules: some of them depend on all its hosts."""
        cached = self._variables_of.get(service.key)
        if cached is None or cached[0] is not service:
            cached = self._variables_of[service.key] = service, service_variables(service, self.settings)
        return cached[1]

    def _within_limit(self, rule: AclRule, chunks: Iterable[Chunk]) -> list[Chunk]:
        """Return the chunks of a rule. Raises `TemplateError` if its service's labels exceed `limits.RULES`."""
        within = []
        for piece in chunks:
            within.append(piece)
            owner = piece.owner
            if owner.label:
                self._label_characters[rule.service.key] += len(piece.text)
                if self._label_characters[rule.service.key] > limits.RULES:
                    reason = (
                        f"comes to more than {limits.RULES} characters in all rules of the shared frontends"
                    )
                    raise TemplateError(source=owner.source, reason=reason, template=owner.template)
        return within

    def _app_ids(self) -> Iterable[Chunk]:
        """Yield the rules of the frontend by app id."""
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


def _unless_closed(sections: Iterable[Section]) -> Sequence[Section]:
    """Return the sections; none of them if one needs a closed template."""
    try:
        return tuple(sections)
    except TemplateError as error:
        if not error.closed:
            raise
        return ()
