"""
The sections of one service: its userlist, its frontend, its backend.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Any

from attrs import field, frozen

from marathonlb import limits
from marathonlb.config import counters, frontends
from marathonlb.config.requests import guards
from marathonlb.config.templates import hashes, legacy
from marathonlb.config.templates.chunks import render_chunk, whole_lines
from marathonlb.config.templates.loader import Templates
from marathonlb.config.templates.structure import checked_text, declared
from marathonlb.config.templates.template import Template
from marathonlb.config.templates.variables import SERVER_VARIABLES, server_variables, service_variables
from marathonlb.config.text import named_defaults
from marathonlb.config.text.model import Chunk, Owner, Section
from marathonlb.errors import TemplateError
from marathonlb.problem_kinds.apps import LABEL_REWRITTEN
from marathonlb.problem_kinds.kind import ProblemKind
from marathonlb.problem_kinds.operators import TEMPLATE_PASSWORD_COST, TEMPLATE_REWRITTEN
from marathonlb.routing.services.model import Service
from marathonlb.settings import Settings


@frozen(slots=False)
class Sections:
    """
    The sections of one service.

    :param remarks: text that was rewritten for this HAProxy: its owner, the words for the owner, and the kind.
    """

    userlist: Section | None
    frontend: Section | None
    backend: Section | None
    remarks: tuple[tuple[Owner, str, ProblemKind], ...] = ()

    @property
    def written(self) -> tuple[Section, ...]:
        """The sections that there are, in the order of the file."""
        return tuple(filter(None, (self.userlist, self.frontend, self.backend)))

    @property
    def others(self) -> list[str]:
        """The text of all but the backend."""
        return [section.text if section else "" for section in (self.userlist, self.frontend)]

    @cached_property
    def demands(self) -> bool:
        """Whether its own port asks clients for certificates."""
        return self.frontend is not None and asks_clients(self.frontend)

    @cached_property
    def userlists(self) -> tuple[frozenset[str], frozenset[str]]:
        """The userlists that it declares: those of the app's labels, and those of anybody else's templates."""
        found: tuple[set[str], set[str]] = (set(), set())
        for section in self.written:
            for chunk in section.chunks:
                if chunk.owner.source != "default" or "userlist" in chunk.text:
                    others = not chunk.owner.source.startswith("label ")
                    found[others].update(declared(chunk.text, "userlist"))
        return frozenset(found[False]), frozenset(found[True])

    @cached_property
    def body(self) -> str:
        """What the backend says besides its name and its servers."""
        chunks = self.backend.chunks if self.backend else ()
        return named_defaults.body("".join(c.text for c in chunks if c.owner.template not in _SERVER_LINES))


_ASKS = re.compile(r"^[ \t]*bind[ \t].*[ \t]verify[ \t]+(?:required|optional)\b", re.MULTILINE)


def asks_clients(section: Section) -> bool:
    """Whether a port of a section asks clients for certificates."""
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

    :param apart: this HAProxy refuses a frontend and a backend of one name.
    """

    service: Service
    settings: Settings
    templates: Templates
    apart: bool = False
    _variables: dict[str, Any] = field(init=False)
    _written: Counter[str] = field(factory=Counter, init=False)

    @_variables.default
    def _make_variables(self) -> dict[str, Any]:
        return {**service_variables(self.service, self.settings), "ratePeers": counters.peers(self.templates)}

    def sections(self) -> Sections:
        """The service's userlist, frontend and backend, each where it has one."""
        service = self.service
        head = self._chunk("BACKEND_HEAD")
        if not head.text.strip():
            return Sections(None, None, None)
        userlist = None
        if service.auth:
            userlist = Section("userlist", f"user_{service.backend}", (self._chunk("USERLIST_HEAD"),))
        frontend = None
        remarks: list[tuple[Owner, str, ProblemKind]] = []
        if service.binds_port:
            front = self._chunk("FRONTEND_HEAD")
            if self.apart and front.owner.source != "default":
                text = legacy.frontend(front.text, service.backend, service.frontend)
                if text != front.text:
                    remarks.append((front.owner, legacy.RENAMED, _rewritten(front.owner)))
                front = Chunk(text, front.owner)
            if front.text.strip():
                guard = (guards(front, self.settings, routed=False),) if service.mode == "http" else ()
                chunks = (front, *guard, self._chunk("FRONTEND_EXTRA"), self._chunk("FRONTEND_BACKEND_GLUE"))
                frontend = Section("frontend", service.frontend, tuple(c for c in chunks if c.text))
        body: list[Chunk] = []
        for chunk in (head, *self._body()):
            pieces = legacy.checks(chunk)
            body += (piece for piece in pieces if piece.text)
            if len(pieces) > 1:
                remarks.append((chunk.owner, legacy.OLD_CHECK, _rewritten(chunk.owner)))
        backend = Section("backend", service.backend, tuple(body))
        written = (*(userlist.chunks if userlist else ()), *(frontend.chunks if frontend else ()), *body)
        remarks += (
            (owner, words, TEMPLATE_PASSWORD_COST)
            for owner, words in hashes.warnings(written, self.settings.max_password_cost)
        )
        return Sections(userlist, frontend, backend, tuple(remarks))

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
        text = counters.guarded(service.backend, own, realm, self.settings.trusted_proxies)
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
        labels = [each for each in (line, extra, check) if each and each.source.startswith("label ")]
        room = limits.RENDERED + limits.PER_SERVER * len(self.service.servers)
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
            room -= len(text)
            if room < 0 and labels:
                raise TemplateError(source=labels[0].source, reason=_TOO_LONG, template=labels[0].name)
        text = "".join(whole_lines(each) for each in dict.fromkeys(lines))
        others = [each for each in (line, extra, check) if each is not None and not each.is_default]
        for each in others:
            checked_text(each, text)
        told = [each for each in others if not each.is_empty]
        theirs = [each for each in told if each.source.startswith("label ")]
        return Chunk(text, self._owner([*theirs, *reversed(told), line][0]))

    def _chunk(self, name: str, more: Mapping[str, Any] | None = None) -> Chunk:
        template = self.templates.get(name, self.service)
        variables = self._variables if more is None else {**self._variables, **more}
        chunk = render_chunk(template, self._owner(template), variables)
        if template.source.startswith("label "):
            self._written["labels"] += len(chunk.text)
            if self._written["labels"] > limits.RENDERED:
                reason = f"comes to more than {limits.RENDERED} characters with the service's other labels"
                raise TemplateError(source=template.source, reason=reason, template=name)
        return chunk

    def _owner(self, template: Template) -> Owner:
        return Owner(self.service.app_id, self.service.port_index, template.name, template.source)


_TOO_LONG = "comes to too much text with all servers"


def _with_words(text: str, words: str) -> str:
    """The lines, with words at the end of each ``server`` line."""
    more = " ".join(words.split("\n")).strip()
    lines = text.rstrip("\n").split("\n")
    return "\n".join(f"{line} {more}" if line.split()[:1] == ["server"] else line for line in lines)


def _rewritten(owner: Owner) -> ProblemKind:
    """Return the kind of problem where an owner's text was rewritten: an app's label's, or the operator's."""
    return LABEL_REWRITTEN if owner.source.startswith("label ") else TEMPLATE_REWRITTEN
