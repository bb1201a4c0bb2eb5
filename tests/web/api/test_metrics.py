"""The metrics of HAProxy and of the controller over HTTP."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from marathonlb.errors import HAProxyUnavailable
from marathonlb.web.api.metrics import Sink, corrected
from tests.reconciling import web
from tests.web.contexts import PagesTestCase


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

    def test_silent(self) -> None:
        """Without HAProxy's metrics the controller's are complete, and say so."""

        async def unavailable(query: str, sink: Sink) -> None:
            raise HAProxyUnavailable(reason="no exporter")

        self._export = unavailable  # type: ignore[method-assign]
        self.make(self.settings)
        self.serve(web("shop"))
        _, text, _ = self.ask("GET", "/metrics")
        self.assertIn("\nmarathon_lb_haproxy_answers 0.0\n", text)
        self.assertNotIn("haproxy_x", text)

    def test_query(self) -> None:
        """The query goes to HAProxy's exporter as it is."""
        queries: list[str] = []

        async def export(query: str, sink: Sink) -> None:
            queries.append(query)

        self._export = export  # type: ignore[method-assign]
        self.make(self.settings)
        self.ask("GET", "/metrics?scope=frontend&scope=server")
        self.assertEqual(queries, ["scope=frontend&scope=server"])

    def test_kinds(self) -> None:
        """Problems are counted by their category, whatever their sentences say."""
        self.serve(web("a", HAPROXY_0_MODE="x"), web("b", 10001, HAPROXY_0_MODE="is refused by HAProxy"))
        _, text, _ = self.ask("GET", "/metrics")
        self.assertIn('marathon_lb_problems{fatal="true",kind="label"} 2.0', text)


class CorrectedTests(SynchronousTestCase):
    """`corrected`."""

    def test_types(self) -> None:
        """Names that end in _total are counters, and no others are; all other lines stay."""
        for line, expected in (
            (b"# TYPE haproxy_bytes counter\n", b"# TYPE haproxy_bytes untyped\n"),
            (b"# TYPE haproxy_bytes_total counter\n", b"# TYPE haproxy_bytes_total counter\n"),
            (b"# TYPE haproxy_up_total gauge\n", b"# TYPE haproxy_up_total counter\n"),
            (b"# TYPE haproxy_up gauge\n", b"# TYPE haproxy_up gauge\n"),
            (b"haproxy_bytes 1\n", b"haproxy_bytes 1\n"),
        ):
            self.assertEqual(corrected(line), expected)
