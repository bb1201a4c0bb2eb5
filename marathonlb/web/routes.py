"""The table of all pages, for the site and its documentation."""

from __future__ import annotations

from typing import Any

from marathonlb.web.access import Access
from marathonlb.web.api.configurations import ConfigurationPage, DifferencePage, VersionsPage
from marathonlb.web.api.events import EventsPage
from marathonlb.web.api.explain import ExplainPage, WhatIfPage
from marathonlb.web.api.health import Live, Ready
from marathonlb.web.api.legacy_paths import ConfigPage, MapPage, PidsPage, hup, usr1
from marathonlb.web.api.metrics import Exporter, MetricsPage
from marathonlb.web.api.openapi import OpenAPIPage
from marathonlb.web.api.pin import PinPage, UnpinPage
from marathonlb.web.api.problems import ProblemsPage
from marathonlb.web.api.services import Catalogue, ServicePage, ServicesPage
from marathonlb.web.api.status import StatusPage, TimelinePage
from marathonlb.web.context import WebContext
from marathonlb.web.dashboard.routes import dashboard
from marathonlb.web.router import Route, Router
from marathonlb.web.tokens import AdminToken, FailedTokens


def routes(context: WebContext, exporter: Exporter) -> tuple[Route, ...]:
    """Return every path with its page."""
    catalogue = Catalogue(context)
    return (*dashboard(context, catalogue), *api(context, exporter, catalogue))


def api(context: WebContext, exporter: Exporter, catalogue: Catalogue) -> tuple[Route, ...]:
    """Return the documented paths for programs."""
    table: tuple[Route, ...] = (
        Route("/metrics", MetricsPage(context, exporter)),
        Route("/_haproxy_getconfig", ConfigPage(context)),
        Route("/_haproxy_getvhostmap", MapPage(context, "domain2backend.map")),
        Route("/_haproxy_getappmap", MapPage(context, "app2backend.map")),
        Route("/_haproxy_getpids", PidsPage(context)),
        Route("/_mlb_signal/hup", hup(context)),
        Route("/_mlb_signal/usr1", usr1(context)),
        Route("/api/status", StatusPage(context)),
        Route("/api/services", ServicesPage(catalogue)),
        Route("/api/services/{backend}", ServicePage(context)),
        Route("/api/problems", ProblemsPage(context)),
        Route("/api/timeline", TimelinePage(context)),
        Route("/api/events", EventsPage(context)),
        Route("/api/configurations", VersionsPage(context)),
        Route("/api/configurations/{name}", ConfigurationPage(context)),
        Route("/api/difference", DifferencePage(context)),
        Route("/api/pin", PinPage(context)),
        Route("/api/unpin", UnpinPage(context)),
        Route("/api/explain", ExplainPage(context)),
        Route("/api/what-if", WhatIfPage(context)),
        Route("/api/health/live", Live()),
        Route("/api/health/ready", Ready(context)),
        Route("/api/openapi.json", OpenAPIPage(lambda: table)),
    )
    return table


def documented() -> tuple[Route, ...]:
    """Return the table for the documentation; its pages cannot answer."""
    nothing: Any = None
    return api(nothing, nothing, nothing)


def router(context: WebContext, exporter: Exporter, host: str) -> Router:
    """
    Return the root of the site.

    :param host: this host's name.
    """
    settings = context.settings
    token = AdminToken(settings.admin_token) if settings.admin_token is not None else None
    access = Access(settings.admin_allow, host, token, FailedTokens(context.clock))
    return Router(routes(context, exporter), access)
