"""
The table of templates, and their two syntaxes.

*Classic* templates (labels, environment, files without ``.j2``) know ``{name}``, ``{{`` and ``}}``, nothing else: no
attribute is ever looked up, so a tenant's label is text and never a program. *Jinja2* templates (the operator's
``.j2`` files and our defaults) run in a sandbox where an undefined name is an error. *Literal* ones, as
`TEMPLATES` marks them, reach HAProxy as they are unless they are Jinja2.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from functools import lru_cache
from typing import Any

import jinja2
from attrs import field, frozen
from jinja2.meta import find_undeclared_variables
from jinja2.sandbox import SandboxedEnvironment

from marathonlb import limits
from marathonlb.errors import TemplateError


@frozen
class TemplateSpec:
    """
    One row of the table.

    :param per_app: an app's label may override it.
    :param literal: a classic text of it is not substituted.
    :param doc: what the default does.
    """

    name: str
    per_app: bool
    literal: bool
    doc: str


def _rows(*rows: tuple[str, str, str]) -> tuple[TemplateSpec, ...]:
    return tuple(TemplateSpec(name, "app" in kind, "literal" in kind, doc) for name, kind, doc in rows)


TEMPLATES: tuple[TemplateSpec, ...] = _rows(
    (
        "HEAD",
        "global literal",
        "`global`, `defaults` and the stats listener; reads `HAPROXY_GLOBAL_DEFAULT_OPTIONS` (comma list)",
    ),
    ("USERLIST_HEAD", "app classic", "`userlist user_{backend}` with the user and the hashed password"),
    ("HTTP_FRONTEND_HEAD", "global literal", "frontend `marathon_http_in` on `--bind-http`, mode http"),
    ("HTTP_FRONTEND_APPID_HEAD", "global literal", "frontend `marathon_http_appid_in` on `--bind-appid`"),
    (
        "HTTPS_FRONTEND_HEAD",
        "global classic",
        "frontend `marathon_https_in` on `--bind-https` with `{sslCerts}`, ALPN h2 and http/1.1",
    ),
    (
        "HTTPS_GROUPED_FRONTEND_HEAD",
        "global literal",
        "TCP frontend on `--bind-https` that reads the SNI, with `--group-https-by-vhost` and where a label passes TLS"
        " through",
    ),
    (
        "HTTPS_GROUPED_VHOST_FRONTEND_HEAD",
        "global classic",
        "per virtual host TLS frontend behind it, bound to `bound`: `name`, `sslCerts`, `bindOpts`",
    ),
    (
        "HTTPS_GROUPED_VHOST_BACKEND_HEAD",
        "global classic",
        "the backend that leads there, to `address`: `name`",
    ),
    ("HTTPS_GROUPED_VHOST_FRONTEND_ACL", "global classic", "SNI rule: `backend`, `host`"),
    ("FRONTEND_HEAD", "app classic", "frontend of one service port: address, port, TLS, bind options, mode"),
    ("FRONTEND_BACKEND_GLUE", "app classic", "that frontend's `default_backend`"),
    ("BACKEND_HEAD", "app classic", "`backend {backend}`, balance, mode"),
    ("BACKEND_HTTP_OPTIONS", "app literal", "`X-Forwarded-For`, `-Port`, `-Proto`"),
    ("BACKEND_HSTS_OPTIONS", "app literal", "`Strict-Transport-Security`, where `HAPROXY_{n}_USE_HSTS`"),
    (
        "BACKEND_STICKY_OPTIONS",
        "app literal",
        "cookie `mesosphere_server_id`, insert indirect nocache, where `HAPROXY_{n}_STICKY`",
    ),
    (
        "BACKEND_HTTP_HEALTHCHECK_OPTIONS",
        "app classic",
        "`option httpchk` on the check's path, `timeout check`",
    ),
    ("BACKEND_TCP_HEALTHCHECK_OPTIONS", "app classic", "empty"),
    ("BACKEND_SERVER_OPTIONS", "app classic", "the `server` line"),
    (
        "BACKEND_SERVER_HTTP_HEALTHCHECK_OPTIONS",
        "app classic",
        "` check inter Ns fall N` and the port, as a tail of the server line",
    ),
    ("BACKEND_SERVER_TCP_HEALTHCHECK_OPTIONS", "app classic", "the same for TCP"),
    ("BACKEND_REDIRECT_HTTP_TO_HTTPS", "app classic", "301 to https for the service's hosts"),
    ("BACKEND_REDIRECT_HTTP_TO_HTTPS_WITH_PATH", "app classic", "the same, narrowed by the path"),
    ("HTTP_FRONTEND_ACL", "app classic", "host ACL and its `use_backend`"),
    ("HTTP_FRONTEND_ACL_ONLY", "app classic", "host ACL alone (several hosts for one backend)"),
    ("HTTP_FRONTEND_ROUTING_ONLY", "app classic", "the `use_backend` for it"),
    ("HTTP_FRONTEND_ACL_WITH_AUTH", "app classic", "host ACL, basic auth, `use_backend`"),
    (
        "HTTP_FRONTEND_ROUTING_ONLY_WITH_AUTH",
        "app classic",
        "auth and `use_backend` for ACLs already written",
    ),
    ("HTTP_FRONTEND_ACL_WITH_PATH", "app classic", "host and path ACLs, `use_backend`"),
    ("HTTP_FRONTEND_ACL_WITH_AUTH_AND_PATH", "app classic", "both"),
    ("HTTP_FRONTEND_ACL_ONLY_WITH_PATH", "app classic", "path ACL alone"),
    ("HTTP_FRONTEND_ACL_ONLY_WITH_PATH_AND_AUTH", "app classic", "path and auth ACLs alone"),
    ("HTTP_FRONTEND_ROUTING_ONLY_WITH_PATH", "app classic", "its `use_backend`"),
    ("HTTP_FRONTEND_ROUTING_ONLY_WITH_PATH_AND_AUTH", "app classic", "its auth and `use_backend`"),
    ("HTTPS_FRONTEND_ACL", "app classic", "host match by the Host header, `use_backend`"),
    ("HTTPS_FRONTEND_ACL_WITH_PATH", "app classic", "host and path"),
    ("HTTPS_FRONTEND_ACL_ONLY_WITH_PATH", "app classic", "path ACL alone"),
    ("HTTPS_FRONTEND_ACL_WITH_AUTH", "app classic", "host and basic auth"),
    ("HTTPS_FRONTEND_ACL_WITH_AUTH_AND_PATH", "app classic", "all three"),
    ("HTTPS_FRONTEND_AUTH_ACL_ONLY", "app classic", "auth ACL alone"),
    ("HTTPS_FRONTEND_AUTH_REQUEST_ONLY", "app classic", "auth request alone"),
    ("HTTPS_FRONTEND_ROUTING_ONLY_WITH_PATH_AND_AUTH", "app classic", "auth and `use_backend`"),
    ("HTTP_FRONTEND_APPID_ACL", "app classic", "`X-Marathon-App-Id` header ACL and `use_backend`"),
    ("MAP_HTTP_FRONTEND_ACL", "app classic", "`use_backend` by host through `domain2backend.map` (once)"),
    ("MAP_HTTP_FRONTEND_ACL_ONLY", "app classic", "the same, for services with several hosts"),
    ("MAP_HTTPS_FRONTEND_ACL", "app classic", "the same on the HTTPS frontend, by the Host header"),
    (
        "MAP_HTTP_FRONTEND_APPID_ACL",
        "app classic",
        "`use_backend` by `X-Marathon-App-Id` through `app2backend.map`",
    ),
    (
        "HTTP_BACKEND_PROXYPASS_GLUE",
        "app classic",
        "`{proxypath}` cut off the request path, `Host` set to the host",
    ),
    ("HTTP_BACKEND_REVPROXY_GLUE", "app classic", "`Location` of responses rewritten to `{rootpath}`"),
    ("HTTP_BACKEND_REDIR", "app classic", "`/` of the host answered 301 to `{redirpath}`"),
    (
        "BACKEND_RATE_LIMIT",
        "app classic",
        "429 past `{rateLimit}` requests in `{ratePeriod}`, by client address; `{ratePeers}` hands the counters over at"
        " a reload",
    ),
    (
        "BACKEND_MAINTENANCE",
        "app classic",
        "503 with a page (in mode tcp the connection is closed), where `HAPROXY_{n}_MAINTENANCE`",
    ),
    ("BACKEND_CORS", "app classic", "preflight and headers for the origins of `HAPROXY_{n}_CORS`"),
    ("BACKEND_TIMEOUTS", "app classic", "`timeout server` and `timeout tunnel`, where labels name them"),
    ("FRONTEND_EXTRA", "app classic", "empty; appended to FRONTEND_HEAD"),
    ("BACKEND_EXTRA", "app classic", "empty; appended to the backend, before its servers"),
    ("SERVER_EXTRA", "app classic", "empty; appended to each `server` line"),
    ("HTTP_BACKEND_NETWORK_ALLOWED_ACL", "app classic", "one `acl network_allowed src NET` per network"),
    ("HTTP_BACKEND_ACL_ALLOW_DENY", "global literal", "allow those, deny the rest"),
    ("TCP_BACKEND_NETWORK_ALLOWED_ACL", "app classic", "the same in TCP mode"),
    ("TCP_BACKEND_ACL_ALLOW_DENY", "global literal", "the same in TCP mode"),
)

BY_NAME: Mapping[str, TemplateSpec] = {spec.name: spec for spec in TEMPLATES}
PER_APP_NAMES: frozenset[str] = frozenset(spec.name for spec in TEMPLATES if spec.per_app)

_TOKEN = re.compile(r"\{\{|\}\}|\{([A-Za-z_][A-Za-z0-9_]*)\}", re.ASCII)
_SIMPLE_JINJA = re.compile(r"\{\{\s*([A-Za-z_][A-Za-z0-9_]*)\s*\}\}", re.ASCII)


@frozen
class Template:
    """
    A text that can be rendered.

    :param source: ``default``, ``label HAPROXY_0_…``, ``environment HAPROXY_…`` or ``file …``.
    :param parts: texts and names in turn, a text first: the whole of a template without logic.
    :param program: the Jinja2 template where there is logic.
    :param text: as somebody wrote it.
    :param amended: lines that HAProxy refuses, each with the one that stands in its place.
    :param closed: why the text may not be used; then nothing is rendered from it, and nothing in its place.
    :param names: the variables that it reads.
    """

    name: str
    source: str
    parts: tuple[str, ...] = ()
    program: jinja2.Template | None = field(default=None, eq=False)
    text: str = field(default="", repr=False)
    amended: tuple[tuple[str, str], ...] = ()
    closed: str = ""
    names: frozenset[str] = field()

    _order: tuple[str, ...] = field(init=False, repr=False, eq=False)
    _format: str = field(init=False, repr=False, eq=False)

    @names.default
    def _names_of_parts(self) -> frozenset[str]:
        return frozenset(self.parts[1::2])

    @_order.default
    def _names_in_turn(self) -> tuple[str, ...]:
        return self.parts[1::2]

    @_format.default
    def _parts_as_format(self) -> str:
        """The text for ``%``, which puts a hundred thousand servers' values in faster than any loop."""
        return "%s".join(part.replace("%", "%%") for part in self.parts[::2])

    @property
    def written(self) -> str:
        """The text as it was written, its variables left out where there is no logic."""
        return self.text if self.program is not None else "".join(self.parts[::2])

    @property
    def is_default(self) -> bool:
        """Whether nobody has overridden it."""
        return self.source == "default"

    @property
    def is_empty(self) -> bool:
        """Whether it says nothing: that part is switched off."""
        return self.program is None and not "".join(self.parts).strip()

    @property
    def is_jinja(self) -> bool:
        """Whether it is written in Jinja2."""
        return self.is_default or self.source.endswith(".j2")

    def same_text(self, other: Template) -> bool:
        """Whether two templates are the same text in the same syntax, wherever it comes from."""
        return (self.text, self.is_jinja) == (other.text, other.is_jinja)

    def render(self, variables: Mapping[str, Any]) -> str:
        """
        The text for these variables.

        :raises TemplateError: a name that this template has not, or a text that may not be used.
        """
        if self.closed:
            raise TemplateError(source=self.source, reason=self.closed, template=self.name, closed=True)
        text = self._render(variables)
        if not self.amended:
            return text
        lines = dict(self.amended)
        return "\n".join(lines.get(line, line) for line in text.split("\n"))

    def _render(self, variables: Mapping[str, Any]) -> str:
        if self.program is not None:
            try:
                return self.program.render(variables)
            except (jinja2.TemplateError, ArithmeticError, LookupError, TypeError, ValueError) as error:
                reason = f"HAPROXY_{self.name}: {error}"
                raise TemplateError(source=self.source, reason=reason, template=self.name) from None
        try:
            found = tuple(map(variables.__getitem__, self._order))
            if len(found) > _FEW and self.source.startswith("label "):
                self._bound(found)
            return self._format % found
        except KeyError as missing:
            reason = self._unknown(missing.args[0], variables)
            raise TemplateError(source=self.source, reason=reason, template=self.name) from None

    def _bound(self, found: Iterable[Any]) -> None:
        """Raise `TemplateError` where a label's text would become too long by what its variables hold."""
        length = len(self._format) + sum(len(str(each)) for each in found)
        if length > limits.RENDERED:
            reason = f"comes to {length} characters with its variables; {limits.RENDERED} are the most"
            raise TemplateError(source=self.source, reason=reason, template=self.name)

    def _unknown(self, name: str, variables: Iterable[str]) -> str:
        known = sorted(key for key in variables if key not in OBJECTS)
        near = get_close_matches(name, known, 1)
        hint = f" (did you mean {{{near[0]}}}?)" if near else ""
        return (
            f"HAPROXY_{self.name} has no variable {{{name}}}{hint}; write {{{{{name}}}}} for braces that HAProxy is to "
            f"see; it has: {', '.join(known)}"
        )


_FEW = 3
"""So many variables need not be counted, however long they are."""

OBJECTS = frozenset({"service", "app", "settings"})
"""What Jinja2 templates are given besides the plain variables."""


def classic(name: str, text: str, source: str) -> Template:
    """A classic template: ``{name}`` is a variable, ``{{`` and ``}}`` a brace, any other brace itself."""
    if BY_NAME[name].literal:
        return Template(name, source, (text,), text=text)
    return _classic(name, text, source) if len(text) <= _KEPT else _made(name, text, source)


_KEPT = 4_096
"""Maximum characters of a text whose template is kept: those of labels may be long, and many."""


def _made(name: str, text: str, source: str) -> Template:
    parts: list[str] = []
    pieces: list[str] = []
    here = 0
    for token in _TOKEN.finditer(text):
        pieces.append(text[here : token.start()])
        here = token.end()
        if not token[1]:
            pieces.append(token[0][0])
            continue
        variable = f"{token[1]}, an object of Jinja2 alone" if token[1] in OBJECTS else token[1]
        parts += ["".join(pieces), variable]
        pieces = []
    return Template(name, source, (*parts, "".join(pieces) + text[here:]), text=text)


_classic = lru_cache(maxsize=10_000)(_made)


def jinja(name: str, text: str, source: str) -> Template:
    """
    A Jinja2 template, sandboxed; where it holds nothing but plain variables it needs no program.

    :raises TemplateError: it is no Jinja2.
    """
    try:
        program = _ENVIRONMENT.from_string(text)
    except jinja2.TemplateSyntaxError as error:
        raise TemplateError(source=source, reason=f"line {error.lineno}: {error.message}") from None
    program.globals = dict(program.globals)  # copied at each rendering, which takes long of a chain of maps
    rest = _SIMPLE_JINJA.sub("", text)
    if not any(mark in rest for mark in ("{{", "{%", "{#", "}}")):
        return Template(name, source, tuple(_SIMPLE_JINJA.split(text)), text=text)
    names = frozenset(find_undeclared_variables(_ENVIRONMENT.parse(text)))
    return Template(name, source, program=program, text=text, names=names)


_ENVIRONMENT = SandboxedEnvironment(
    undefined=jinja2.StrictUndefined,
    autoescape=False,
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
)


def nearest(name: str) -> str | None:
    """The template's name that is most like this one."""
    near = get_close_matches(name, list(BY_NAME), 1)
    return near[0] if near else None
