"""The pages that tell how everything is now: overview, services, problems, explanations."""

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
from marathonlb.web.dashboard.site import HtmlPage, Site
from marathonlb.web.page import Asked, Refusal

REFRESH = 5
"""Seconds after which a page with HAProxy's numbers is looked at again, though nothing has happened."""

SHOWN = 6
"""So many problems and services the overview shows, and twice as many entries of the timeline."""

UNWELL = ("down", "degraded", "empty")
"""The states that somebody may want to look into."""

MANY = 200
"""So many problems are on one page."""


class OverviewHtmlPage(HtmlPage):
    """Is it up to date, what did it do last, who needs somebody?"""

    template = "overview.html"
    summary = "How everything is"

    async def values(self, asked: Asked) -> Mapping[str, Any]:
        """See the template."""
        entries = self._context.recorder.timeline.entries()
        told = [entry for entry in entries if entry.kind is not Kind.UNCHANGED][-2 * SHOWN :]
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
            "status": await status_of(self._context, admin=asked.admin),
            "states": [(state, states[state]) for state in STATES if states[state]],
            "unwell": unwell[:SHOWN],
            "unwell_count": len(unwell),
            "unwell_states": UNWELL,
            "silence": services.problem,
            "problems": newest(problems)[:SHOWN],
            "problem_count": len(problems),
            "entries": told[::-1],
            "latencies": latencies(entries),
            "stages": stages,
            "longest": max((entry.total_seconds for entry in told), default=0.0),
            "refresh": REFRESH,
        }


class ServicesHtmlPage(HtmlPage):
    """All services: searched, sorted, narrowed."""

    template = "services.html"
    summary = "The services, searched, sorted and narrowed"

    def __init__(self, site: Site) -> None:
        super().__init__(site)
        self._services = Services(())
        self._index = Index(())

    async def values(self, asked: Asked) -> Mapping[str, Any]:
        """See the template."""
        services = await self._site.catalogue.services()
        if services is not self._services:
            self._services, self._index = services, Index(services.services)
        selected = self._index.select(Selection.of(asked.query))
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
    summary = "One service with its servers, rules, text and problems"

    async def values(self, asked: Asked) -> Mapping[str, Any]:
        """See the template. Raises `Refusal` where there is none."""
        detail = await service_of(self._context, asked.arguments["backend"], admin=asked.admin)
        return {"detail": detail, "view": detail.service, "section_lines": section_lines, "refresh": REFRESH}


class ProblemsHtmlPage(HtmlPage):
    """What somebody should mend."""

    template = "problems.html"
    summary = "What is wrong"

    async def values(self, asked: Asked) -> Mapping[str, Any]:
        """See the template."""
        everything = problems_of(self._context)
        counts = Counter(problem.kind for problem in everything)
        kind = asked.query.get("kind", "")
        kind = kind if kind in counts else ""
        found = newest([problem for problem in everything if kind in ("", problem.kind)])
        page = max(1, asked.number("page", 1))
        shown = found[(page - 1) * MANY : page * MANY]
        return {
            "problems": shown,
            "found": len(found),
            "total": len(everything),
            "kind": kind,
            "kinds": counts.most_common(),
            "number_of_page": page,
            "pages": max(1, -(-len(found) // MANY)),
        }


class ProblemKindHtmlPage(HtmlPage):
    """One kind of problem by its code: the section of docs/problems.md, for machines without the documentation."""

    template = "problem_kind.html"
    summary = "What a problem's code means, what is served meanwhile and what to do"

    async def values(self, asked: Asked) -> Mapping[str, Any]:
        """Return the values of the template. Raises `Refusal` where no kind has this code."""
        found = BY_CODE.get(asked.arguments["code"].upper())
        if found is None:
            raise Refusal(status=404, reason="no kind of problem has this code")
        count = sum(problem.kind is found for problem in self._context.reconciler.problems)
        return {"about": found, "count": count}


def newest(problems: Sequence[ProblemView]) -> list[ProblemView]:
    """Those that came last come first; what takes a service out goes before a warning of the same moment."""
    return sorted(problems, key=lambda each: (-(each.since or 0.0), not each.fatal))


class ExplainHtmlPage(HtmlPage):
    """A question and its answer."""

    template = "explain.html"
    summary = "Which rule catches a URL, what becomes of an app, who listens on a port"

    async def values(self, asked: Asked) -> Mapping[str, Any]:
        """See the template. Raises `Refusal` before Marathon's first answer."""
        text = asked.query.get("q", "").strip()
        values = {"q": text, "expected": EXPECTED, "said": None, "misunderstood": False}
        if not text:
            return values
        try:
            question = question_of(text)
        except ValueError:
            return {**values, "misunderstood": True}
        return {**values, "said": explain(question, self._context.state())}
