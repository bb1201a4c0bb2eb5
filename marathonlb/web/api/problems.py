"""Problems as data: the app, the kind, the time, and HAProxy's message if HAProxy refuses something."""

from __future__ import annotations

import msgspec

from marathonlb.routing.problems import Problem
from marathonlb.web.context import WebContext
from marathonlb.web.page import Answer, ClientRequest, Page, Parameter, data


class ProblemView(msgspec.Struct, frozen=True, kw_only=True):
    """
    Something that an app's owner or the operator should correct.

    :param kind: ``pin`` (a configuration of the past is pinned), ``template`` (the operator's templates and
        certificates), ``quarantine`` (HAProxy refuses it, or fails with it), ``policy``, ``collision`` (another app, or
        the load balancer itself, has what this one wants), ``label`` or ``app`` (the rest of its definition).
    :param code: the kind in detail, ``MLB-`` and a number: see docs/problems.md. Empty from older controllers.
    :param app_id: the app; empty if the problem is the operator's.
    :param port_index: the index of the service port; null if the problem is the whole app's.
    :param label: the name of the label, field, template or option.
    :param value: its value; ``***`` if it is secret.
    :param fatal: true if the service is not served; otherwise this is a warning.
    :param haproxy: HAProxy's message; empty if the problem does not come from HAProxy.
    :param since: seconds since the epoch, or since the controller's start; null if it is not in force yet.
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
    code: str = ""


class Problems(msgspec.Struct, frozen=True):
    """All problems, by app and port."""

    problems: tuple[ProblemView, ...]


def kind_of(problem: Problem) -> str:
    """Return the kind of a problem: see `ProblemView`."""
    return problem.kind.category.value


def view(problem: Problem, since: float | None) -> ProblemView:
    """Return a problem as data."""
    return ProblemView(
        kind=kind_of(problem),
        code=problem.kind.code,
        app_id=problem.app_id,
        port_index=problem.port_index,
        label=problem.label,
        value=problem.value,
        reason=problem.reason,
        fatal=problem.fatal,
        haproxy=problem.haproxy,
        since=since,
    )


def problems_of(context: WebContext) -> tuple[ProblemView, ...]:
    """Return all current problems."""
    since = context.recorder.since
    return tuple(view(problem, since.get(problem)) for problem in context.reconciler.problems)


class ProblemsPage(Page):
    """All problems, or one app's."""

    summary = "The open problems with labels, apps and templates"
    shape = Problems
    parameters = (Parameter("app", "query", "only those of the app with this id"),)

    def __init__(self, context: WebContext) -> None:
        self._context = context

    async def answer(self, request: ClientRequest) -> Answer:
        """Return the current ones."""
        app = request.query.get("app")
        problems = problems_of(self._context)
        return data(Problems(tuple(p for p in problems if app is None or p.app_id == app)))
