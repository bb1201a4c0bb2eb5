"""What is wrong, as data: whose it is, since when, of which kind, in HAProxy's words where they are."""

from __future__ import annotations

import msgspec

from marathonlb.config.templates.overrides import FATES
from marathonlb.config.templates.table import BY_NAME
from marathonlb.routing.policy.prefixes import FORBIDDEN
from marathonlb.routing.problems import PIN, Problem
from marathonlb.routing.quarantine.refused import FAILS
from marathonlb.web.context import Sight
from marathonlb.web.page import Answer, Asked, Page, Parameter, data

_SAYS = "HAProxy says: "
_FATES = tuple(f"; {fate}" for fate in FATES)
_COLLISIONS = ("is wanted by ", "is the load balancer's own")


class ProblemView(msgspec.Struct, frozen=True, kw_only=True):
    """
    Something that somebody should mend.

    :param kind: ``pin`` (a configuration of the past is pinned), ``template`` (the operator's),
        ``quarantine`` (HAProxy refuses it, or fails with it), ``policy``, ``collision``,
        ``label`` or ``app`` (the rest of its definition).
    :param app_id: whose it is; empty where it is the operator's.
    :param port_index: the index of the service port; null where it is the whole app's.
    :param label: the label's, field's or template's name.
    :param value: what it holds; ``***`` where that is secret.
    :param fatal: whether it takes the service out; otherwise that is served.
    :param haproxy: HAProxy's words; empty where the problem is not HAProxy's.
    :param since: seconds since the epoch, or since the controller's start; null where it is not in force yet.
    """

    kind: str
    app_id: str
    port_index: int | None
    label: str
    value: str
    reason: str
    fatal: bool
    haproxy: str
    since: float | None


class Problems(msgspec.Struct, frozen=True):
    """All problems, by app and port."""

    problems: tuple[ProblemView, ...]


def kind_of(problem: Problem) -> str:
    """The kind of a problem: see `ProblemView`."""
    if not problem.app_id:
        return "pin" if problem.label == PIN else "template"
    if problem.reason.startswith((_SAYS, FAILS)):
        return "quarantine"
    if problem.reason.startswith(FORBIDDEN):
        return "policy"
    if problem.reason.startswith(_COLLISIONS):
        return "collision"
    if problem.label.removeprefix("HAPROXY_") in BY_NAME:
        return "template"
    return "label" if problem.label.startswith("HAPROXY_") else "app"


def view(problem: Problem, since: float | None) -> ProblemView:
    """A problem as data."""
    words = problem.reason.removeprefix(_SAYS) if problem.reason.startswith(_SAYS) else ""
    if problem.reason.startswith(FAILS):
        words = problem.reason.partition(": ")[2].partition("; ")[0]
    for fate in _FATES:
        words = words.partition(fate)[0]
    return ProblemView(
        kind=kind_of(problem),
        app_id=problem.app_id,
        port_index=problem.port_index,
        label=problem.label,
        value=problem.value,
        reason=problem.reason,
        fatal=problem.fatal,
        haproxy=words,
        since=since,
    )


def problems_of(sight: Sight) -> tuple[ProblemView, ...]:
    """All problems that there are now."""
    since = sight.record.since
    return tuple(view(problem, since.get(problem)) for problem in sight.reconciler.problems)


class ProblemsPage(Page):
    """All problems, or one app's."""

    summary = "What is wrong with labels, apps and templates"
    shape = Problems
    parameters = (Parameter("app", "query", "only this app's, by its id"),)

    def __init__(self, sight: Sight) -> None:
        self._sight = sight

    async def answer(self, asked: Asked) -> Answer:
        """Those that there are now."""
        app = asked.query.get("app")
        found = problems_of(self._sight)
        return data(Problems(tuple(p for p in found if app is None or p.app_id == app)))
