"""
The metrics: one table for the code's metrics and their documentation.

Each controller has a registry of its own. Events are counted when they happen; states (a number of services, an age)
are set when the metrics are read, by `Metrics.now`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from attrs import frozen
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest
from prometheus_client.metrics import MetricWrapperBase

PREFIX = "marathon_lb_"

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
"""The histograms' buckets: a runtime step takes a millisecond, a reload of 100,000 servers four seconds."""


@frozen
class Metric:
    """
    A row of the table.

    :param name: without `PREFIX`; of a counter with its ``_total``.
    """

    kind: type[MetricWrapperBase]
    name: str
    help: str
    labels: tuple[str, ...] = ()


METRICS: tuple[Metric, ...] = (
    Metric(Gauge, "build_info", "Always 1; the labels say which controller this is", ("version", "mode")),
    Metric(Gauge, "start_time_seconds", "When the controller was started, in seconds since the epoch"),
    Metric(
        Histogram,
        "event_to_traffic_seconds",
        "From Marathon's first event to HAProxy's confirmation, for each change",
    ),
    Metric(Histogram, "convergence_seconds", "Duration of each stage of a convergence", ("stage",)),
    Metric(Histogram, "validation_seconds", "Duration of the checks of configurations (haproxy -c)"),
    Metric(
        Counter,
        "convergences_total",
        "Convergences by result: nothing, steps, reload, written, failed or waiting",
        ("result",),
    ),
    Metric(
        Counter,
        "fetches_total",
        "Requests to each Marathon by the status of the answer, or error",
        ("endpoint", "code"),
    ),
    Metric(
        Counter,
        "fetched_bytes_total",
        "Bytes of Marathon's answers, after decompression",
        ("endpoint", "code"),
    ),
    Metric(Counter, "events_total", "Marathon's events that led to a hint, by type", ("type",)),
    Metric(
        Gauge,
        "event_source_connected",
        "1 if Marathon's events reach the controller, else 0; of several clusters, 1 if those of all do",
    ),
    Metric(
        Gauge,
        "last_event_age_seconds",
        "Seconds since Marathon's last event; of several clusters, the greatest",
    ),
    Metric(
        Gauge,
        "staleness_seconds",
        "Seconds since the last full comparison with Marathon; of several clusters, the greatest",
    ),
    Metric(
        Gauge,
        "cluster_event_source_connected",
        "1 if the events of a cluster's Marathon reach the controller, else 0; the label of the unnamed one is empty",
        ("cluster",),
    ),
    Metric(
        Gauge,
        "cluster_last_event_age_seconds",
        "Seconds since the last event of each cluster's Marathon",
        ("cluster",),
    ),
    Metric(
        Gauge,
        "cluster_staleness_seconds",
        "Seconds since the last full comparison with each cluster's Marathon",
        ("cluster",),
    ),
    Metric(Gauge, "cluster_apps", "Apps and pods that each cluster runs", ("cluster",)),
    Metric(
        Gauge, "max_staleness_seconds", "Staleness in seconds above which readiness is red (--max-staleness)"
    ),
    Metric(Gauge, "ready", "1 if the controller is ready, else 0; /api/health/ready gives the reason"),
    Metric(Counter, "reloads_total", "Reloads of HAProxy by reason and result", ("reason", "result")),
    Metric(
        Counter,
        "runtime_steps_total",
        "Commands of HAProxy's runtime API by kind and result",
        ("kind", "result"),
    ),
    Metric(Gauge, "services", "Services in the planned configuration"),
    Metric(Gauge, "servers", "Servers in these services"),
    Metric(
        Gauge,
        "problems",
        "Problems of apps and templates by kind; fatal is true if the service is not served",
        ("kind", "fatal"),
    ),
    Metric(
        Gauge,
        "suspected_services",
        "Services whose changes wait while the cause of a failure is searched that names no line",
    ),
    Metric(Gauge, "pinned", "1 if an earlier configuration is pinned, so that changes wait, else 0"),
    Metric(Gauge, "draining_workers", "Old workers of HAProxy that still finish their connections"),
    Metric(
        Counter,
        "drifted_apps_total",
        "Changed apps that a full comparison found and no event had named; always 0 in poll mode, which has no events",
    ),
    Metric(Gauge, "failures_in_a_row", "Convergences that have failed since the last success"),
    Metric(Gauge, "generation", "Number of hints"),
    Metric(Gauge, "converged_generation", "Number of the last hint whose configuration HAProxy runs"),
    Metric(Gauge, "haproxy_answers", "1 if HAProxy's own metrics could be fetched, else 0"),
)


class Metrics:
    """
    The metrics of one controller.

    :param version: the controller's.
    :param processes: True to have CPU, memory and open files of this process among them.
    """

    def __init__(self, version: str, mode: str, *, started: float = 0.0, processes: bool = True) -> None:
        self.registry = CollectorRegistry()
        self._metrics = {row.name: _made(row, self.registry) for row in METRICS}
        if processes:
            ProcessCollector(registry=self.registry)
        self.set("build_info", 1, version=version, mode=mode)
        self.set("start_time_seconds", started)

    def count(self, name: str, by: float = 1, **labels: str) -> None:
        """Add to a counter."""
        metric = self._metrics[name]
        assert isinstance(metric, Counter)
        (metric.labels(**labels) if labels else metric).inc(by)

    def observe(self, name: str, seconds: float, **labels: str) -> None:
        """Add a duration in seconds to a histogram."""
        metric = self._metrics[name]
        assert isinstance(metric, Histogram)
        (metric.labels(**labels) if labels else metric).observe(seconds)

    def set(self, name: str, value: float, **labels: str) -> None:
        """Set a gauge."""
        metric = self._metrics[name]
        assert isinstance(metric, Gauge)
        (metric.labels(**labels) if labels else metric).set(value)

    def fetched(self, endpoint: str, code: str, size: int) -> None:
        """
        Count a request to a Marathon.

        :param code: the HTTP status, or ``error`` without an answer.
        :param size: bytes of the body.
        """
        self.count("fetches_total", endpoint=endpoint, code=code)
        self.count("fetched_bytes_total", size, endpoint=endpoint, code=code)

    def now(
        self,
        values: Mapping[str, float],
        problems: Iterable[tuple[str, bool]],
        clusters: Mapping[str, Mapping[str, float]],
    ) -> None:
        """
        Set the gauges.

        :param values: gauges by name; NaN for an unknown value (an age before the first event).
        :param problems: the kind of each problem, and True if its service is not served.
        :param clusters: gauges of each cluster, by name and cluster.
        """
        for name, value in values.items():
            self.set(name, value)
        for name, by_cluster in clusters.items():
            for cluster, value in by_cluster.items():
                self.set(name, value, cluster=cluster)
        gauge = self._metrics["problems"]
        assert isinstance(gauge, Gauge)
        gauge.clear()
        for kind, fatal in problems:
            gauge.labels(kind=kind, fatal=str(fatal).lower()).inc()

    def exposition(self) -> bytes:
        """Return all metrics in the text format of Prometheus, 0.0.4."""
        text: bytes = generate_latest(self.registry)
        return text


def _made(row: Metric, registry: CollectorRegistry) -> MetricWrapperBase:
    name = PREFIX + row.name
    if row.kind is Histogram:
        return Histogram(name, row.help, row.labels, registry=registry, buckets=SECONDS)
    return row.kind(name, row.help, row.labels, registry=registry)


def markdown() -> str:
    """Return the table as Markdown."""
    lines = [_DOCUMENT]
    for row in METRICS:
        labels = ", ".join(f"`{label}`" for label in row.labels) or "–"
        lines.append(f"| `{PREFIX}{row.name}` | {row.kind.__name__.lower()} | {labels} | {row.help} |")
    return "\n".join(lines) + "\n"


_DOCUMENT = """\
# Metrics

`/metrics` of the stats address (`--bind-stats`) gives HAProxy's own metrics (`haproxy_*`) and these in one answer, in
the text format of Prometheus. While the controller is down, HAProxy answers with its own metrics only. The query is
passed on to HAProxy's exporter: `/metrics?scope=frontend&scope=backend` leaves out the servers.

`packaging/prometheus/` has alert rules and `packaging/grafana/` a dashboard.

| metric | type | labels | meaning |
| --- | --- | --- | --- |"""
