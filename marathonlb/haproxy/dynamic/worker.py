"""
The worker that takes new connections, as one that is known or as one that is not. Pure.

What runs has always a worker. It is planned for, drained and updated in the same way, whether anything is known of it:
of an unknown one, everything is left to a reload.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from zope.interface import Attribute, Interface, implementer

from marathonlb.config.text.model import Config
from marathonlb.haproxy.dynamic.capabilities import RuntimeCapabilities
from marathonlb.haproxy.dynamic.plan import plan_next, plan_update
from marathonlb.haproxy.dynamic.update import (
    Comparison,
    Deletions,
    ServerName,
    UpdatePlan,
    UpdateResult,
    WorkerIdentity,
)
from marathonlb.haproxy.dynamic.worker_state import PlanningCaches, WorkerState, place_by_search
from marathonlb.haproxy.reload_reason import Reasons


class IWorker(Interface):
    """The worker that takes new connections."""

    pid: int | None = Attribute("Its process id; None where it is not known what it holds.")
    capabilities: RuntimeCapabilities = Attribute("The capabilities of its version.")
    has_to_be_read: bool = Attribute("True if something has to be read back before an update can be planned.")

    def plan(wanted: Config, comparison: Comparison, demanded: Reasons, as_of: float | None) -> UpdatePlan:
        """
        Plan the way to a configuration.

        :param demanded: the reasons of a reload that was asked for.
        :param as_of: see `marathonlb.haproxy.dynamic.plan.plan_update`.
        """

    def foresee(wanted: Config, comparison: Comparison) -> Reasons:
        """Return why a reload would be needed; none where the runtime API is enough."""

    def begun(plan: UpdatePlan) -> None:
        """Note that an update is about to be carried out."""

    def updated(plan: UpdatePlan, result: UpdateResult) -> None:
        """Note the result of an update."""

    def index(config: Config) -> None:
        """Note the places of the backends in the running configuration."""

    def place(name: str, config: Config) -> int | None:
        """Return the place of a backend in a configuration; None where it has none."""

    def drain(config: Config, servers: Iterable[ServerName], now: float) -> list[ServerName]:
        """Note servers as drained early; return those that have to be drained at once. See `WorkerState.drain`."""

    def drained_since(as_of: float | None) -> Mapping[ServerName, float]:
        """Return the servers that were drained early after this time, each with its time; none for None."""

    def doubt(backends: Iterable[str]) -> None:
        """Note that it is not known what the worker holds of these backends."""

    def deletable(limit: int) -> tuple[tuple[ServerName, ...], tuple[str, ...]]:
        """Return the drained servers and the unpublished backends to delete, the oldest first, at most so many each."""

    def deleted(deletions: Deletions) -> None:
        """Note what is deleted."""

    def forgotten() -> IWorker:
        """Return the worker of which nothing is known any more; what was learnt of its version stays."""

    def read(config: Config, identity: WorkerIdentity) -> KnownWorker:
        """Return the worker that has read this configuration, and holds nothing else."""


@implementer(IWorker)
class UnknownWorker:
    """
    A worker of which it is not known what it holds: a reload does everything.

    :param capabilities: what was learnt of the version before.
    """

    pid = None
    has_to_be_read = False

    def __init__(
        self, capabilities: RuntimeCapabilities | None = None, caches: PlanningCaches | None = None
    ) -> None:
        self.capabilities = capabilities or RuntimeCapabilities()
        self._caches = caches or PlanningCaches()

    def plan(
        self, wanted: Config, comparison: Comparison, demanded: Reasons, as_of: float | None
    ) -> UpdatePlan:
        """See `IWorker.plan`."""
        return UpdatePlan(wanted, comparison, reasons=comparison.reasons or demanded)

    def foresee(self, wanted: Config, comparison: Comparison) -> Reasons:
        """See `IWorker.foresee`."""
        return comparison.reasons

    def begun(self, plan: UpdatePlan) -> None:
        """See `IWorker.begun`; nothing is known that an update could change."""

    def updated(self, plan: UpdatePlan, result: UpdateResult) -> None:
        """See `IWorker.updated`; nothing is known that an update could change."""

    def index(self, config: Config) -> None:
        """See `IWorker.index`; the worker that reads the next configuration has an index of its own."""

    def place(self, name: str, config: Config) -> int | None:
        """See `IWorker.place`."""
        return place_by_search(name, config)

    def drain(self, config: Config, servers: Iterable[ServerName], now: float) -> list[ServerName]:
        """See `IWorker.drain`; the next configuration does what is needed."""
        return []

    def drained_since(self, as_of: float | None) -> Mapping[ServerName, float]:
        """See `IWorker.drained_since`."""
        return {}

    def doubt(self, backends: Iterable[str]) -> None:
        """See `IWorker.doubt`; all of them are unknown already."""

    def deletable(self, limit: int) -> tuple[tuple[ServerName, ...], tuple[str, ...]]:
        """See `IWorker.deletable`."""
        return (), ()

    def deleted(self, deletions: Deletions) -> None:
        """See `IWorker.deleted`."""

    def forgotten(self) -> UnknownWorker:
        """See `IWorker.forgotten`."""
        return self

    def read(self, config: Config, identity: WorkerIdentity) -> KnownWorker:
        """See `IWorker.read`."""
        return KnownWorker(config, identity, self._caches)


@implementer(IWorker)
class KnownWorker(WorkerState):
    """A worker of which it is known what it holds: the runtime API does what it can."""

    def plan(
        self, wanted: Config, comparison: Comparison, demanded: Reasons, as_of: float | None
    ) -> UpdatePlan:
        """See `IWorker.plan`."""
        if demanded:
            return UpdatePlan(wanted, comparison, reasons=demanded)
        return plan_next(wanted, comparison, self, as_of)

    def foresee(self, wanted: Config, comparison: Comparison) -> Reasons:
        """See `IWorker.foresee`."""
        return plan_update(wanted, comparison, self).reasons

    def forgotten(self) -> UnknownWorker:
        """See `IWorker.forgotten`."""
        return UnknownWorker(self.capabilities, self.caches)

    def read(self, config: Config, identity: WorkerIdentity) -> KnownWorker:
        """See `IWorker.read`."""
        return KnownWorker(config, identity, self.caches)
