"""The metrics: their table and their exposition."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from marathonlb.controller.timeline import Entry, Kind
from marathonlb.metrics import METRICS, PREFIX, Metrics, markdown
from tests.fakes.hints import event_hint

EVENT = event_hint(["/shop"], "status_update_event", "health_status_changed_event")


def entry(kind: Kind = Kind.CONVERGED, summary: str = "x") -> Entry:
    """An entry of no interest."""
    return Entry(time=1.0, kind=kind, summary=summary)


class TableTests(SynchronousTestCase):
    """The table of metrics."""

    def test_documented(self) -> None:
        """Every metric stands in the documentation, and every series in the table."""
        text = markdown()
        for row in METRICS:
            self.assertIn(f"| `{PREFIX}{row.name}` |", text)
        names = {metric.name for metric in Metrics("1", "sse", processes=False).registry.collect()}
        self.assertEqual(names, {PREFIX + row.name.removesuffix("_total") for row in METRICS})
