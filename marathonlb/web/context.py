"""
What the pages see: the controller's parts, and the questions that several pages have.

The pages ask; they never steer, but for what is offered to anybody: a hint, a reload, a pin.
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
from marathonlb.controller.planner import PlannedConfig, Planner
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
    """What the pages ask of `marathonlb.marathon.api.client.MarathonClient`."""

    preferred: str

    def leader(self) -> str | None:
        """Which of them was called the leader last."""


class EventSource(Protocol):
    """How a source of hints is: see `marathonlb.marathon.events.base.ReconnectingEventSource`."""

    last_event_at: float | None
    connected_to: str | None
    problem: str


@frozen(kw_only=True)
class ClusterContext:
    """
    One cluster.

    :param name: empty where it has none.
    :param source: how the source of hints is.
    """

    name: str
    endpoints: Sequence[str]
    marathons: Marathons
    source: EventSource
    gatherer: Gatherer


class WebApplier(Protocol):
    """What the pages ask of `marathonlb.haproxy.applier.Applier`."""

    @property
    def confirmed(self) -> bool:
        """Whether HAProxy has confirmed what is believed to run."""

    def texts(self) -> Published | None:
        """The texts of what HAProxy runs. Raises `PublishFailed`."""

    def pids(self) -> Deferred[tuple[int, ...]]:
        """HAProxy's workers, those that drain included."""

    def apply(self, wanted: Config) -> Deferred[Outcome]:
        """Make HAProxy run a configuration: a pinned one."""

    def flush(self) -> Deferred[None]:
        """Write what HAProxy was led to by steps, so that it outlives a crash."""

    def check(self, config: Config) -> Deferred[str]:
        """Whether HAProxy accepts a configuration."""

    def foresee(self, wanted: Config) -> Reasons:
        """Return why HAProxy would have to be reloaded to run this; none where not."""


@frozen(kw_only=True)
class WebContext:
    """
    The controller's parts.

    :param clusters: each by itself; ``gatherer`` has them all.
    :param capabilities: what the HAProxy binary says that it can do.
    :param started: when the controller was started, in seconds since the epoch, as the clock's seconds are.
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
        """Where haproxy.cfg and its map files lie."""
        return os.path.dirname(os.path.abspath(self.settings.haproxy_config))

    def now(self) -> float:
        """Seconds since the epoch."""
        return self.clock.seconds()

    def wanted(self) -> PlannedConfig:
        """What HAProxy runs, or is to run. Raises `Refusal` before Marathon's first answer."""
        wanted = self.reconciler.planned
        if wanted is None:
            raise Refusal(
                503, "nothing is known yet: Marathon has not answered, or what it wants could not be applied"
            )
        return wanted

    def state(self) -> State:
        """What explanations rest on. Raises `Refusal` before Marathon's first answer."""
        return self.planner.state(self.wanted(), self.gatherer.cluster.apps, self.resolve)

    def published(self) -> Published:
        """The texts of what HAProxy runs. Raises `Refusal` where there are none."""
        try:
            published = self.applier.texts()
        except PublishFailed as error:
            raise Refusal(503, str(error)) from None
        if published is None:
            raise Refusal(503, "there is no configuration yet")
        return published

    def staleness(self, cluster: ClusterContext | None = None) -> float | None:
        """Seconds since all of a cluster, or of all, was last compared with a Marathon; None where it never was."""
        last = (cluster or self).gatherer.last_full
        return None if last is None else max(0.0, self.now() - last)

    async def workers(self) -> tuple[int, ...]:
        """HAProxy's workers, those that drain included; none where it does not run or cannot be asked."""
        try:
            return await self.applier.pids()
        except HAProxyUnavailable:
            return ()

    def draining(self, workers: tuple[int, ...]) -> int | None:
        """How many of them drain; None where that cannot be told apart, since HAProxy is not ours."""
        return max(0, len(workers) - 1) if self.settings.manage_haproxy else None
