"""The table of all pages."""

from __future__ import annotations

import re

from twisted.trial.unittest import SynchronousTestCase

from marathonlb.web.routes import documented
from tests.web.contexts import PagesTestCase


class DocumentedTests(SynchronousTestCase):
    """`documented`."""

    def test_paths(self) -> None:
        """Each path stands there once, with a summary in one line."""
        table = documented()
        self.assertEqual(len({route.path for route in table}), len(table))
        for route in table:
            self.assertRegex(route.page.summary, r"^[A-Z/].*[^.]$", route.path)
            self.assertNotIn("\n", route.page.summary)

    def test_parameters(self) -> None:
        """Every name in a path is a documented parameter of its page."""
        for route in documented():
            named = {each.name for each in route.page.parameters if each.place == "path"}
            self.assertEqual(named, set(re.findall(r"\{(\w+)\}", route.path)), route.path)

    def test_legacy_paths(self) -> None:
        """The paths of earlier versions are still there."""
        paths = {route.path for route in documented()}
        self.assertLessEqual(
            {"/_haproxy_getconfig", "/_haproxy_getvhostmap", "/_haproxy_getappmap", "/_haproxy_getpids"},
            paths,
        )
        self.assertLessEqual({"/_mlb_signal/hup", "/_mlb_signal/usr1", "/metrics"}, paths)


class SiteTests(PagesTestCase):
    """The site with all pages."""

    def test_api_and_dashboard(self) -> None:
        """It serves the API in JSON and the dashboard in HTML."""
        types = [self.ask("GET", path)[2]["content-type"] for path in ("/api/status", "/problems")]
        self.assertEqual(types, ["application/json", "text/html; charset=utf-8"])
