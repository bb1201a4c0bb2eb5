"""
``/metrics``: the metrics of HAProxy and of the controller in one exposition.

HAProxy's are streamed, since they may be many megabytes; only the types that Prometheus's linter rejects are corrected
on the way.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterable
from math import isnan, nan
from typing import Any, Protocol

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import UNIXClientEndpoint
from twisted.internet.error import ConnectError
from twisted.internet.protocol import Protocol as TwistedProtocol
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure
from twisted.web.client import (
    Agent,
    HTTPConnectionPool,
    ResponseDone,
    ResponseFailed,
    ResponseNeverReceived,
)
from twisted.web.iweb import IAgent, IResponse
from twisted.web.server import Request

from marathonlb.base.endpoints import ChosenEndpointFactory
from marathonlb.errors import HAProxyUnavailable
from marathonlb.metrics import Metrics
from marathonlb.web.api.health import readiness
from marathonlb.web.api.problems import kind_of
from marathonlb.web.context import ClusterContext, WebContext
from marathonlb.web.page import Answer, ClientRequest, Page, Parameter

TYPE = "text/plain; version=0.0.4; charset=utf-8"
"""The content type of Prometheus's text format."""

CONNECT_TIMEOUT = 5.0

_COUNTER = re.compile(rb"^(# TYPE \S+(?<!_total)) counter$", re.MULTILINE)
_GAUGE = re.compile(rb"^(# TYPE \S+_total) gauge$", re.MULTILINE)


class Sink(Protocol):
    """Something that a body is written to: a `Request`."""

    def write(self, data: bytes) -> object:
        """Write a piece."""

    def registerProducer(self, producer: object, streaming: bool) -> object:
        """Register the producer to pause if pieces come too fast."""

    def unregisterProducer(self) -> object:
        """End the registration: no more pieces come."""


Exporter = Callable[[str, Sink], Awaitable[None]]
"""Writes HAProxy's metrics for a query to a sink; may raise `HAProxyUnavailable` before or after some bytes."""


def corrected(text: bytes) -> bytes:
    """Return complete lines of HAProxy's metrics with the types that their names require."""
    return _GAUGE.sub(rb"\1 counter", _COUNTER.sub(rb"\1 untyped", text))


class _MetricsBody(TwistedProtocol):
    """Passes a body to a sink, line by line."""

    def __init__(self, sink: Sink) -> None:
        self.done: Deferred[None] = Deferred(self._cancelled)
        self._sink = sink
        self._rest = b""

    def connectionMade(self) -> None:
        """Let the sink pause the connection."""
        self._sink.registerProducer(self.transport, True)

    def dataReceived(self, data: bytes) -> None:
        """Pass the complete lines to the sink."""
        lines, newline, self._rest = (self._rest + data).rpartition(b"\n")
        self._sink.write(corrected(lines + newline))

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """End the body, or fail if the connection broke."""
        if self.done.called:
            return
        self._sink.unregisterProducer()
        if reason.check(ResponseDone):
            self._sink.write(corrected(self._rest))
            self.done.callback(None)
        else:
            error = HAProxyUnavailable(reason=f"HAProxy's metrics broke off: {reason.getErrorMessage()}")
            self.done.errback(error)

    def _cancelled(self, _: object) -> None:
        transport: Any = self.transport
        if transport is not None:
            transport.stopProducing()


def exporter_at(reactor: Any, path: str) -> Exporter:
    """HAProxy's exporter behind a socket of its own: the second ``bind`` of the stats listener."""
    pool = HTTPConnectionPool(reactor, persistent=False)
    factory = ChosenEndpointFactory.fixed(UNIXClientEndpoint(reactor, path, timeout=CONNECT_TIMEOUT))
    agent: IAgent = Agent.usingEndpointFactory(reactor, factory, pool)

    async def export(query: str, sink: Sink) -> None:
        url = "http://haproxy/metrics" + (f"?{query}" if query else "")
        try:
            response: IResponse = await agent.request(b"GET", url.encode("ascii", "ignore"))
        except (ConnectError, ResponseFailed, ResponseNeverReceived, OSError) as error:
            raise HAProxyUnavailable(reason=f"{path}: HAProxy does not give its metrics: {error}") from error
        if response.code != 200:
            raise HAProxyUnavailable(reason=f"{path}: HAProxy answers {response.code} to /metrics")
        passing = _MetricsBody(sink)
        response.deliverBody(passing)
        await passing.done

    return export


class MetricsPage(Page):
    """All metrics."""

    content_type = TYPE
    summary = "HAProxy's metrics and the controller's"
    parameters = (Parameter("scope", "query", "passed on to HAProxy's exporter, like the rest of the query"),)

    def __init__(self, context: WebContext, exporter: Exporter) -> None:
        self._context = context
        self._exporter = exporter

    async def answer(self, request: ClientRequest) -> Answer:
        """HAProxy's first, as they come, then ours."""

        async def stream(response: Request) -> None:
            answers = 1.0
            query = response.uri.partition(b"?")[2].decode("ascii", "replace")
            try:
                await self._exporter(query, response)
            except HAProxyUnavailable:
                answers = 0.0
            response.write(await exposition(self._context, self._context.recorder.metrics, answers))

        return Answer(content_type=TYPE, stream=stream)


async def exposition(context: WebContext, metrics: Metrics, haproxy_answers: float) -> bytes:
    """
    Return the controller's metrics.

    :param haproxy_answers: 1 if HAProxy's metrics were read, else 0.
    """
    status, wanted = context.reconciler.status, context.reconciler.planned
    staleness = context.staleness()
    clusters = {cluster.name: _of_cluster(context, cluster) for cluster in context.clusters}
    draining = context.draining(await context.workers())
    metrics.now(
        {
            "event_source_connected": min(each["event_source_connected"] for each in clusters.values()),
            "last_event_age_seconds": _oldest(each["last_event_age_seconds"] for each in clusters.values()),
            "staleness_seconds": nan if staleness is None else staleness,
            "max_staleness_seconds": context.settings.max_staleness,
            "ready": float((await readiness(context)).ok),
            "pinned": float(context.hold.pins.current() is not None),
            "services": len(wanted.services) if wanted else 0,
            "servers": wanted.servers if wanted else 0,
            "suspected_services": len(context.planner.suspects),
            "draining_workers": nan if draining is None else draining,
            "failures_in_a_row": status.failures,
            "generation": status.generation,
            "converged_generation": status.converged,
            "haproxy_answers": haproxy_answers,
        },
        ((kind_of(problem), problem.fatal) for problem in context.reconciler.problems),
        {
            f"cluster_{name}": {cluster: values[name] for cluster, values in clusters.items()}
            for name in next(iter(clusters.values()))
        },
    )
    return metrics.exposition()


def _of_cluster(context: WebContext, cluster: ClusterContext) -> dict[str, float]:
    """Return the metrics of one cluster; NaN means unknown."""
    event, staleness = cluster.source.last_event_at, context.staleness(cluster)
    return {
        "event_source_connected": float(bool(cluster.source.connected_to)),
        "last_event_age_seconds": nan if event is None else max(0.0, context.now() - event),
        "staleness_seconds": nan if staleness is None else staleness,
        "apps": len(cluster.gatherer.cluster.apps),
    }


def _oldest(ages: Iterable[float]) -> float:
    """Return the largest age; NaN if one is unknown."""
    known = list(ages)
    return nan if any(map(isnan, known)) else max(known)
