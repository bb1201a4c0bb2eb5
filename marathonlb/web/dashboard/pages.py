"""The pages about the present: overview, services, problems and explanations."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from marathonlb.controller.timeline import Kind
from marathonlb.problem_kinds.table import BY_CODE
from marathonlb.routing.explain.answer import explain
from marathonlb.routing.explain.question import EXPECTED, question_of
from marathonlb.web.api.problems import ProblemView, problems_of
from marathonlb.web.api.services import Services, service_of
from marathonlb.web.api.status import status_of
from marathonlb.web.dashboard.charts import latencies, stages
from marathonlb.web.dashboard.history import section_lines
from marathonlb.web.dashboard.selection import STATES, Index, Selection, responses
from marathonlb.web.dashboard.site import DashboardSite, HtmlPage
from marathonlb.web.page import ClientRequest, Refusal

REFRESH = 5
"""Seconds between two updates of a page with HAProxy's statistics if nothing has happened."""

SHOWN = 6
"""Maximum number of problems and of services on the overview; it shows twice as many entries of the timeline."""

UNWELL = ("down", "degraded", "empty")
"""The states that need attention."""

PROBLEMS = 200
"""Maximum number of problems on one page."""


class OverviewHtmlPage(HtmlPage):
    """The overview: the verdict, figures, recent events, and what needs attention."""

    template = "overview.html"
    summary = "Overview"

    async def values(self, request: ClientRequest) -> Mapping[str, Any]:
        """Return the values of the template."""
        entries = self._context.recorder.timeline.entries()
        recent = [entry for entry in entries if entry.kind is not Kind.UNCHANGED][-2 * SHOWN :]
        try:
            services = await self._site.catalogue.services()
        except Refusal:
            services = Services(())
        states = Counter(view.state for view in services.services)
        problems = problems_of(self._context)
        unwell = sorted(
            (view for view in services.services if view.state in UNWELL),
            key=lambda view: STATES.index(view.state),
        )
        return {
            "status": await status_of(self._context, admin=request.admin),
            "states": [(state, states[state]) for state in STATES if states[state]],
            "unwell": unwell[:SHOWN],
            "unwell_count": len(unwell),
            "unwell_states": UNWELL,
            "silence": services.problem,
            "problems": newest(problems)[:SHOWN],
            "problem_count": len(problems),
            "entries": recent[::-1],
            "latencies": latencies(entries),
            "stages": stages,
            "longest": max((entry.total_seconds for entry in recent), default=0.0),
            "refresh": REFRESH,
        }


class ServicesHtmlPage(HtmlPage):
    """All services: searched, sorted and filtered."""

    template = "services.html"
    summary = "The services: searched, sorted and filtered"

    def __init__(self, site: DashboardSite) -> None:
        super().__init__(site)
        self._services = Services(())
        self._index = Index(())

    async def values(self, request: ClientRequest) -> Mapping[str, Any]:
        """Return the values of the template."""
        services = await self._site.catalogue.services()
        if services is not self._services:
            self._services, self._index = services, Index(services.services)
        selected = self._index.select(Selection.of(request.query))
        return {
            "selected": selected,
            "selection": selected.selection,
            "all_states": STATES,
            "silence": services.problem,
            "responses": responses,
            "refresh": REFRESH,
        }


class ServiceHtmlPage(HtmlPage):
    """One service."""

    template = "service.html"
    summary = "One service with its servers, rules, configuration and problems"

    async def values(self, request: ClientRequest) -> Mapping[str, Any]:
        """Return the values of the template. Raises `Refusal` if there is no such service."""
        detail = await service_of(self._context, request.arguments["backend"], admin=request.admin)
        return {"detail": detail, "view": detail.service, "section_lines": section_lines, "refresh": REFRESH}


class ProblemsHtmlPage(HtmlPage):
    """The open problems."""

    template = "problems.html"
    summary = "The open problems"

    async def values(self, request: ClientRequest) -> Mapping[str, Any]:
        """Return the values of the template."""
        everything = problems_of(self._context)
        counts = Counter(problem.kind for problem in everything)
        kind = request.query.get("kind", "")
        kind = kind if kind in counts else ""
        selected = newest([problem for problem in everything if kind in ("", problem.kind)])
        page = max(1, request.number("page", 1))
        shown = selected[(page - 1) * PROBLEMS : page * PROBLEMS]
        return {
            "problems": shown,
            "found": len(selected),
            "total": len(everything),
            "kind": kind,
            "kinds": counts.most_common(),
            "number_of_page": page,
            "pages": max(1, -(-len(selected) // PROBLEMS)),
        }


class ProblemKindHtmlPage(HtmlPage):
    """One kind of problem by its code: the section of docs/problems.md, for machines without the documentation."""

    template = "problem_kind.html"
    summary = "What a problem's code means, what is served meanwhile and what to do"

    async def values(self, request: ClientRequest) -> Mapping[str, Any]:
        """Return the values of the template. Raises `Refusal` if no kind has this code."""
        kind = BY_CODE.get(request.arguments["code"].upper())
        if kind is None:
            raise Refusal(status=404, reason="no kind of problem has this code")
        count = sum(problem.kind is kind for problem in self._context.reconciler.problems)
        return {"about": kind, "count": count}


def newest(problems: Sequence[ProblemView]) -> list[ProblemView]:
    """Return the newest problems first; of the same moment those that take a service out before warnings."""
    return sorted(problems, key=lambda problem: (-(problem.since or 0.0), not problem.fatal))


class ExplainHtmlPage(HtmlPage):
    """A question and its answer."""

    template = "explain.html"
    summary = "The rule that matches a URL, the services of an app, or the service on a port"

    async def values(self, request: ClientRequest) -> Mapping[str, Any]:
        """Return the values of the template. Raises `Refusal` before Marathon's first answer."""
        text = request.query.get("q", "").strip()
        values = {"q": text, "expected": EXPECTED, "explanation": None, "misunderstood": False}
        if not text:
            return values
        try:
            question = question_of(text)
        except ValueError:
            return {**values, "misunderstood": True}
        return {**values, "explanation": explain(question, self._context.state())}
