"""Explain an app: how each of its ports is served, or why it is not."""

from __future__ import annotations

from collections.abc import Iterable

from marathonlb.routing.explain.evidence import NEAR, State, nearest, why_no_servers, why_not
from marathonlb.routing.explain.model import Explanation, Reason
from marathonlb.routing.explain.question import AppQuestion
from marathonlb.routing.explain.views import seen


def explain_app(question: AppQuestion, state: State) -> Explanation:
    """Return how each port of an app or a deployment group is served, or why it is not."""
    app = state.apps.get(question.app_id)
    group = [service for service in state.services if service.app_id == question.app_id]
    if app is None and not group:
        reason = Reason("marathon", "Marathon runs no app and no pod of this id")
        near = _related(question.app_id, state.apps)
        return Explanation(question.app_id, "app", "it is not known", reasons=(reason,), near=near)
    reasons: list[Reason] = []
    ports = len(app.ports) if app else len(group)
    services = group
    if app is not None:
        by_index = [(index, state.service_of(app.id, index)) for index in range(ports)]
        services = [service for _, service in by_index if service is not None]
        reasons += [
            reason for index, service in by_index if service is None for reason in why_not(app, index, state)
        ]
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


def _related(app_id: str, known: Iterable[str]) -> tuple[str, ...]:
    """Return the ids of apps below this one, of apps with the same last name, and of apps with similar ids."""
    ids = sorted(known)
    last = app_id.rpartition("/")[2]
    below = [known_id for known_id in ids if known_id.startswith(f"{app_id}/")]
    alike = [known_id for known_id in ids if last and known_id.rpartition("/")[2] == last]
    return tuple(dict.fromkeys((*below, *alike, *nearest(app_id, ids))))[:NEAR]
