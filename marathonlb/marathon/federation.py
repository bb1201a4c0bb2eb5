"""
Several clusters in one load balancer, each polled separately.

Each has its own list of Marathons, its own protection against an answer that removes too much, and its own back-off. A
cluster that does not answer delays the others for a second at most, and its apps stay as last known: from its last
answer, or after a start from its snapshot. Without a snapshot the first configuration waits for the cluster if HAProxy
serves some of its apps.
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

from marathonlb.base.causes import Cause, CauseKind
from marathonlb.marathon.cluster import Change
from marathonlb.marathon.cluster_poller import ClusterPoller
from marathonlb.marathon.events.hints import Hint
from marathonlb.marathon.gatherer import Gathered, Gatherer, both
from marathonlb.marathon.model import App, cluster_of, shown_cluster
from marathonlb.marathon.qualified import everything_of
from marathonlb.marathon.snapshot import ClusterSnapshots

WAIT = 1.0
"""Maximum number of seconds that `Federation.gather` waits; a later answer is gathered when it has come."""

SNAPSHOT_DELAY = 5.0
"""Seconds after a change until the snapshot is written."""


@frozen
class _AllApps:
    """The known apps of all clusters."""

    apps: Mapping[str, App]


class Federation(Service):
    """
    Keeps the known apps of several clusters in step with their Marathons; an `AppGatherer`.

    :ivar poke: called with a hint when an answer came that `gather` did not wait for; set by the owner.
    :ivar news: True if such an answer was not gathered yet.
    :param gatherers: by the name of the cluster; the ids of their apps begin with that name.
    :param serves: returns whether HAProxy serves an app of a cluster.
    :param snapshots: the apps that were known before the start.
    :param jitter: returns a number from 0 to 1.
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
        self.cluster = _AllApps(ChainMap(*map(_known_apps, gatherers.values())))
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
        self._unsaved: set[str] = set()
        self._saving: IDelayedCall | None = None
        self._logged_missing: frozenset[str] = frozenset()

    @property
    def complete(self) -> bool:
        """True if at least one cluster is known, and HAProxy serves no app of a cluster that is not known."""
        return any(poller.known for poller in self._pollers.values()) and not self._missing()

    @property
    def last_full(self) -> float | None:
        """Return the oldest time of the clusters' last full comparisons; None if one was never compared."""
        return _earliest(poller.gatherer for poller in self._pollers.values())

    def stopService(self) -> None:
        """Stop polling, and write the snapshots that are not written yet."""
        super().stopService()  # type: ignore[no-untyped-call]
        for poller in self._pollers.values():
            poller.stop()
        if self._saving is not None:
            self._saving.cancel()
            self._save()

    def doubt(self) -> None:
        """See `AppGatherer`."""
        for gatherer in self._answering():
            gatherer.doubt()

    async def agrees(self, since: float) -> bool:
        """See `AppGatherer`; only the clusters that have answered since the start are asked."""
        return await _all_agree(self._answering(), since)

    def _answering(self) -> list[Gatherer]:
        return [poller.gatherer for poller in self._pollers.values() if poller.gatherer.complete]

    async def gather(self, apps: frozenset[str] | None) -> Gathered:
        """Ask about these apps, or about everything. A marker of `everything_of` may be among the ids."""
        asked_at = self._clock.seconds()
        self.news = False
        asked = []
        for name, poller in self._pollers.items():
            own = frozenset(app_id for app_id in apps or () if cluster_of(app_id) == name)
            marker = everything_of(name)
            everything = apps is None or marker in own or not poller.attempted
            if everything or own:
                poller.enqueue(own - {marker}, everything=everything)
                asked.append(poller.poll())
        await self._wait_for(asked)
        self._log_missing()
        return self._take(asked_at)

    async def _wait_for(self, asked: Iterable[Deferred[None]]) -> None:
        """Wait for all of these, at most `WAIT` seconds."""
        waiting = [deferred for deferred in asked if not deferred.called]
        if not waiting:
            return
        finished: Deferred[None] = Deferred(lambda _: call.cancel())
        left = len(waiting)

        def give_up() -> None:
            for poller in self._pollers.values():
                poller.give_up()
            finished.callback(None)

        def answered(_: object) -> None:
            nonlocal left
            left -= 1
            if not left and call.active():
                call.cancel()
                finished.callback(None)

        call = self._clock.callLater(WAIT, give_up)
        for deferred in waiting:
            deferred.addCallback(answered)
        await finished

    def _missing(self) -> frozenset[str]:
        """Return the clusters that are not known though HAProxy serves some of their apps."""
        unknown = (name for name, poller in self._pollers.items() if not poller.known)
        return frozenset(name for name in unknown if self._serves(name))

    def _log_missing(self) -> None:
        missing = self._missing()
        if missing - self._logged_missing:
            self._log.warn(
                "HAProxy stays unchanged: it serves apps of clusters that have not answered since the start, "
                "{clusters}. Restore their Marathons, or remove these clusters from --marathon",
                clusters=", ".join(map(shown_cluster, sorted(missing))),
            )
        self._logged_missing = missing

    def _take(self, now: float) -> Gathered:
        """Return the changes of all clusters as one result."""
        change, full = Change(), False
        drifted: frozenset[str] = frozenset()
        for name, poller in self._pollers.items():
            gathered = poller.take()
            change, full = both(change, gathered.change), full or gathered.full
            drifted |= gathered.drifted
            if gathered.change:
                self._save_later(name)
        as_of = min(now, *(poller.as_of for poller in self._pollers.values()))
        return Gathered(change=change, full=full, drifted=drifted, as_of=as_of)

    def _arrived(self, name: str) -> None:
        self.news = True
        self.poke(Hint.of((), Cause(CauseKind.CLUSTER_ANSWER, name)))

    # snapshots

    def _save_later(self, name: str) -> None:
        if self._snapshots is None:
            return
        self._unsaved.add(name)
        if self._saving is None:
            self._saving = self._clock.callLater(SNAPSHOT_DELAY, self._save)

    def _save(self) -> None:
        self._saving = None
        assert self._snapshots is not None
        for name in sorted(self._unsaved):
            gatherer = self._pollers[name].gatherer
            if gatherer.complete and gatherer.last_full is not None:
                self._snapshots.keep(name, gatherer.cluster.apps.values(), gatherer.last_full)
        self._unsaved.clear()


def _known_apps(gatherer: Gatherer) -> Any:
    """Return a live view of the apps; `ChainMap` does not change its first mapping, though its type allows it."""
    return gatherer.cluster.apps


def _earliest(gatherers: Iterable[Gatherer]) -> float | None:
    """Return the oldest time of the clusters' last full comparisons; None if one was never compared."""
    times = [gatherer.last_full for gatherer in gatherers]
    return None if None in times else min(time for time in times if time is not None)


async def _all_agree(gatherers: Iterable[Gatherer], since: float) -> bool:
    """Return whether all of them agree; they are asked one after the other."""
    for gatherer in gatherers:
        if not await gatherer.agrees(since):
            return False
    return True


class AllClusters:
    """
    Several clusters for a single run, which needs every one of them; an `AppGatherer`.

    :param gatherers: see `Federation`.
    """

    news = False

    def __init__(self, gatherers: Iterable[Gatherer]) -> None:
        self._gatherers = tuple(gatherers)
        self.cluster = _AllApps(ChainMap(*map(_known_apps, self._gatherers)))

    @property
    def complete(self) -> bool:
        """True if all have answered."""
        return all(gatherer.complete for gatherer in self._gatherers)

    @property
    def last_full(self) -> float | None:
        """Return the oldest time of the clusters' last full comparisons; None if one was never compared."""
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

        :raises SourceError: one could not be asked.
        """
        asked = [Deferred.fromCoroutine(gatherer.gather(None)) for gatherer in self._gatherers]
        try:
            answers: list[Gathered] = await gatherResults(asked, consumeErrors=True)
        except FirstError as error:
            for deferred in asked:
                deferred.cancel()
            error.subFailure.raiseException()
            raise
        change = Change()
        for answer in answers:
            change = both(change, answer.change)
        again = max((answer.again_in for answer in answers if answer.again_in is not None), default=None)
        return Gathered(change=change, full=again is None, again_in=again)
