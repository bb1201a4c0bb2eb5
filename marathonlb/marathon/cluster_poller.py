"""
Poll one of several clusters, however long its Marathon takes, and keep the changes until they are gathered.

The states of the polling are in `marathonlb.marathon.poll_lifecycle`::

    idle ──→ polling ──→ overdue     back to idle with the answer
    pausing                          after a failure, until the next attempt
"""

from __future__ import annotations

from collections.abc import Callable
from math import inf

from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from marathonlb.errors import SourceError, described
from marathonlb.marathon.cluster import Change
from marathonlb.marathon.gatherer import Gathered, Gatherer, both
from marathonlb.marathon.model import shown_cluster
from marathonlb.marathon.poll_lifecycle import PollRecord, new_poll_lifecycle
from marathonlb.marathon.snapshot import ClusterSnapshots
from marathonlb.timers import Backoff, NamedTimers

NOTHING: frozenset[str] = frozenset()

RETRY, SECOND_ANSWER = "retry", "second answer"
"""Names of the timers: the next attempt after a failure, and the second answer about everything."""


class ClusterPoller:
    """
    Polls one cluster, one request at a time.

    Apps that are enqueued while a request is under way are asked for next. A failed request is retried with back-off;
    other clusters are not affected.

    :ivar recalled: True if the apps are known from a snapshot of before the start.
    :param name: the name of the cluster; empty if it has none.
    :param arrived: called when a change has come that no `poll` waits for.
    :param jitter: returns a number from 0 to 1.
    :param snapshots: the apps that were known before the start.
    """

    _log = Logger()

    def __init__(
        self,
        name: str,
        gatherer: Gatherer,
        clock: IReactorTime,
        arrived: Callable[[], object],
        max_backoff: float,
        jitter: Callable[[], float],
        snapshots: ClusterSnapshots | None,
    ) -> None:
        self.name = name
        self.gatherer = gatherer
        self.recalled = False
        self._shown_name = shown_cluster(name)
        self._clock = clock
        self._arrived = arrived
        self._snapshots = snapshots
        self._record = PollRecord(backoff=Backoff(longest=max_backoff, jitter=jitter))
        self._lifecycle = new_poll_lifecycle(self._record)
        self._due: frozenset[str] | None = NOTHING
        self._named = NOTHING
        self._polling: Deferred[SourceError | None] | None = None
        self._waiting: list[Deferred[None]] = []
        self._gathered = Gathered(change=Change(), full=False)
        self._last_problem = ""
        self._timers = NamedTimers(clock)

    @property
    def attempted(self) -> bool:
        """True if the cluster was asked at least once."""
        record = self._record
        return self._lifecycle.under_way() or record.answered_as_of > -inf or record.failures > 0

    @property
    def known(self) -> bool:
        """True if the cluster's apps are known, from an answer or from a snapshot."""
        return self.gatherer.complete or self.recalled

    @property
    def as_of(self) -> float:
        """The time up to which the known apps are valid, on the clock; infinity if no request is under way."""
        return self._record.answered_as_of if self._lifecycle.under_way() else inf

    def enqueue(self, apps: frozenset[str], *, everything: bool = False) -> None:
        """
        Record the apps to ask for.

        :param everything: True to ask for all other apps, too.
        """
        self._due = None if everything or self._due is None else self._due | apps
        self._named |= apps

    def poll(self) -> Deferred[None]:
        """
        Ask for the enqueued apps.

        :return: fires when no request is under way any more, also after a failure; at once if waiting makes no sense.
        """
        if self._due == NOTHING:
            return succeed(None)
        seconds = self._lifecycle.hinted(self._clock.seconds())
        if seconds is None:
            return succeed(None)
        if seconds > 0:
            self._timers.set(RETRY, seconds, self._begin)
            return succeed(None)
        waiting: Deferred[None] = Deferred()
        self._waiting.append(waiting)
        self._begin()
        return waiting

    def give_up(self) -> None:
        """Wait no longer for the request that is under way; `arrived` is called when it is answered."""
        self._lifecycle.give_up()

    def take(self) -> Gathered:
        """Return the changes since the last call."""
        gathered, self._gathered = self._gathered, Gathered(change=Change(), full=False)
        return gathered

    def stop(self) -> None:
        """Cancel the request and every timer."""
        self._timers.cancel_all()
        if self._polling is not None:
            self._polling.cancel()

    def _begin(self) -> None:
        self._timers.cancel(RETRY)
        if self._lifecycle.begin():
            polling = self._polling = Deferred.fromCoroutine(self._ask())
            polling.addErrback(self._broken)
            polling.addCallback(self._ended)

    async def _ask(self) -> SourceError | None:
        """Ask until nothing is due; return the error that ended it."""
        while self._due != NOTHING:
            due, self._due = self._due, NOTHING
            named, self._named = self._named, NOTHING
            began = self._clock.seconds()
            try:
                gathered = await self.gatherer.gather(due)
            except SourceError as error:
                self.enqueue(named, everything=due is None)
                return error
            self._last_problem = ""
            self._lifecycle.answered(began)
            self._gathered = Gathered(
                change=both(self._gathered.change, gathered.change),
                full=self._gathered.full or gathered.full,
                drifted=self._gathered.drifted | (gathered.drifted - named),
            )
            if gathered.again_in is not None:
                self._timers.set(SECOND_ANSWER, gathered.again_in, self._ask_everything)
        return None

    def _broken(self, reason: Failure) -> None:
        if not reason.check(CancelledError):
            self._log.failure(
                "Polling {cluster} ended because of a defect in marathon-lb; the next hint starts it again",
                reason,
                cluster=self._shown_name,
            )

    def _ended(self, error: SourceError | None) -> None:
        self._polling = None
        overdue = self._lifecycle.overdue()
        if error is None:
            self._lifecycle.ended()
        else:
            self._failed(error)
        waiting, self._waiting = self._waiting, []
        for deferred in waiting:
            deferred.callback(None)
        if (overdue or not waiting) and (self._gathered.change or self._gathered.full):
            self._arrived()

    def _failed(self, error: SourceError) -> None:
        delay = self._lifecycle.failed(self._clock.seconds())
        self._timers.set(RETRY, delay, self._begin)
        problem = described(error)
        log = self._log.info if problem == self._last_problem else self._log.warn
        self._last_problem = problem
        log(
            "Polling {cluster} failed: {problem}. Retrying in {seconds:.1f} s; its apps are served as last "
            "known, other clusters are not affected",
            cluster=self._shown_name,
            problem=problem,
            seconds=delay,
        )
        if not self.known:
            self._recall()

    def _recall(self) -> None:
        """Serve the apps of the last snapshot until Marathon answers."""
        snapshot = self._snapshots.recall(self.name) if self._snapshots else None
        if snapshot is None:
            return
        self.gatherer.last_full, apps = snapshot
        self._gathered = Gathered(change=self.gatherer.cluster.replace_all(apps), full=True)
        self.recalled = True
        self._log.warn(
            "Serving {cluster} from its snapshot of {seconds:.0f} seconds ago, with {count} apps, until its "
            "Marathon answers",
            cluster=self._shown_name,
            seconds=self._clock.seconds() - self.gatherer.last_full,
            count=len(apps),
        )

    def _ask_everything(self) -> None:
        self.enqueue(NOTHING, everything=True)
        self._begin()
