"""Explain a port: the frontends that listen there, or why none does."""

from __future__ import annotations

from collections.abc import Iterator

from marathonlb.problem_kinds.sharing import PORT_RESERVED, PORT_TAKEN
from marathonlb.routing.explain.evidence import NEAR, State, sentence_of, why_no_servers, why_not
from marathonlb.routing.explain.model import Explanation, Reason
from marathonlb.routing.explain.question import PortQuestion
from marathonlb.routing.explain.views import seen
from marathonlb.routing.services.model import Service

_FRONTENDS = {
    "--bind-http": "the http frontend, which goes by host and path",
    "--bind-https": "the https frontend, which goes by host and path",
    "--bind-appid": "the frontend that goes by the header X-Marathon-App-Id",
    "--bind-stats": "the statistics and the pages of the load balancer",
    "--listening": "the callback that Marathon posts its events to",
}


def explain_port(question: PortQuestion, state: State) -> Explanation:
    """Return the frontends that listen on a port, or why none does."""
    for explainer in (_of_load_balancer, _of_services):
        explanation = explainer(question, state)
        if explanation is not None:
            return explanation
    return _unbound(question, state)


def _of_load_balancer(question: PortQuestion, state: State) -> Explanation | None:
    """Explain a port of the load balancer itself, and name the services that do not get it."""
    bounds = state.own_ports().get(question.port)
    if not bounds:
        return None
    options = dict.fromkeys(option for _, option in bounds)
    owners = " and ".join(f"{_FRONTENDS[option]} ({option})" for option in options)
    losers = [service for service in _wanting(question, state) if not service.binds_port]
    reasons = tuple(reason for service in losers for reason in _port_lost(service, state))
    return Explanation(str(question), "port", f"it belongs to {owners}", served=True, reasons=reasons)


def _of_services(question: PortQuestion, state: State) -> Explanation | None:
    """Explain a port that services have, each at its address."""
    bound = [service for service in _wanting(question, state) if service.binds_port]
    if not bound:
        return None
    names = " and ".join(f"{service.app_id} port {service.port_index}" for service in bound)
    frontends = " and ".join(service.frontend for service in bound)
    served = any(server.weight != 0 for service in bound for server in service.servers)
    return Explanation(
        str(question),
        "port",
        f"the frontend {frontends} listens there for {names}" + ("" if served else ", which has no server"),
        served=served,
        services=tuple(seen(service, state) for service in bound),
        reasons=tuple(_reasons(question, state)),
    )


def _unbound(question: PortQuestion, state: State) -> Explanation:
    """Explain why nothing listens on a port."""
    reasons = [*_reasons(question, state), *_not_served(question, state)]
    known = {reason.app_id for reason in reasons}
    for verdict in state.verdicts:
        if verdict.refused.service_port == question.port and verdict.refused.app_id not in known:
            reasons.append(Reason("quarantine", verdict.problem.reason, *verdict.refused.key))
    near: tuple[str, ...] = ()
    if not reasons:
        ports = {service.service_port for service in state.services}
        near = tuple(map(str, sorted(ports, key=lambda port: (abs(port - question.port), port))[:NEAR]))
    return Explanation(str(question), "port", "nothing listens there", reasons=tuple(reasons), near=near)


def _wanting(question: PortQuestion, state: State) -> list[Service]:
    """Return the services with this service port, whether they bind it or not."""
    wanting = (service for service in state.services if service.service_port == question.port)
    return sorted(wanting, key=lambda service: service.key)


def _reasons(question: PortQuestion, state: State) -> Iterator[Reason]:
    """Yield why services of this port have no server, or not the port."""
    for service in _wanting(question, state):
        yield from why_no_servers(service, state)
        if not service.binds_port:
            yield from _port_lost(service, state)


def _port_lost(service: Service, state: State) -> Iterator[Reason]:
    """Yield why a service does not bind its port."""
    for problem in state.problems_of(*service.key):
        if problem.kind in (PORT_RESERVED, PORT_TAKEN) and problem.port_index == service.port_index:
            yield Reason("problem", sentence_of(problem), service.app_id, service.port_index)


def _not_served(question: PortQuestion, state: State) -> Iterator[Reason]:
    """Yield why ports of apps that want this service port are not in the configuration."""
    for app_id in sorted(state.apps):
        app = state.apps[app_id]
        labels = state.labels(app)
        for index, port in enumerate(app.ports):
            wanted = labels.port(index).get("PORT") or port.service_port
            if wanted == question.port and state.service_of(app_id, index) is None:
                yield from why_not(app, index, state)
