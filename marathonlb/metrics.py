"""
The metrics: one table that makes the code's metrics and their documentation.

Each controller has a registry of its own. What can be counted when it happens is; what is a state (a number of
services, an age) is set when somebody asks, by `Metrics.now`.
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
        "From the first event of Marathon's to HAProxy's confirmation, where something changed",
    ),
    Metric(Histogram, "convergence_seconds", "What each stage of a convergence took", ("stage",)),
    Metric(Histogram, "validation_seconds", "What the checks of configurations (haproxy -c) took"),
    Metric(
        Counter,
        "convergences_total",
        "Convergences by what came of them: nothing, steps, reload, written, failed or waiting",
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
    Metric(Counter, "events_total", "Marathon's events that asked for a look, by type", ("type",)),
    Metric(
        Gauge,
        "event_source_connected",
        "Whether Marathon's events reach the controller (1) or not (0); of several clusters, those of all",
    ),
    Metric(
        Gauge,
        "last_event_age_seconds",
        "Seconds since Marathon's last event; of several clusters, of the most silent one",
    ),
    Metric(
        Gauge,
        "staleness_seconds",
        "Seconds since everything was last compared with a Marathon that answered; of several clusters, of the one "
        "whose word is oldest",
    ),
    Metric(
        Gauge,
        "cluster_event_source_connected",
        "Whether the events of each cluster's Marathon reach the controller; the label is empty for one without a name",
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
        "Seconds since everything of each cluster was last compared with a Marathon that answered",
        ("cluster",),
    ),
    Metric(Gauge, "cluster_apps", "Apps and pods that each cluster runs", ("cluster",)),
    Metric(Gauge, "max_staleness_seconds", "The staleness past which readiness turns red (--max-staleness)"),
    Metric(
        Gauge, "ready", "Whether the controller is ready (1) or not (0); /api/health/ready has the reason"
    ),
    Metric(Counter, "reloads_total", "Reloads of HAProxy by reason and result", ("reason", "result")),
    Metric(
        Counter,
        "runtime_steps_total",
        "Steps on HAProxy's runtime socket by kind and result",
        ("kind", "result"),
    ),
    Metric(Gauge, "services", "Services that HAProxy is to serve"),
    Metric(Gauge, "servers", "Servers in them"),
    Metric(
        Gauge,
        "problems",
        "Problems of apps and templates by kind, and whether they take the service out",
        ("kind", "fatal"),
    ),
    Metric(
        Gauge,
        "suspected_services",
        "Services whose change waits while the cause of a failure is searched that named no line",
    ),
    Metric(
        Gauge, "pinned", "Whether a configuration of the past is pinned (1), so that changes wait, or not (0)"
    ),
    Metric(Gauge, "draining_workers", "Old workers of HAProxy that still finish what they hold"),
    Metric(
        Counter,
        "drifted_apps_total",
        "Changed apps that a full comparison found and no event had named; none in poll mode, which has no events",
    ),
    Metric(Gauge, "failures_in_a_row", "Convergences that failed since one succeeded"),
    Metric(Gauge, "generation", "How many hints have come"),
    Metric(Gauge, "converged_generation", "Up to which of them HAProxy runs what is wanted"),
    Metric(Gauge, "haproxy_answers", "Whether HAProxy's own metrics could be fetched (1) or not (0)"),
)


class Metrics:
    """
    The metrics of one controller.

    :param version: the controller's.
    :param processes: whether CPU, memory and open files of this process are among them.
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
        """Note one duration."""
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

        :param code: the status of its answer, or ``error``.
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
        Set what is a state.

        :param values: gauges by name; one that is not known now (an age before the first event) is NaN.
        :param problems: of each problem its kind, and whether it takes a service out.
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
        """All of them in the text format of Prometheus, 0.0.4."""
        text: bytes = generate_latest(self.registry)
        return text


def _made(row: Metric, registry: CollectorRegistry) -> MetricWrapperBase:
    name = PREFIX + row.name
    if row.kind is Histogram:
        return Histogram(name, row.help, row.labels, registry=registry, buckets=SECONDS)
    return row.kind(name, row.help, row.labels, registry=registry)


def markdown() -> str:
    """The table as Markdown."""
    lines = [_DOCUMENT]
    for row in METRICS:
        labels = ", ".join(f"`{label}`" for label in row.labels) or "–"
        lines.append(f"| `{PREFIX}{row.name}` | {row.kind.__name__.lower()} | {labels} | {row.help} |")
    return "\n".join(lines) + "\n"


_DOCUMENT = """\
# Metrics

`/metrics` of the stats address (`--bind-stats`) gives HAProxy's own metrics (`haproxy_*`) and these in one answer, in
the text format of Prometheus. Where the controller is down, HAProxy answers with its own alone. A query is passed on to
HAProxy's exporter: `/metrics?scope=frontend&scope=backend` leaves its servers out.

`packaging/prometheus/` has alert rules and `packaging/grafana/` a dashboard.

| metric | type | labels | what it says |
| --- | --- | --- | --- |"""
