"""The alert rules and the Grafana dashboard of packaging/ use only existing metrics."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from marathonlb.metrics import METRICS, PREFIX
from tests.paths import CHECKOUT

PROMETHEUS = CHECKOUT / "packaging" / "prometheus"
GRAFANA = CHECKOUT / "packaging" / "grafana" / "marathon-lb.json"

KINDS = {PREFIX + row.name: row.kind.__name__ for row in METRICS}


def unknown(text: str) -> list[str]:
    """Return the names of our metrics in a text that do not exist; histograms by their series."""
    names = set(re.findall(rf"\b{PREFIX}\w+", text))
    series = {
        f"{name}_{part}"
        for name in KINDS
        for part in ("bucket", "sum", "count")
        if KINDS[name] == "Histogram"
    }
    return sorted(names - series - {name for name in KINDS if KINDS[name] != "Histogram"})


class Alerts(SynchronousTestCase):
    """The alert rules."""

    def test_names(self) -> None:
        """No rule asks for a metric that there is not."""
        self.assertEqual(unknown((PROMETHEUS / "alerts.yml").read_text()), [])
        self.assertEqual(unknown((PROMETHEUS / "alerts_test.yml").read_text()), [])

    def test_every_rule_is_tried(self) -> None:
        """Every alert stands in the tests."""
        names = re.findall(r"alert: (\w+)", (PROMETHEUS / "alerts.yml").read_text())
        tried = (PROMETHEUS / "alerts_test.yml").read_text()
        self.assertEqual([name for name in names if f"alertname: {name}" not in tried], [])
        self.assertGreater(len(names), 10)


def expressions(panel: Any) -> Iterator[str]:
    """Return the queries of the panels."""
    for target in panel.get("targets", ()):
        yield target["expr"]
    for inner in panel.get("panels", ()):
        yield from expressions(inner)


class Dashboard(SynchronousTestCase):
    """The Grafana dashboard."""

    def test_names(self) -> None:
        """It asks for metrics that there are, and shows most of ours."""
        text = GRAFANA.read_text()
        self.assertEqual(unknown(text.replace(r"\"", '"')), [])
        shown = set(re.findall(rf"\b{PREFIX}\w+", text))
        self.assertGreater(len(shown), len(METRICS) / 2)

    def test_panels(self) -> None:
        """Every panel has a title, a question with balanced braces, and a place of its own."""
        panels = json.loads(GRAFANA.read_text())["panels"]
        self.assertEqual(len({panel["id"] for panel in panels}), len(panels))
        places = [(p["gridPos"]["x"], p["gridPos"]["y"]) for p in panels]
        self.assertEqual(len(set(places)), len(places))
        for panel in panels:
            self.assertTrue(panel["title"])
            for expression in expressions(panel):
                for opening, closing in ("{}", "()", "[]"):
                    self.assertEqual(expression.count(opening), expression.count(closing), expression)
