"""Charts as numbers."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from marathonlb.controller.timeline import Entry, Kind
from marathonlb.web.dashboard.charts import BARS, latencies, stages


class ChartTests(SynchronousTestCase):
    """Latencies and stages."""

    def test_latencies(self) -> None:
        """The last changes that an event led to are drawn, the newest at the right end; others are not."""
        entries = [
            Entry(time=n, kind=Kind.CONVERGED, summary="", action="steps", event_to_traffic_seconds=0.001 * n)
            for n in range(1, BARS + 10)
        ]
        others = [Entry(time=0, kind=Kind.CONVERGED, summary=""), Entry(time=0, kind=Kind.FAILED, summary="")]
        drawn = latencies([*entries, *others])
        assert drawn is not None
        self.assertEqual(len(drawn.bars), BARS)
        self.assertEqual(
            (drawn.bars[0].x, drawn.bars[-1].x, drawn.last),
            (0.0, BARS - 1.0, entries[-1].event_to_traffic_seconds),
        )
        self.assertEqual(max(bar.height for bar in drawn.bars), 40.0)
        self.assertIsNone(latencies(others))

    def test_stages(self) -> None:
        """Stages follow one another in their order, as long as they took; each can be seen."""
        bars = stages({"reload": 0.5, "gather": 0.0, "check": 0.25}, 1.0)
        self.assertEqual(
            [(b.name, b.x, b.width) for b in bars],
            [("gather", 0.0, 0.4), ("check", 0.4, 25.0), ("reload", 25.4, 50.0)],
        )
        self.assertEqual(stages({"new": 1.0}, 0.0)[0].width, 0.4)
