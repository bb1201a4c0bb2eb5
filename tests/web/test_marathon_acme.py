"""marathon-acme, which others wrote, tells marathon-lb of new certificates through the old paths."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred

from tests.reconciling import web
from tests.web.contexts import PagesTestCase

try:
    from marathon_acme.clients import MarathonLbClient

    absent = ""
except ImportError:
    absent = "marathon-acme is not installed"


class Signals(PagesTestCase):
    """Its client of marathon-lb, over our pages."""

    if absent:
        skip = absent

    def make_client(self, *endpoints: str) -> Any:
        """The client, which asks our pages whatever the endpoint."""
        return MarathonLbClient(list(endpoints), client=self.treq, reactor=self.clock)

    def result(self, asked: Deferred[list[Any]]) -> list[tuple[int, str] | None]:
        """What was answered: of each endpoint the status and the text, None where it failed."""
        self.agent.flush()
        return [
            None if each is None else (each.code, self.successResultOf(each.text()))
            for each in self.successResultOf(asked)
        ]

    def test_hup(self) -> None:
        """Its SIGHUP looks at everything, on each marathon-lb it knows."""
        self.serve(web("shop"))
        self.marathon.asked.clear()
        asked = self.make_client("http://lb1:9090", "http://lb2:9090").mlb_signal_hup()
        self.assertEqual(self.result(asked), [(200, "SIGHUP"), (200, "SIGHUP")])
        self.assertEqual(self.marathon.asked, ["*", "*"])

    def test_usr1(self) -> None:
        """Its SIGUSR1, which follows each new certificate, reloads HAProxy."""
        self.serve(web("shop"))
        self.assertEqual(
            self.result(self.make_client("http://lb:9090").mlb_signal_usr1()), [(200, "SIGUSR1")]
        )
        self.assertEqual(len(self.applier.applied), 2)

    def test_not_allowed(self) -> None:
        """Where it is not let in, it notices."""
        self.client = "10.0.0.1"
        asked = self.make_client("http://lb:9090").mlb_signal_usr1()
        self.agent.flush()
        self.assertIn("Failed to make a request", str(self.failureResultOf(asked, RuntimeError).value))
        self.flushLoggedErrors()
        self.assertEqual(self.applier.applied, [])
