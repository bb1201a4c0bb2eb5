"""
Which rule catches a request, and where does it lead? Who listens on a port? What becomes of an app? And if nothing
does: why?

Answered from the rules that the text is made of, so that the answer is what HAProxy does.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from difflib import get_close_matches
from heapq import nsmallest

from attrs import evolve

from marathonlb import limits
from marathonlb.marathon.model import App
from marathonlb.problem_kinds.running import PINNED
from marathonlb.problem_kinds.sharing import PORT_RESERVED, PORT_TAKEN
from marathonlb.routing.claims.ports import Bound, own_ports
from marathonlb.routing.explain.evidence import State, said, why_no_servers, why_not
from marathonlb.routing.explain.model import Explanation, Reason
from marathonlb.routing.explain.question import AppQuestion, PortQuestion, Question, UrlQuestion
from marathonlb.routing.explain.router_model import Match, matches, odd_host, plain_host, why_before
from marathonlb.routing.explain.views import current, rule_seen, seen
from marathonlb.routing.hosts import covers
from marathonlb.routing.precedence import fold_case
from marathonlb.routing.services.model import Service
from marathonlb.routing.sni import rule_for, sni_of

NEAR = 5
"""So many names that look alike are told."""

COMPARED = 200
"""So many names are compared with one, those of the most similar length: it takes up to a millisecond each."""

_FRONTENDS = {
    "--bind-http": "the http frontend, which goes by host and path",
    "--bind-https": "the https frontend, which goes by host and path",
    "--bind-appid": "the frontend that goes by the header X-Marathon-App-Id",
    "--bind-stats": "the statistics and the pages of the load balancer",
    "--listening": "the callback that Marathon posts its events to",
}


def explain(question: Question, state: State) -> Explanation:
    """The answer to a question, as far as the state knows it; under a pin that is what would be without it."""
    answer = _answer(question, state)
    pinned = next((problem for problem in state.problems if problem.kind is PINNED), None)
    if pinned is None:
        return answer
    words = f"{pinned.reason}; this is what would be without it"
    verdict = f"without the pin: {answer.verdict}"
    return evolve(answer, verdict=verdict, reasons=(Reason("pin", words), *answer.reasons))


def _answer(question: Question, state: State) -> Explanation:
    if isinstance(question, PortQuestion):
        return _port(question, state)
    if isinstance(question, AppQuestion):
        return _app(question, state)
    return _url(question, state)


# URLs


def _url(question: UrlQuestion, state: State) -> Explanation:
    own = _own_ports(state)
    default = {"http": 80, "https": 443}[question.scheme]
    port = default if question.port is None else question.port
    options = {option for _, option in own.get(port, ())}
    if question.port is not None and port != default and not options & {"--bind-http", "--bind-https"}:
        answer = _port(PortQuestion(port), state)
        verdict = f"{answer.verdict}; the host is not looked at"
        return evolve(answer, question=str(question), kind="url", verdict=verdict)
    https = "--bind-https" in options or (question.scheme == "https" and "--bind-http" not in options)
    closed = _closed(state, https=https)
    if closed:
        reason = Reason("frontend", closed)
        return Explanation(str(question), "url", "nothing listens for it", reasons=(reason,))
    if https:
        sni = sni_of(state.services, state.rules, state.settings)
        rule_of_name = rule_for(sni, plain_host(question.host))
        if rule_of_name is not None and rule_of_name.passed is not None:
            return _passed(question, rule_of_name.host, rule_of_name.passed, state)
    if odd_host(question.host):
        reason = Reason(
            "host", "it holds a character that no host name has: write the name alone, in its ASCII form"
        )
        verdict = "the Host header is refused: HAProxy answers 400"
        return Explanation(str(question), "url", verdict, reasons=(reason,))
    found = matches(state.rules, question.host, question.path)
    if not found:
        return _uncaught(question, state)
    service = current(found[0].service, state)
    reasons = why_no_servers(service, state)
    rule = rule_seen(found[0].rule)
    where = f"the entry {rule.key} of {rule.map}" if rule.map else f"the ACL of {rule.key}"
    served = not reasons
    fate = "" if served else ", which has no server: HAProxy answers 503"
    return Explanation(
        question=str(question),
        kind="url",
        verdict=f"{where} catches it and leads to {service.app_id} port {service.port_index}{fate}",
        served=served,
        rule=rule,
        beaten=tuple(evolve(rule_seen(match.rule), order=why_before(found[0], match)) for match in found[1:]),
        services=(seen(service, state, https=https),),
        reasons=(*reasons, *_losers(found[0], state)),
    )


def _own_ports(state: State) -> dict[int, list[Bound]]:
    return own_ports(state.settings, passing=any(service.passthrough for service in state.services))


def _closed(state: State, *, https: bool) -> str | None:
    if state.settings.dont_bind_http_https:
        return "there are no frontends for http and https (--dont-bind-http-https)"
    asks = any(service.passthrough for service in state.services)
    if https and not asks and not state.settings.ssl_certs and not state.settings.group_https_by_vhost:
        return "there is no certificate, so nothing listens for https (--ssl-certs)"
    return None


def _passed(question: UrlQuestion, name: str, service: Service, state: State) -> Explanation:
    """TLS that is ended by the task: the name of the handshake decides, and nobody sees the path."""
    service = current(service, state)
    reasons = why_no_servers(service, state)
    fate = ", which has no server: HAProxy hangs up" if reasons else ""
    where = f"{service.app_id} port {service.port_index}"
    return Explanation(
        question=str(question),
        kind="url",
        verdict=f"TLS is not ended here: connections for {name} are passed through to {where}{fate}",
        served=not reasons,
        services=(seen(service, state, https=True),),
        reasons=tuple(reasons),
    )


def _losers(match: Match, state: State) -> Iterator[Reason]:
    """Who else wants this very host and path, and did not get it."""
    wanted = limits.shortened(match.host + match.path)
    for problem in state.problems:
        if problem.port_index is None or (problem.app_id, problem.port_index) == match.service.key:
            continue
        if problem.label == f"HAPROXY_{problem.port_index}_VHOST" and (
            problem.value == wanted
            or (fold_case(problem.value) == fold_case(wanted) and problem.rival == match.service.app_id)
        ):
            yield Reason("problem", said(problem), problem.app_id, problem.port_index)


def _uncaught(question: UrlQuestion, state: State) -> Explanation:
    host = plain_host(question.host)
    reasons = [Reason("template", said(problem)) for problem in state.problems if not problem.app_id]
    claimed: set[str] = set()
    for app, index, hosts, (paths, ignore_case) in _claims(state):
        claimed |= set(hosts)
        if not any(covers(name, host) for name in hosts):
            continue
        service = state.service_of(app.id, index)
        if service is None:
            reasons += why_not(app, index, state)
        elif service.mode != "http":
            words = f"it is served in mode {service.mode}, and only mode http goes by host"
            reasons.append(Reason("mode", words, app.id, index))
        elif paths and not any(_begins(question.path, path, ignore_case) for path in paths):
            reasons.append(Reason("path", f"it serves {', '.join(paths)} of this host alone", app.id, index))
        else:
            reasons += [Reason("problem", said(p), app.id, index) for p in state.problems_of(app.id, index)]
    verdict = "no rule catches it: HAProxy answers 503"
    if not any(reason.app_id for reason in reasons):
        verdict = f"no service claims the host {host}: HAProxy answers 503"
    near = () if any(reason.app_id for reason in reasons) else _near(host, claimed)
    return Explanation(str(question), "url", verdict, reasons=tuple(reasons), near=near)


def _begins(path: str, prefix: str, ignore_case: bool) -> bool:
    return fold_case(path).startswith(fold_case(prefix)) if ignore_case else path.startswith(prefix)


def _claims(state: State) -> Iterator[tuple[App, int, tuple[str, ...], tuple[tuple[str, ...], bool]]]:
    """The hosts and the paths that every port of every app claims by its labels, whether it is served or not."""
    for app_id in sorted(state.apps):
        app = state.apps[app_id]
        if not app.labels:
            continue
        labels = state.labels(app)
        for index in range(len(app.ports)):
            hosts: tuple[str, ...] = labels.port(index).get("VHOST", ())
            if hosts:
                yield app, index, hosts, labels.port(index).get("PATH", ((), False))


# apps


def _app(question: AppQuestion, state: State) -> Explanation:
    app = state.apps.get(question.app_id)
    group = [service for service in state.services if service.app_id == question.app_id]
    if app is None and not group:
        reason = Reason("marathon", "Marathon runs no app and no pod of this id")
        near = _kin(question.app_id, state.apps)
        return Explanation(question.app_id, "app", "it is not known", reasons=(reason,), near=near)
    reasons: list[Reason] = []
    ports = len(app.ports) if app else len(group)
    services = group
    if app is not None:
        found = [(index, state.service_of(app.id, index)) for index in range(ports)]
        services = [service for _, service in found if service is not None]
        reasons += [why for index, service in found if service is None for why in why_not(app, index, state)]
        if not ports:
            reasons.append(Reason("problem", "it has no ports", app.id))
    idle = [reason for service in services for reason in why_no_servers(service, state)]
    verdict = _served(len(services), ports)
    return Explanation(
        question=question.app_id,
        kind="app",
        verdict=verdict + (f", {len(idle)} without a server" if idle else ""),
        served=len(services) > len(idle),
        services=tuple(seen(service, state) for service in services),
        reasons=(*reasons, *idle),
    )


def _served(served: int, ports: int) -> str:
    if not ports:
        return "it has no port that could be served"
    if ports == 1:
        return f"its port is {'served' if served else 'not served'}"
    return f"{served or 'none'} of its {ports} ports {'are' if served > 1 else 'is'} served"


def _kin(app_id: str, known: Iterable[str]) -> tuple[str, ...]:
    """Ids of apps below this one, of the same last name, and those that look alike."""
    ids = sorted(known)
    last = app_id.rpartition("/")[2]
    below = [each for each in ids if each.startswith(f"{app_id}/")]
    alike = [each for each in ids if last and each.rpartition("/")[2] == last]
    return tuple(dict.fromkeys((*below, *alike, *_near(app_id, ids))))[:NEAR]


# ports


def _port(question: PortQuestion, state: State) -> Explanation:
    port = question.port
    asked = str(question)
    own = _own_ports(state).get(port, [])
    if own:
        says = " and ".join(f"{_FRONTENDS[option]} ({option})" for option in dict.fromkeys(o for _, o in own))
        losers = [s for s in state.services if s.service_port == port and not s.binds_port]
        reasons = tuple(reason for service in losers for reason in _port_lost(service, state))
        return Explanation(asked, "port", f"it belongs to {says}", served=True, reasons=reasons)
    services = sorted((s for s in state.services if s.service_port == port), key=lambda s: s.key)
    bound = [service for service in services if service.binds_port]
    reasons = tuple(
        reason
        for service in services
        for reason in (
            *why_no_servers(service, state),
            *(() if service.binds_port else _port_lost(service, state)),
        )
    )
    if not bound:
        return _unbound(question, state, reasons)
    names = " and ".join(f"{service.app_id} port {service.port_index}" for service in bound)
    served = any(server.weight != 0 for service in bound for server in service.servers)
    return Explanation(
        asked,
        "port",
        f"the frontend {' and '.join(service.frontend for service in bound)} listens there for {names}"
        + ("" if served else ", which has no server"),
        served=served,
        services=tuple(seen(service, state) for service in bound),
        reasons=reasons,
    )


def _port_lost(service: Service, state: State) -> Iterator[Reason]:
    for problem in state.problems_of(*service.key):
        if problem.kind in (PORT_RESERVED, PORT_TAKEN) and problem.port_index == service.port_index:
            yield Reason("problem", said(problem), service.app_id, service.port_index)


def _unbound(question: PortQuestion, state: State, reasons: tuple[Reason, ...]) -> Explanation:
    more = list(reasons)
    ports = {service.service_port for service in state.services}
    for app_id in sorted(state.apps):
        app = state.apps[app_id]
        labels = state.labels(app)
        for index, each in enumerate(app.ports):
            wanted = labels.port(index).get("PORT") or each.service_port
            if wanted == question.port and state.service_of(app_id, index) is None:
                more += why_not(app, index, state)
    known = {reason.app_id for reason in more}
    for verdict in state.verdicts:
        if verdict.refused.service_port == question.port and verdict.refused.app_id not in known:
            more.append(Reason("quarantine", verdict.problem.reason, *verdict.refused.key))
    near = (
        () if more else tuple(str(p) for p in sorted(ports, key=lambda p: (abs(p - question.port), p))[:NEAR])
    )
    return Explanation(str(question), "port", "nothing listens there", reasons=tuple(more), near=near)


def _near(name: str, known: Iterable[str]) -> tuple[str, ...]:
    alike = nsmallest(COMPARED, sorted(known), key=lambda each: abs(len(each) - len(name)))
    return tuple(get_close_matches(limits.shortened(name, limits.HOST), alike, NEAR, 0.5))
