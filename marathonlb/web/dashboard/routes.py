"""The routes of the dashboard."""

from __future__ import annotations

from marathonlb.web.api.services import Catalogue
from marathonlb.web.context import WebContext
from marathonlb.web.dashboard.assets import AssetPage, Assets
from marathonlb.web.dashboard.history import (
    ConfigurationHtmlPage,
    ConfigurationsHtmlPage,
    DifferenceHtmlPage,
    TimelineHtmlPage,
)
from marathonlb.web.dashboard.pages import (
    ExplainHtmlPage,
    OverviewHtmlPage,
    ProblemKindHtmlPage,
    ProblemsHtmlPage,
    ServiceHtmlPage,
    ServicesHtmlPage,
)
from marathonlb.web.dashboard.site import DashboardSite
from marathonlb.web.router import Route


def dashboard(context: WebContext, catalogue: Catalogue) -> tuple[Route, ...]:
    """Return every path with its page."""
    assets = Assets()
    site = DashboardSite(context, catalogue, assets)
    return (
        Route("/", OverviewHtmlPage(site)),
        Route("/services", ServicesHtmlPage(site)),
        Route("/services/{backend}", ServiceHtmlPage(site)),
        Route("/problems", ProblemsHtmlPage(site)),
        Route("/problems/{code}", ProblemKindHtmlPage(site)),
        Route("/timeline", TimelineHtmlPage(site)),
        Route("/configurations", ConfigurationsHtmlPage(site)),
        Route("/configurations/{name}", ConfigurationHtmlPage(site)),
        Route("/difference", DifferenceHtmlPage(site)),
        Route("/explain", ExplainHtmlPage(site)),
        Route("/static/{version}/{name}", AssetPage(assets)),
    )
