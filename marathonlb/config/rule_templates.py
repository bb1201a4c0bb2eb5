"""
The templates that write a service's rules in the shared frontends, and the services for which they are overridden.

Map files express only the rules of our defaults. A service with an overridden rule template is routed by ACLs. Pure.
"""

from __future__ import annotations

from marathonlb.config.templates.loader import Templates
from marathonlb.routing.services.model import Service

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


_MAP_LABELS = ("MAP_HTTP_FRONTEND_ACL", "MAP_HTTP_FRONTEND_ACL_ONLY", "MAP_HTTPS_FRONTEND_ACL")

_ALL = frozenset(
    (
        *(*_PLAIN, *_WITH_PATH, *_AUTH, *_AUTH_WITH_PATH, *_MAP_LABELS),
        *("BACKEND_REDIRECT_HTTP_TO_HTTPS", "BACKEND_REDIRECT_HTTP_TO_HTTPS_WITH_PATH"),
        *("HTTP_FRONTEND_APPID_ACL", "MAP_HTTP_FRONTEND_APPID_ACL"),
    )
)
"""The names of all templates that write a service's rules in the shared frontends."""


def auth_in_frontends(service: Service, templates: Templates) -> bool:
    """Return whether an overridden template asks for the password in the frontends; otherwise the backend does."""
    names = _AUTH_WITH_PATH if service.paths else _AUTH
    return any(templates.overridden(name, service) for name in names)


def needs_acl(service: Service, templates: Templates) -> bool:
    """Return whether a service's routing is overridden, so that it needs ACLs instead of map entries."""
    if not service.overrides and templates.changed.isdisjoint(_ALL):
        return False  # the common case, kept fast
    names = list(_WITH_PATH if service.paths else _PLAIN)
    if service.auth and auth_in_frontends(service, templates):
        return True
    if service.redirect_to_https:
        names.append("BACKEND_REDIRECT_HTTP_TO_HTTPS" + ("_WITH_PATH" if service.paths else ""))
    names += [name for name in _MAP_LABELS if name in service.overrides]
    return any(templates.overridden(name, service) for name in names)


def names_servers(service: Service, templates: Templates) -> bool:
    """Return whether an overridden rule template reads a service's servers, so that a change of tasks may change it."""
    return any(
        "service" in templates.get(name, service).names
        for name in _ALL
        if templates.overridden(name, service)
    )


def names_app(service: Service, templates: Templates) -> bool:
    """Return whether a service's rule in the app-id frontend is overridden."""
    return (
        templates.overridden("HTTP_FRONTEND_APPID_ACL", service)
        or "MAP_HTTP_FRONTEND_APPID_ACL" in service.overrides
    )
