"""Drain the servers of killed tasks at once, before Marathon is asked about them."""

from __future__ import annotations

from twisted.internet.defer import CancelledError, Deferred, DeferredList
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from marathonlb.controller.event_log import EventLog
from marathonlb.controller.planner import Planner
from marathonlb.haproxy.interfaces import IApplier


class EarlyDrain:
    """
    Drains servers when an event of Marathon's stream says that their tasks are killed.

    The next convergence confirms or undoes it.

    :ivar at: when it last drained a server, in seconds on the clock; 0 before the first time.
    """

    _log = Logger()

    def __init__(self, planner: Planner, applier: IApplier, event_log: EventLog, clock: IReactorTime) -> None:
        self.at = 0.0
        self._planner = planner
        self._applier = applier
        self._event_log = event_log
        self._clock = clock
        self._under_way: set[Deferred[None]] = set()

    def drain(self, apps: frozenset[str], tasks: frozenset[str]) -> None:
        """Drain the servers of these tasks of these apps."""
        servers = self._planner.servers_of(apps, tasks)
        if not servers:
            return
        self.at = self._clock.seconds()
        self._event_log.drained(servers)
        draining = self._applier.drain(servers)
        self._under_way.add(draining)
        draining.addErrback(self._failed)
        draining.addBoth(lambda _: self._under_way.discard(draining))

    def stop(self) -> Deferred[object]:
        """Cancel what is under way; return a Deferred that fires when nothing is."""
        under_way = list(self._under_way)
        for draining in under_way:
            draining.cancel()
        ended: Deferred[object] = DeferredList(under_way).addCallback(lambda _: None)
        return ended

    def _failed(self, failure: Failure) -> None:
        if not failure.check(CancelledError):
            self._log.failure(
                "Draining servers of killed tasks failed because of a defect in marathon-lb; the next convergence "
                "removes them",
                failure,
            )
