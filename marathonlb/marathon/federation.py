"""
Several clusters in one load balancer, each of which is asked by itself.

Every one has its own list of Marathons, its own doubt of an answer that takes too much away, its own back-off. A
cluster that does not answer holds the others up for a second at most, and what it runs stays as it is known: while the
controller runs from its last answer, after a start from what was kept of it. Where nothing was kept, the first
configuration waits for it as long as HAProxy serves something of it.
"""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Callable, Iterable, Mapping
from random import random
from typing import Any

from attrs import frozen
from twisted.application.service import Service
from twisted.internet.defer import Deferred, FirstError, gatherResults
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from marathonlb.causes import Cause, CauseKind
from marathonlb.marathon.cluster import Change
from marathonlb.marathon.cluster_poller import ClusterPoller
from marathonlb.marathon.events.hints import Hint
from marathonlb.marathon.gatherer import Gathered, Gatherer, both
from marathonlb.marathon.model import App, cluster_of
from marathonlb.marathon.qualified import everything_of
from marathonlb.marathon.snapshot import ClusterSnapshots

WAIT = 1.0
"""Seconds that those who gather wait for a cluster; what comes later is gathered when it has come."""

KEEP = 5.0
"""Seconds after which a change is kept for the next start."""


@frozen
class _Union:
    """What all clusters run."""

    apps: Mapping[str, App]


class Federation(Service):
    """
    Keeps the known apps of several clusters in step with their Marathons; an `AppGatherer`.

    :ivar poke: is told when something has come that nobody waits for any more; set by who wants to know.
    :param gatherers: by the name of the cluster; their apps' ids are those among several clusters.
    :param serves: whether HAProxy serves something of a cluster.
    :param snapshots: what was known before the start.
    :param jitter: gives a number from 0 to 1.
    """

    _log = Logger()

    def __init__(
        self,
        gatherers: Mapping[str, Gatherer],
        clock: IReactorTime,
        serves: Callable[[str], bool],
        *,
        max_backoff: float = 300,
        snapshots: ClusterSnapshots | None = None,
        jitter: Callable[[], float] = random,
    ) -> None:
        self.poke: Callable[[Hint], object] = lambda hint: None
        self.news = False
        self.cluster = _Union(ChainMap(*(_held(each) for each in gatherers.values())))
        self._clock = clock
        self._serves = serves
        self._snapshots = snapshots
        self._pollers = {
            name: ClusterPoller(
                name,
                gatherer,
                clock,
                lambda name=name: self._arrived(name),  # type: ignore[misc]
                max_backoff,
                jitter,
                snapshots,
            )
            for name, gatherer in gatherers.items()
        }
        self._to_keep: set[str] = set()
        self._keeping: IDelayedCall | None = None
        self._said: frozenset[str] = frozenset()

    @property
    def complete(self) -> bool:
        """Whether what is known may be served: a cluster is, and of those that are not HAProxy serves nothing."""
        return any(poller.known for poller in self._pollers.values()) and not self._missing()

    @property
    def last_full(self) -> float | None:
        """When the cluster that was compared least lately was compared; None where one never was."""
        return _earliest(poller.gatherer for poller in self._pollers.values())

    def stopService(self) -> None:
        """Ask no more, and keep what is known."""
        super().stopService()  # type: ignore[no-untyped-call]
        for poller in self._pollers.values():
            poller.stop()
        if self._keeping is not None:
            self._keeping.cancel()
            self._keep()

    def doubt(self) -> None:
        """See `AppGatherer`."""
        for gatherer in self._answering():
            gatherer.doubt()

    async def agrees(self, since: float) -> bool:
        """See `AppGatherer`; a cluster that has not answered since the start has nothing to say."""
        return await _all_agree(self._answering(), since)

    def _answering(self) -> list[Gatherer]:
        return [poller.gatherer for poller in self._pollers.values() if poller.gatherer.complete]

    async def gather(self, apps: frozenset[str] | None) -> Gathered:
        """Ask about these apps, or about everything; `everything_of` a cluster may be among the ids."""
        asked_at = self._clock.seconds()
        self.news = False
        asked = []
        for name, poller in self._pollers.items():
            mine = frozenset(app_id for app_id in apps or () if cluster_of(app_id) == name)
            marker = everything_of(name)
            everything = apps is None or marker in mine or not poller.asked
            if everything or mine:
                poller.owe(mine - {marker}, everything=everything)
                asked.append(poller.ask())
        await self._answered(asked)
        self._say_what_is_missing()
        return self._taken(asked_at)

    async def _answered(self, asked: Iterable[Deferred[None]]) -> None:
        """Wait for all of these, or as long as there is patience."""
        waiting = [each for each in asked if not each.called]
        if not waiting:
            return
        over: Deferred[None] = Deferred(lambda _: call.cancel())
        left = len(waiting)

        def give_up() -> None:
            for poller in self._pollers.values():
                poller.late = poller.asking
            over.callback(None)

        def answered(_: object) -> None:
            nonlocal left
            left -= 1
            if not left and call.active():
                call.cancel()
                over.callback(None)

        call = self._clock.callLater(WAIT, give_up)
        for each in waiting:
            each.addCallback(answered)
        await over

    def _missing(self) -> frozenset[str]:
        """The clusters that have not answered since the start, and of which HAProxy serves something."""
        unknown = (name for name, poller in self._pollers.items() if not poller.known)
        return frozenset(name for name in unknown if self._serves(name))

    def _say_what_is_missing(self) -> None:
        missing = self._missing()
        if missing - self._said:
            self._log.warn(
                "Nothing is changed, since HAProxy serves apps of clusters that have not answered since the start: "
                "{clusters}. To give them up take them out of --marathon",
                clusters=", ".join(name or "the one without a name" for name in sorted(missing)),
            )
        self._said = missing

    def _taken(self, now: float) -> Gathered:
        """What has come from all, as one."""
        change, full = Change(), False
        drifted: frozenset[str] = frozenset()
        for name, poller in self._pollers.items():
            come = poller.take()
            change, full, drifted = both(change, come.change), full or come.full, drifted | come.drifted
            if come.change:
                self._keep_later(name)
        as_of = min(now, *(poller.as_of for poller in self._pollers.values()))
        return Gathered(change=change, full=full, drifted=drifted, as_of=as_of)

    def _arrived(self, name: str) -> None:
        self.news = True
        self.poke(Hint.of((), Cause(CauseKind.CLUSTER_ANSWER, name)))

    # what outlives the controller

    def _keep_later(self, name: str) -> None:
        if self._snapshots is None:
            return
        self._to_keep.add(name)
        if self._keeping is None:
            self._keeping = self._clock.callLater(KEEP, self._keep)

    def _keep(self) -> None:
        self._keeping = None
        assert self._snapshots is not None
        for name in sorted(self._to_keep):
            gatherer = self._pollers[name].gatherer
            if gatherer.complete and gatherer.last_full is not None:
                self._snapshots.keep(name, gatherer.cluster.apps.values(), gatherer.last_full)
        self._to_keep.clear()


def _held(gatherer: Gatherer) -> Any:
    """A live view, which `ChainMap` does not change though its type would let it."""
    return gatherer.cluster.apps


def _earliest(gatherers: Iterable[Gatherer]) -> float | None:
    """When the cluster that was compared least lately was compared; None where one never was."""
    times = [each.last_full for each in gatherers]
    return None if None in times else min(time for time in times if time is not None)


async def _all_agree(gatherers: Iterable[Gatherer], since: float) -> bool:
    """Whether each of them does, asked one after the other."""
    for gatherer in gatherers:
        if not await gatherer.agrees(since):
            return False
    return True


class AllClusters:
    """
    Several clusters for a single run, which needs every one of them; see `marathonlb.marathon.gatherer.AppGatherer`.

    :param gatherers: as those of `Federation`.
    """

    news = False

    def __init__(self, gatherers: Iterable[Gatherer]) -> None:
        self._gatherers = tuple(gatherers)
        self.cluster = _Union(ChainMap(*map(_held, self._gatherers)))

    @property
    def complete(self) -> bool:
        """Whether all have answered."""
        return all(each.complete for each in self._gatherers)

    @property
    def last_full(self) -> float | None:
        """When the cluster that was compared least lately was compared."""
        return _earliest(self._gatherers)

    def doubt(self) -> None:
        """See `AppGatherer`."""
        for gatherer in self._gatherers:
            gatherer.doubt()

    async def agrees(self, since: float) -> bool:
        """See `AppGatherer`."""
        return await _all_agree(self._gatherers, since)

    async def gather(self, apps: frozenset[str] | None) -> Gathered:
        """
        Ask all of them about everything.

        :raises SourceError: one cannot be asked.
        """
        asked = [Deferred.fromCoroutine(each.gather(None)) for each in self._gatherers]
        try:
            answers: list[Gathered] = await gatherResults(asked, consumeErrors=True)
        except FirstError as error:
            for each in asked:
                each.cancel()
            error.subFailure.raiseException()
            raise
        change = Change()
        for answer in answers:
            change = both(change, answer.change)
        again = max((each.again_in for each in answers if each.again_in is not None), default=None)
        return Gathered(change=change, full=again is None, again_in=again)
