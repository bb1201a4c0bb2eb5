"""Explain a URL: the rule that catches it and where the rule leads, or why no rule does."""

from __future__ import annotations

from collections.abc import Iterator

from attrs import evolve

from marathonlb.base import limits
from marathonlb.marathon.model import App
from marathonlb.routing.explain.evidence import State, nearest, sentence_of, why_no_servers, why_not
from marathonlb.routing.explain.model import Explanation, Reason
from marathonlb.routing.explain.ports import explain_port
from marathonlb.routing.explain.question import PortQuestion, UrlQuestion
from marathonlb.routing.explain.router_model import Match, matches, odd_host, plain_host, why_before
from marathonlb.routing.explain.views import current, rule_seen, seen
from marathonlb.routing.hosts import covers
from marathonlb.routing.precedence import fold_case
from marathonlb.routing.sni import rule_for, sni_of


def explain_url(question: UrlQuestion, state: State) -> Explanation:
    """Return which rule catches a URL and where the rule leads, or why none does."""
    ports = state.own_ports()
    default = {"http": 80, "https": 443}[question.scheme]
    port = default if question.port is None else question.port
    options = {option for _, option in ports.get(port, ())}
    if question.port is not None and port != default and not options & {"--bind-http", "--bind-https"}:
        answer = explain_port(PortQuestion(port), state)
        verdict = f"{answer.verdict}; the host is not looked at"
        return evolve(answer, question=str(question), kind="url", verdict=verdict)
    https = "--bind-https" in options or (question.scheme == "https" and "--bind-http" not in options)
    for explainer in (_closed, _passed, _refused, _caught):
        answer_or_none = explainer(question, state, https)
        if answer_or_none is not None:
            return answer_or_none
    return _uncaught(question, state)


def _closed(question: UrlQuestion, state: State, https: bool) -> Explanation | None:
    """Explain that nothing listens for http or https."""
    closed = _why_closed(state, https=https)
    if closed is None:
        return None
    reason = Reason("frontend", closed)
    return Explanation(str(question), "url", "nothing listens for it", reasons=(reason,))


def _why_closed(state: State, *, https: bool) -> str | None:
    if state.settings.dont_bind_http_https:
        return "there are no frontends for http and https (--dont-bind-http-https)"
    passing = any(service.passthrough for service in state.services)
    if https and not passing and not state.settings.ssl_certs and not state.settings.group_https_by_vhost:
        return "there is no certificate, so nothing listens for https (--ssl-certs)"
    return None


def _passed(question: UrlQuestion, state: State, https: bool) -> Explanation | None:
    """Explain TLS that the task ends: the name in the handshake decides, and the path is not seen."""
    rule = (
        rule_for(sni_of(state.services, state.rules, state.settings), plain_host(question.host))
        if https
        else None
    )
    if rule is None or rule.passed is None:
        return None
    service = current(rule.passed, state)
    reasons = why_no_servers(service, state)
    no_server = ", which has no server: HAProxy hangs up" if reasons else ""
    where = f"{service.app_id} port {service.port_index}"
    return Explanation(
        question=str(question),
        kind="url",
        verdict=f"TLS is not ended here: connections for {rule.host} are passed through to {where}{no_server}",
        served=not reasons,
        services=(seen(service, state, https=True),),
        reasons=tuple(reasons),
    )


def _refused(question: UrlQuestion, state: State, https: bool) -> Explanation | None:
    """Explain that no host has such a name."""
    if not odd_host(question.host):
        return None
    words = "it holds a character that no host name has: write the name alone, in its ASCII form"
    verdict = "the Host header is refused: HAProxy answers 400"
    return Explanation(str(question), "url", verdict, reasons=(Reason("host", words),))


def _caught(question: UrlQuestion, state: State, https: bool) -> Explanation | None:
    """Explain the rule that catches the request."""
    matching = matches(state.rules, question.host, question.path)
    if not matching:
        return None
    service = current(matching[0].service, state)
    reasons = why_no_servers(service, state)
    rule = rule_seen(matching[0].rule)
    where = f"the entry {rule.key} of {rule.map}" if rule.map else f"the ACL of {rule.key}"
    no_server = ", which has no server: HAProxy answers 503" if reasons else ""
    return Explanation(
        question=str(question),
        kind="url",
        verdict=f"{where} catches it and leads to {service.app_id} port {service.port_index}{no_server}",
        served=not reasons,
        rule=rule,
        beaten=tuple(
            evolve(rule_seen(match.rule), order=why_before(matching[0], match)) for match in matching[1:]
        ),
        services=(seen(service, state, https=https),),
        reasons=(*reasons, *_losers(matching[0], state)),
    )


def _losers(match: Match, state: State) -> Iterator[Reason]:
    """Yield the problems of services that claim the same host and path, and lost it."""
    wanted = limits.shortened(match.host + match.path)
    for problem in state.problems:
        if problem.port_index is None or (problem.app_id, problem.port_index) == match.service.key:
            continue
        if problem.label == f"HAPROXY_{problem.port_index}_VHOST" and (
            problem.value == wanted
            or (fold_case(problem.value) == fold_case(wanted) and problem.rival == match.service.app_id)
        ):
            yield Reason("problem", sentence_of(problem), problem.app_id, problem.port_index)


def _uncaught(question: UrlQuestion, state: State) -> Explanation:
    """Explain why no rule catches the request."""
    host = plain_host(question.host)
    reasons = [Reason("template", sentence_of(problem)) for problem in state.problems if not problem.app_id]
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
            reasons += [
                Reason("problem", sentence_of(p), app.id, index) for p in state.problems_of(app.id, index)
            ]
    verdict = "no rule catches it: HAProxy answers 503"
    if not any(reason.app_id for reason in reasons):
        verdict = f"no service claims the host {host}: HAProxy answers 503"
    near = () if any(reason.app_id for reason in reasons) else nearest(host, claimed)
    return Explanation(str(question), "url", verdict, reasons=tuple(reasons), near=near)


def _begins(path: str, prefix: str, ignore_case: bool) -> bool:
    return fold_case(path).startswith(fold_case(prefix)) if ignore_case else path.startswith(prefix)


def _claims(state: State) -> Iterator[tuple[App, int, tuple[str, ...], tuple[tuple[str, ...], bool]]]:
    """Yield the hosts and paths that each port of each app claims by its labels, served or not."""
    for app_id in sorted(state.apps):
        app = state.apps[app_id]
        if not app.labels:
            continue
        labels = state.labels(app)
        for index in range(len(app.ports)):
            hosts: tuple[str, ...] = labels.port(index).get("VHOST", ())
            if hosts:
                yield app, index, hosts, labels.port(index).get("PATH", ((), False))
