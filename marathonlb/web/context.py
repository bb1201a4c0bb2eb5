"""
The context of the pages: the controller's parts, and what several pages derive from them.

Pages read. They change nothing but by a hint, a reload or a pin.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from attrs import frozen
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from marathonlb.config.text.model import Config
from marathonlb.controller.hold import Hold
from marathonlb.controller.planned_config import PlannedConfig
from marathonlb.controller.planner import Planner
from marathonlb.controller.reconciler import Reconciler
from marathonlb.controller.recorder import Recorder
from marathonlb.errors import HAProxyUnavailable, PublishFailed
from marathonlb.haproxy.files.publish import Published
from marathonlb.haproxy.outcome import Outcome
from marathonlb.haproxy.process.binary import BinaryCapabilities
from marathonlb.haproxy.reload_reason import Reasons
from marathonlb.haproxy.rollback.archive import Archive
from marathonlb.haproxy.runtime.stats import Statistics
from marathonlb.marathon.gatherer import AppGatherer, Gatherer
from marathonlb.routing.explain.evidence import State
from marathonlb.routing.services.servers import Resolve
from marathonlb.settings import Settings
from marathonlb.web.page import Refusal


class Marathons(Protocol):
    """The part of `marathonlb.marathon.api.client.MarathonClient` that pages use."""

    preferred: str

    def leader(self) -> str | None:
        """Return the URL that was last called the leader; None if it is unknown."""


class EventSource(Protocol):
    """The state of a source of hints: see `marathonlb.marathon.events.base.ReconnectingEventSource`."""

    last_event_at: float | None
    connected_to: str | None
    problem: str


@frozen(kw_only=True)
class ClusterContext:
    """
    One cluster.

    :param name: empty if it has none.
    :param source: the state of its source of hints.
    """

    name: str
    endpoints: Sequence[str]
    marathons: Marathons
    source: EventSource
    gatherer: Gatherer


class WebApplier(Protocol):
    """The part of `marathonlb.haproxy.applier.Applier` that pages use."""

    @property
    def confirmed(self) -> bool:
        """Return whether HAProxy has confirmed the running configuration."""

    def texts(self) -> Published | None:
        """Return the texts of the running configuration. Raises `PublishFailed`."""

    def pids(self) -> Deferred[tuple[int, ...]]:
        """Return the pids of HAProxy's workers, draining ones included."""

    def apply(self, wanted: Config) -> Deferred[Outcome]:
        """Make HAProxy run a pinned configuration."""

    def flush(self) -> Deferred[None]:
        """Write the files after runtime updates, so that the state outlives a crash."""

    def check(self, config: Config) -> Deferred[str]:
        """Let HAProxy check a configuration. Fails with `InvalidConfiguration`."""

    def foresee(self, wanted: Config) -> Reasons:
        """Return why HAProxy would have to be reloaded to run this; none if it would not."""


@frozen(kw_only=True)
class WebContext:
    """
    The controller's parts.

    :param clusters: each by itself; ``gatherer`` has all of them.
    :param capabilities: returns the version and features of the HAProxy binary.
    :param started: the controller's start, in seconds since the epoch, like the clock's seconds.
    """

    settings: Settings
    version: str
    started: float
    clock: IReactorTime
    reconciler: Reconciler
    planner: Planner
    gatherer: AppGatherer
    clusters: tuple[ClusterContext, ...]
    applier: WebApplier
    resolve: Resolve
    archive: Archive
    hold: Hold
    statistics: Statistics
    recorder: Recorder
    capabilities: Callable[[], Awaitable[BinaryCapabilities]]

    @property
    def directory(self) -> str:
        """The directory of haproxy.cfg and its map files."""
        return os.path.dirname(os.path.abspath(self.settings.haproxy_config))

    def now(self) -> float:
        """Return seconds since the epoch."""
        return self.clock.seconds()

    def wanted(self) -> PlannedConfig:
        """Return the planned configuration. Raises `Refusal` before Marathon's first answer."""
        wanted = self.reconciler.planned
        if wanted is None:
            raise Refusal(
                503,
                "no configuration yet: Marathon has not answered, or its first configuration could not be applied",
            )
        return wanted

    def state(self) -> State:
        """Return the evidence for explanations. Raises `Refusal` before Marathon's first answer."""
        return self.planner.state(self.wanted(), self.gatherer.cluster.apps, self.resolve)

    def published(self) -> Published:
        """Return the texts of the running configuration. Raises `Refusal` if there are none."""
        try:
            published = self.applier.texts()
        except PublishFailed as error:
            raise Refusal(503, str(error)) from None
        if published is None:
            raise Refusal(503, "there is no configuration yet")
        return published

    def staleness(self, cluster: ClusterContext | None = None) -> float | None:
        """Return seconds since the last full comparison with a cluster, or with all; None before the first."""
        last = (cluster or self).gatherer.last_full
        return None if last is None else max(0.0, self.now() - last)

    async def workers(self) -> tuple[int, ...]:
        """Return the pids of HAProxy's workers, draining ones included; none if it does not run or answer."""
        try:
            return await self.applier.pids()
        except HAProxyUnavailable:
            return ()

    def draining(self, workers: tuple[int, ...]) -> int | None:
        """Return the number of draining workers; None if HAProxy is not managed and they look alike."""
        return max(0, len(workers) - 1) if self.settings.manage_haproxy else None
