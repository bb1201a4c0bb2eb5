"""The common parts of all pages of the dashboard: the frame, the templates and the error page."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any, ClassVar
from urllib.parse import quote, urlencode

from attrs import frozen
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from marathonlb.base import figures
from marathonlb.controller.timeline import Kind
from marathonlb.errors import MarathonLBError
from marathonlb.haproxy.outcome import action_name
from marathonlb.problem_kinds.operators import (
    CERTIFICATE_LIST,
    HTTPS_OFF,
    SSL_CERTS_UNUSABLE,
    SSL_CERTS_WARNING,
    TEMPLATES_UNREADABLE,
)
from marathonlb.problem_kinds.running import PINNED
from marathonlb.problem_kinds.table import BY_CODE
from marathonlb.web.api.pin import pinned
from marathonlb.web.api.problems import ProblemView
from marathonlb.web.api.services import Catalogue, server_state
from marathonlb.web.context import WebContext
from marathonlb.web.dashboard.assets import DIRECTORY, Assets
from marathonlb.web.dashboard.verdict import verdict_of
from marathonlb.web.page import HTML, Answer, ClientRequest, Page, Refusal

POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)
"""The Content-Security-Policy of the pages: only files of this site, no inline script or style."""

NAVIGATION = (
    ("/", "Overview"),
    ("/services", "Services"),
    ("/problems", "Problems"),
    ("/timeline", "Timeline"),
    ("/configurations", "Configurations"),
    ("/explain", "Explain"),
)


@cache
def templates(assets: Assets) -> Environment:
    """Return the templates of the pages, compiled once for all sites of a process. Every value is escaped."""
    environment = Environment(
        loader=FileSystemLoader(DIRECTORY / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=figures.finalized,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    environment.filters |= {
        "action_name": action_name,
        "duration": figures.duration,
        "entry_kind": entry_kind,
        "ago": figures.ago,
        "iso": figures.iso,
        "kind": figures.kind,
        "moment": figures.moment,
        "number": figures.number,
        "prose": figures.prose,
        "size": figures.size,
        "segment": segment,
        "stage_name": stage_name,
    }
    environment.globals |= {
        "asset": assets.path,
        "explain_url": explain_url,
        "navigation": NAVIGATION,
        "operator_part": operator_part,
        "plural": figures.plural,
        "server_state": server_state,
        "service_url": service_url,
    }
    return environment


@frozen
class DashboardSite:
    """
    The dashboard.

    :param catalogue: the list of services, shared by all clients.
    """

    context: WebContext
    catalogue: Catalogue
    assets: Assets

    async def page(
        self, template: str, request: ClientRequest, values: Mapping[str, Any], status: int = 200
    ) -> Answer:
        """Return a page in its frame."""
        context = self.context
        frame = {
            "admin": request.admin,
            "barred": request.barred,
            "badges": {"/problems": len(context.reconciler.problems)},
            "groups_served": sorted(context.settings.groups),
            "known": context.reconciler.planned is not None,
            "here": "/" + request.path.split("/")[1],
            "now": context.now(),
            "held_back": _held_back(context),
            "pinned": pinned(context),
            "refresh": 0,
            "takes_token": context.settings.admin_token is not None,
            "verdict": await verdict_of(context),
            "version": context.version,
        }
        text = templates(self.assets).get_template(template).render({**frame, **values})
        return Answer(text.encode(), status, HTML, {"Content-Security-Policy": POLICY})


class HtmlPage(Page):
    """
    A page of the dashboard.

    :cvar template: name of its template file.
    """

    content_type = HTML
    template: ClassVar[str]

    def __init__(self, site: DashboardSite) -> None:
        self._site = site
        self._context = site.context

    async def values(self, request: ClientRequest) -> Mapping[str, Any]:
        """Return the values of the template. Raises `MarathonLBError` if there are none."""
        raise NotImplementedError

    async def answer(self, request: ClientRequest) -> Answer:
        """Return the page, or the error page."""
        try:
            values = await self.values(request)
        except MarathonLBError as error:
            status = error.status if isinstance(error, Refusal) else 503
            values = {"reason": str(error), "status": status}
            return await self._site.page("error.html", request, values, status)
        return await self._site.page(self.template, request, values)


def _held_back(context: WebContext) -> str:
    """Return the changes that a pin holds back; empty if there are none."""
    planned = context.reconciler.planned
    return planned.held.pending if planned is not None and planned.held is not None else ""


_OPTION_KINDS = frozenset(
    {CERTIFICATE_LIST, HTTPS_OFF, SSL_CERTS_UNUSABLE, SSL_CERTS_WARNING, TEMPLATES_UNREADABLE}
)
"""Kinds of problems whose label is one of the operator's options."""


def operator_part(problem: ProblemView) -> str:
    """Return which of the operator's settings a problem without an app is about."""
    kind = BY_CODE.get(problem.code)
    if kind is PINNED:
        return "configuration"
    return "operator’s option" if kind in _OPTION_KINDS else "operator’s template"


def entry_kind(kind: Kind) -> str:
    """Return the word for a kind of entry of the timeline."""
    return "fixed" if kind is Kind.FIXED else kind.value


def stage_name(stage: str) -> str:
    """Return the name of a stage of a convergence."""
    return "runtime API" if stage == "steps" else stage


def segment(text: str) -> str:
    """Return a text as one segment of a path."""
    return quote(text, safe="")


def service_url(backend: str) -> str:
    """Return the URL of a service's page."""
    return f"/services/{segment(backend)}"


def explain_url(question: object) -> str:
    """Return the URL that answers a question."""
    return "/explain?" + urlencode({"q": str(question)})
