"""The metrics: their table, and how they are exposed."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from marathonlb.controller.timeline import Entry, Kind
from marathonlb.metrics import METRICS, PREFIX, Metrics, markdown
from tests.fakes.hints import event_hint
from tests.reconciling import web
from tests.web.contexts import PagesTestCase

EVENT = event_hint(["/shop"], "status_update_event", "health_status_changed_event")


def entry(kind: Kind = Kind.CONVERGED, summary: str = "x") -> Entry:
    """An entry of no interest."""
    return Entry(time=1.0, kind=kind, summary=summary)


class ExpositionTests(PagesTestCase):
    """/metrics."""

    def test_one_exposition(self) -> None:
        """HAProxy's come first with their types corrected, then ours as they are now."""
        self.serve(web("shop", tasks=2), web("bad", 10001, HAPROXY_0_MODE="x"))
        code, text, headers = self.ask("GET", "/metrics?scope=frontend")
        self.assertEqual((code, headers["content-type"]), (200, "text/plain; version=0.0.4; charset=utf-8"))
        self.assertIn("haproxy_x 1\n", text)
        for line in (
            "marathon_lb_services 1.0",
            "marathon_lb_servers 2.0",
            "marathon_lb_ready 1.0",
            'marathon_lb_problems{fatal="true",kind="label"} 1.0',
            "marathon_lb_draining_workers 0.0",
            "marathon_lb_haproxy_answers 1.0",
            "marathon_lb_staleness_seconds 1.0",
        ):
            self.assertIn(f"\n{line}\n", text)

    def test_mended(self) -> None:
        """A kind of problem that there is no more is no series any more."""
        self.serve(web("bad", HAPROXY_0_MODE="x"))
        self.ask("GET", "/metrics")
        self.serve(web("bad"))
        self.assertNotIn("marathon_lb_problems{", self.ask("GET", "/metrics")[1])


class TableTests(SynchronousTestCase):
    """The table of metrics."""

    def test_documented(self) -> None:
        """Every metric stands in the documentation, and every series in the table."""
        text = markdown()
        for row in METRICS:
            self.assertIn(f"| `{PREFIX}{row.name}` |", text)
        names = {metric.name for metric in Metrics("1", "sse", processes=False).registry.collect()}
        self.assertEqual(names, {PREFIX + row.name.removesuffix("_total") for row in METRICS})
