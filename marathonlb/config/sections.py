"""
The sections of one service: its userlist, its frontend and its backend. Pure.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Any

from attrs import field, frozen
from msgspec import Struct

from marathonlb.base import limits
from marathonlb.config import counters
from marathonlb.config.requests import guards
from marathonlb.config.rule_templates import auth_in_frontends
from marathonlb.config.server_text import ServerLines
from marathonlb.config.templates import hashes, legacy
from marathonlb.config.templates.chunks import render_chunk
from marathonlb.config.templates.loader import Templates
from marathonlb.config.templates.structure import declared
from marathonlb.config.templates.template import Template
from marathonlb.config.templates.variables import service_variables
from marathonlb.config.text import named_defaults
from marathonlb.config.text.model import Chunk, Owner, Section
from marathonlb.errors import TemplateError
from marathonlb.problem_kinds.apps import LABEL_REWRITTEN
from marathonlb.problem_kinds.kind import ProblemKind
from marathonlb.problem_kinds.operators import TEMPLATE_PASSWORD_COST, TEMPLATE_REWRITTEN
from marathonlb.routing.services.model import Service
from marathonlb.settings import Settings


class Remark(Struct, frozen=True):
    """
    A warning about a text of a service's sections.

    :param owner: the owner of the text.
    :param words: the warning, as a phrase after the template's name.
    :param kind: the kind of the problem.
    """

    owner: Owner
    words: str
    kind: ProblemKind


@frozen(slots=False)
class Sections:
    """
    The sections of one service.

    :param remarks: warnings about their text, for the owners of the templates.
    """

    userlist: Section | None
    frontend: Section | None
    backend: Section | None
    remarks: tuple[Remark, ...] = ()

    @property
    def written(self) -> tuple[Section, ...]:
        """The sections that the service has, in the order of the file."""
        return tuple(filter(None, (self.userlist, self.frontend, self.backend)))

    @property
    def others(self) -> list[str]:
        """The text of all sections but the backend."""
        return [section.text if section else "" for section in (self.userlist, self.frontend)]

    @cached_property
    def asks_clients(self) -> bool:
        """True if the service's own port asks clients for certificates."""
        return self.frontend is not None and asks_clients(self.frontend)

    @cached_property
    def userlists(self) -> tuple[frozenset[str], frozenset[str]]:
        """The names of the userlists in these sections: those of the app's labels, and those of other templates."""
        of_labels: set[str] = set()
        of_templates: set[str] = set()
        for section in self.written:
            for piece in section.chunks:
                if not piece.owner.is_default or "userlist" in piece.text:
                    names = of_labels if piece.owner.label else of_templates
                    names.update(declared(piece.text, "userlist"))
        return frozenset(of_labels), frozenset(of_templates)

    @cached_property
    def body(self) -> str:
        """The directives of the backend, without its name and its servers."""
        chunks = self.backend.chunks if self.backend else ()
        return named_defaults.body("".join(c.text for c in chunks if c.owner.template not in _SERVER_LINES))


_ASKS = re.compile(r"^[ \t]*bind[ \t].*[ \t]verify[ \t]+(?:required|optional)\b", re.MULTILINE)


def asks_clients(section: Section) -> bool:
    """Return whether a bind line of a section asks clients for certificates."""
    return _ASKS.search(section.text) is not None


_SERVER_LINES = frozenset(
    {
        "BACKEND_SERVER_OPTIONS",
        "BACKEND_SERVER_HTTP_HEALTHCHECK_OPTIONS",
        "BACKEND_SERVER_TCP_HEALTHCHECK_OPTIONS",
        "SERVER_EXTRA",
    }
)


@frozen
class ServiceText:
    """
    Renders the sections of one service.

    :param distinct_names: True if HAProxy refuses a frontend and a backend with the same name.
    """

    service: Service
    settings: Settings
    templates: Templates
    distinct_names: bool = False
    _remarks: list[Remark] = field(factory=list, init=False)
    _variables: dict[str, Any] = field(init=False)
    _label_characters: Counter[str] = field(factory=Counter, init=False)

    @_variables.default
    def _make_variables(self) -> dict[str, Any]:
        return {**service_variables(self.service, self.settings), "ratePeers": counters.peers(self.templates)}

    def sections(self) -> Sections:
        """
        Return the service's userlist, frontend and backend; none at all if its backend is switched off.

        :raises TemplateError: a template cannot be rendered.
        """
        service = self.service
        head = self._chunk("BACKEND_HEAD")
        if not head.text.strip():
            return Sections(None, None, None)
        userlist = None
        if service.auth:
            userlist = Section("userlist", f"user_{service.backend}", (self._chunk("USERLIST_HEAD"),))
        frontend = self._frontend() if service.binds_port else None
        backend = Section("backend", service.backend, tuple(self._modernized((head, *self._body()))))
        chunks = (piece for section in (userlist, frontend, backend) if section for piece in section.chunks)
        for owner, words in hashes.warnings(chunks, self.settings.max_password_cost):
            self._remarks.append(Remark(owner, words, TEMPLATE_PASSWORD_COST))
        return Sections(userlist, frontend, backend, tuple(self._remarks))

    def _frontend(self) -> Section | None:
        """Return the frontend of the service's own port; None if it is switched off."""
        service = self.service
        head = self._chunk("FRONTEND_HEAD")
        if self.distinct_names and not head.owner.is_default:
            text = legacy.frontend(head.text, service.backend, service.frontend)
            if text != head.text:
                self._remark_rewrite(head.owner, legacy.RENAMED)
            head = Chunk(text, head.owner)
        if not head.text.strip():
            return None
        guard = (guards(head, self.settings, routed=False),) if service.mode == "http" else ()
        chunks = (head, *guard, self._chunk("FRONTEND_EXTRA"), self._chunk("FRONTEND_BACKEND_GLUE"))
        return Section("frontend", service.frontend, tuple(piece for piece in chunks if piece.text))

    def _modernized(self, chunks: Iterable[Chunk]) -> Iterable[Chunk]:
        """Yield the chunks with old health checks in their new form, without empty ones."""
        for original in chunks:
            pieces = legacy.checks(original)
            if len(pieces) > 1:
                self._remark_rewrite(original.owner, legacy.OLD_CHECK)
            for piece in pieces:
                if piece.text:
                    yield piece

    def _remark_rewrite(self, owner: Owner, words: str) -> None:
        kind = LABEL_REWRITTEN if owner.label else TEMPLATE_REWRITTEN
        self._remarks.append(Remark(owner, words, kind))

    def _body(self) -> Iterable[Chunk]:
        """Yield the chunks of the backend after its first lines."""
        service = self.service
        http = service.mode == "http"
        if service.networks:
            kind = "HTTP" if http else "TCP"
            for network in service.networks:
                yield self._chunk(f"{kind}_BACKEND_NETWORK_ALLOWED_ACL", {"network_allowed": network})
            yield self._chunk(f"{kind}_BACKEND_ACL_ALLOW_DENY")
        if service.cors and http:  # first, so that pages may read every response
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
        if service.auth and not auth_in_frontends(service, self.templates):
            yield self._auth()
        yield self._chunk("BACKEND_HTTP_OPTIONS")
        if service.use_hsts:
            yield self._chunk("BACKEND_HSTS_OPTIONS")
        # Before the path is cut: a path that is cut to / is not the client's /.
        if service.redirect_path or "HTTP_BACKEND_REDIR" in service.overrides:
            yield self._chunk("HTTP_BACKEND_REDIR")
        if service.proxypass_path:
            yield self._chunk("HTTP_BACKEND_PROXYPASS_GLUE")
        if service.revproxy_path:
            yield self._chunk("HTTP_BACKEND_REVPROXY_GLUE")

    def _auth(self) -> Chunk:
        """
        Return the rules for basic auth of requests from the shared frontends.

        The backend asks for the password, after the routing: a rule in a frontend would also ask for it on paths of the
        host's other services.
        """
        service = self.service
        own = " ".join((service.frontend, service.backend, "marathon_http_appid_in"))
        realm = f'"{self._variables["realm"]}"'
        text = counters.guarded(service.backend, own, realm, self.settings.trusted_proxies)
        return Chunk(
            text, Owner(service.app_id, service.port_index, "HTTP_FRONTEND_ACL_WITH_AUTH", "default")
        )

    @property
    def _check_kind(self) -> str:
        return "HTTP" if self.service.checks_http else "TCP"

    def _servers(self) -> Chunk:
        """Return the ``server`` lines; they belong to the label among their templates, else to the operator's."""
        check = f"BACKEND_SERVER_{self._check_kind}_HEALTHCHECK_OPTIONS"
        lines = ServerLines(
            self.service,
            self.templates.get("BACKEND_SERVER_OPTIONS", self.service),
            self.templates.get("SERVER_EXTRA", self.service),
            self.templates.get(check, self.service) if self.service.health_check is not None else None,
            self._variables,
        )
        return Chunk(lines.text(), self._owner(lines.author))

    def _chunk(self, name: str, more: Mapping[str, Any] | None = None) -> Chunk:
        """Render a template. Raises `TemplateError`, also if the labels' texts are too long together."""
        template = self.templates.get(name, self.service)
        variables = self._variables if more is None else {**self._variables, **more}
        rendered = render_chunk(template, self._owner(template), variables)
        if template.label:
            self._label_characters["all"] += len(rendered.text)
            if self._label_characters["all"] > limits.RENDERED:
                reason = f"comes to more than {limits.RENDERED} characters with the service's other labels"
                raise TemplateError(source=template.source, reason=reason, template=name)
        return rendered

    def _owner(self, template: Template) -> Owner:
        return Owner(self.service.app_id, self.service.port_index, template.name, template.source)
