"""The table of the dashboard's pages."""

from __future__ import annotations

from marathonlb.web.api.services import Catalogue
from marathonlb.web.context import Sight
from marathonlb.web.dashboard.assets import AssetPage, Assets
from marathonlb.web.dashboard.history import (
    ConfigurationPage,
    ConfigurationsPage,
    DifferencePage,
    TimelinePage,
)
from marathonlb.web.dashboard.pages import (
    ExplainPage,
    OverviewPage,
    ProblemKindPage,
    ProblemsPage,
    ServicePage,
    ServicesPage,
)
from marathonlb.web.dashboard.site import Site
from marathonlb.web.router import Route


def dashboard(sight: Sight, catalogue: Catalogue) -> tuple[Route, ...]:
    """Every path with its page."""
    assets = Assets()
    site = Site(sight, catalogue, assets)
    return (
        Route("/", OverviewPage(site)),
        Route("/services", ServicesPage(site)),
        Route("/services/{backend}", ServicePage(site)),
        Route("/problems", ProblemsPage(site)),
        Route("/problems/{code}", ProblemKindPage(site)),
        Route("/timeline", TimelinePage(site)),
        Route("/configurations", ConfigurationsPage(site)),
        Route("/configurations/{name}", ConfigurationPage(site)),
        Route("/difference", DifferencePage(site)),
        Route("/explain", ExplainPage(site)),
        Route("/static/{version}/{name}", AssetPage(assets)),
    )
