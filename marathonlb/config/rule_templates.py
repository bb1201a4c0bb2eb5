"""
The templates that write a service's rules in the shared frontends: where they are overridden, and the text they give.

Map files express only the rules of our defaults. A service with an overridden rule template is routed by ACLs. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from msgspec import Struct

from marathonlb.config.templates.chunks import render_chunk
from marathonlb.config.templates.loader import Templates
from marathonlb.config.templates.variables import rule_variables
from marathonlb.config.text.model import Chunk, Owner
from marathonlb.routing.rules import AclRule
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


class RuleText(Struct, frozen=True):
    """
    Renders one ACL rule for the http and the https frontend.

    :param variables: the variables of the rule's service.
    """

    rule: AclRule
    templates: Templates
    variables: Mapping[str, Any]

    def http(self) -> Iterable[Chunk]:
        """Yield the rule on the http frontend; a service that redirects to https asks for no password there."""
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
        """Yield the text of a label for a map rule, before the ACLs; the map has no entry for the service then."""
        name = f"MAP_{kind}_FRONTEND_ACL" + ("_ONLY" if several else "")
        if name in self.rule.service.overrides:
            yield self._chunk(name)

    def https(self) -> Iterable[Chunk]:
        """Yield the rule on the https frontend, with one match per host."""
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
        # A password request without the path would also apply to the other services of the host.
        name = "HTTPS_FRONTEND_" + ("ROUTING_ONLY_WITH_PATH_AND_AUTH" if path else "AUTH_REQUEST_ONLY")
        if auth and self.templates.overridden(name, service):  # the default rules ask and route already
            yield self._host_acls()
            yield self._chunk(name)

    def _host_acls(self) -> Chunk:
        """Return the ACL of the hosts for overrides that refer to it; rules that match the SNI define none."""
        service, name = self.rule.service, "HTTPS_FRONTEND_ACL"
        variables = [rule_variables(service, self.rule, host) for host in self.rule.hosts]
        text = "".join(f"  acl host_{names['hostAcl']} {names['hostMatch']}\n" for names in variables)
        return Chunk(text, Owner(service.app_id, service.port_index, name, "default"))

    def _chunk(self, name: str, host: str | None = None) -> Chunk:
        service = self.rule.service
        template = self.templates.get(name, service)
        variables = {**self.variables, **rule_variables(service, self.rule, host)}
        return render_chunk(
            template, Owner(service.app_id, service.port_index, name, template.source), variables
        )
