"""Services and rules as explanations show them: with their servers, Marathon's view of these, and remarks."""

from __future__ import annotations

from collections.abc import Iterator

from marathonlb.routing.explain.evidence import Key, State, left_out, sentence_of
from marathonlb.routing.explain.model import RuleSeen, ServerSeen, ServiceSeen
from marathonlb.routing.labels.tls import NO_VERIFY
from marathonlb.routing.rules import AclRule, MapRule
from marathonlb.routing.services.model import Service

_HEALTH = {True: "alive", False: "not alive", None: "unknown"}


def current(service: Service, state: State) -> Service:
    """Return a rule's service with its current servers: rules are not made again when only tasks change."""
    return state.by_key.get(service.key, service)


def seen(service: Service, state: State, *, https: bool | None = None) -> ServiceSeen:
    """
    Return a service as it is shown.

    :param https: True if the question is about a request on the https frontend; None if it is about no request.
    """
    return ServiceSeen(
        app_id=service.app_id,
        port_index=service.port_index,
        service_port=service.service_port,
        bind=f"{service.bind_addr}:{service.service_port}" if service.binds_port else "",
        backend=service.backend,
        mode=service.mode,
        balance=service.balance,
        apps=tuple(app.id for app in state.apps_of(service)),
        servers=tuple(_servers(service, state)),
        left_out=left_out(service, state),
        rules=tuple(_rules(service.key, state)),
        remarks=tuple(_remarks(service, https)),
        problems=tuple(sentence_of(problem) for problem in state.problems_of(*service.key)),
    )


def _servers(service: Service, state: State) -> Iterator[ServerSeen]:
    for server in service.servers:
        task = state.tasks.get(server.task_id)
        health = _HEALTH[task.alive if task else None]
        yield ServerSeen(server.name, server.address, server.port, server.task_id, health, server.weight == 0)


def _rules(key: Key, state: State) -> Iterator[RuleSeen]:
    """Yield the rules that lead to a service, in the order in which HAProxy asks them."""
    rules = state.rules
    for group in (rules.first, rules.paths, rules.hosts, rules.later, rules.wildcards, rules.app_ids):
        for rule in group:
            if rule.service.key == key:
                yield rule_seen(rule)


def rule_seen(rule: AclRule | MapRule) -> RuleSeen:
    """Return a rule as it is shown."""
    service = rule.service
    if isinstance(rule, MapRule):
        return RuleSeen(rule.map, rule.key, service.app_id, service.port_index, service.backend)
    key = f"{', '.join(rule.hosts)}" + (f" with {' '.join(rule.paths)}" if rule.paths else "")
    if rule.paths and service.ignore_path_case:
        key += " in any case"
    return RuleSeen("", key, service.app_id, service.port_index, service.backend, own=_own_text(rule))


def _own_text(rule: AclRule) -> str:
    """Return the labels that write an ACL's text in place of the default; the operator's templates are not named."""
    names = [
        name
        for name in sorted(rule.service.overrides)
        if name.startswith(("HTTP_FRONTEND", "HTTPS_", "MAP_"))
    ]
    if names:
        return ", ".join(f"HAPROXY_{rule.service.port_index}_{name}" for name in names)
    return "the operator's template" if getattr(rule, "overridden", False) else ""


def _remarks(service: Service, https: bool | None) -> Iterator[str]:
    if service.redirect_to_https and not https:
        yield "http is answered by a redirect to https (HAPROXY_{n}_REDIRECT_TO_HTTPS)"
    if service.auth and (https is not False or not service.redirect_to_https):
        yield "a user and a password are asked for (HAPROXY_{n}_AUTH)"
    if service.networks:
        yield f"only clients of {', '.join(service.networks)} are let in"
    if service.passthrough:
        yield f"TLS connections for {', '.join(service.passthrough)} are passed through"
    if service.backend_ssl:
        verified = "" if service.backend_ssl == NO_VERIFY else f", verified by {service.backend_ssl}"
        yield f"the tasks are spoken to over TLS{verified}"
    if service.redirect_path:
        yield f"/ is answered by a redirect to {service.redirect_path}"
    if service.proxypass_path:
        yield f"{service.proxypass_path} is cut off the path"
