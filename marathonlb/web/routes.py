"""The table of the controller's pages: it makes the site and its documentation."""

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
from marathonlb.web.context import Sight
from marathonlb.web.dashboard.routes import dashboard
from marathonlb.web.router import Route, Router
from marathonlb.web.tokens import AdminToken, FailedTokens


def routes(sight: Sight, exporter: Exporter) -> tuple[Route, ...]:
    """Every path with its page."""
    catalogue = Catalogue(sight)
    return (*dashboard(sight, catalogue), *api(sight, exporter, catalogue))


def api(sight: Sight, exporter: Exporter, catalogue: Catalogue) -> tuple[Route, ...]:
    """The paths for programs, which are documented."""
    table: tuple[Route, ...] = (
        Route("/metrics", MetricsPage(sight, exporter)),
        Route("/_haproxy_getconfig", ConfigPage(sight)),
        Route("/_haproxy_getvhostmap", MapPage(sight, "domain2backend.map")),
        Route("/_haproxy_getappmap", MapPage(sight, "app2backend.map")),
        Route("/_haproxy_getpids", PidsPage(sight)),
        Route("/_mlb_signal/hup", hup(sight)),
        Route("/_mlb_signal/usr1", usr1(sight)),
        Route("/api/status", StatusPage(sight)),
        Route("/api/services", ServicesPage(catalogue)),
        Route("/api/services/{backend}", ServicePage(sight)),
        Route("/api/problems", ProblemsPage(sight)),
        Route("/api/timeline", TimelinePage(sight)),
        Route("/api/events", EventsPage(sight)),
        Route("/api/configurations", VersionsPage(sight)),
        Route("/api/configurations/{name}", ConfigurationPage(sight)),
        Route("/api/difference", DifferencePage(sight)),
        Route("/api/pin", PinPage(sight)),
        Route("/api/unpin", UnpinPage(sight)),
        Route("/api/explain", ExplainPage(sight)),
        Route("/api/what-if", WhatIfPage(sight)),
        Route("/api/health/live", Live()),
        Route("/api/health/ready", Ready(sight)),
        Route("/api/openapi.json", OpenAPIPage(lambda: table)),
    )
    return table


def documented() -> tuple[Route, ...]:
    """The table for its documentation: pages that nobody asks, and that see nothing."""
    nothing: Any = None
    return api(nothing, nothing, nothing)


def router(sight: Sight, exporter: Exporter, host: str) -> Router:
    """
    The site's root.

    :param host: this host's name.
    """
    settings = sight.settings
    token = AdminToken(settings.admin_token) if settings.admin_token is not None else None
    access = Access(settings.admin_allow, host, token, FailedTokens(sight.clock))
    return Router(routes(sight, exporter), access)
