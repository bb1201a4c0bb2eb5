"""
The table of templates, for code, help and documentation.

`marathonlb.config.templates.template` renders them. This module imports no template engine, so that commands which
need only the names start fast.
"""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches

from msgspec import Struct


class TemplateSpec(Struct, frozen=True):
    """
    One template, as a row of the table.

    :param name: the name without ``HAPROXY_``.
    :param per_app: True if an app's label may override it.
    :param literal: True if variables are not substituted in a classic text.
    :param doc: description of the default, in Markdown.
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
        "TCP frontend on `--bind-https` that reads the SNI, with `--group-https-by-vhost` or if a label passes TLS"
        " through",
    ),
    (
        "HTTPS_GROUPED_VHOST_FRONTEND_HEAD",
        "global classic",
        "TLS frontend of one virtual host behind it, bound to `bound`: `name`, `sslCerts`, `bindOpts`",
    ),
    (
        "HTTPS_GROUPED_VHOST_BACKEND_HEAD",
        "global classic",
        "the backend for that frontend, with the server `address`: `name`",
    ),
    ("HTTPS_GROUPED_VHOST_FRONTEND_ACL", "global classic", "SNI rule: `backend`, `host`"),
    ("FRONTEND_HEAD", "app classic", "frontend of one service port: address, port, TLS, bind options, mode"),
    ("FRONTEND_BACKEND_GLUE", "app classic", "that frontend's `default_backend`"),
    ("BACKEND_HEAD", "app classic", "`backend {backend}`, balance, mode"),
    ("BACKEND_HTTP_OPTIONS", "app literal", "`X-Forwarded-For`, `-Port`, `-Proto`"),
    ("BACKEND_HSTS_OPTIONS", "app literal", "`Strict-Transport-Security`, with `HAPROXY_{n}_USE_HSTS`"),
    (
        "BACKEND_STICKY_OPTIONS",
        "app literal",
        "cookie `mesosphere_server_id`, insert indirect nocache, with `HAPROXY_{n}_STICKY`",
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
        "503 with a page (in mode tcp the connection is closed), with `HAPROXY_{n}_MAINTENANCE`",
    ),
    ("BACKEND_CORS", "app classic", "preflight and headers for the origins of `HAPROXY_{n}_CORS`"),
    ("BACKEND_TIMEOUTS", "app classic", "`timeout server` and `timeout tunnel`, if labels set them"),
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


def nearest(name: str) -> str | None:
    """Return the template's name closest to this one; None if none is close."""
    near = get_close_matches(name, list(BY_NAME), 1)
    return near[0] if near else None
