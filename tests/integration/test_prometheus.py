"""The metrics and the alert rules, judged by promtool."""

from __future__ import annotations

import shutil
import subprocess

from twisted.trial.unittest import SynchronousTestCase

from tests.reconciling import web
from tests.test_monitoring import PROMETHEUS
from tests.web.contexts import PagesTestCase

PROMTOOL = shutil.which("promtool") or ""
MISSING = None if PROMTOOL else "promtool is not installed (Debian: prometheus)"


class AlertRulesTests(SynchronousTestCase):
    """The rules of packaging/prometheus."""

    skip = MISSING

    def promtool(self, *arguments: str) -> str:
        """Return what promtool prints; fail where it refuses."""
        done = subprocess.run(
            [PROMTOOL, *arguments], cwd=PROMETHEUS, capture_output=True, text=True, check=False
        )
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return done.stdout

    def test_rules(self) -> None:
        """Each rule is quiet where all is well and fires where it should."""
        self.assertIn("SUCCESS", self.promtool("check", "rules", "alerts.yml"))
        self.assertIn("SUCCESS", self.promtool("test", "rules", "alerts_test.yml"))


class MetricsTests(PagesTestCase):
    """The page /metrics."""

    skip = MISSING

    def test_lint(self) -> None:
        """promtool finds nothing wrong with the metrics."""
        self.serve(web("shop"), web("bad", 10001, HAPROXY_0_MODE="x"))
        self.metrics.fetched("http://one:8080", "200", 5)
        self.metrics.count("runtime_steps_total", kind="added", result="done")
        text = self.ask("GET", "/metrics")[1]
        command = [PROMTOOL, "check", "metrics"]
        done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
        self.assertEqual((done.returncode, done.stdout + done.stderr), (0, ""))
