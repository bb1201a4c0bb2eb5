"""One cluster of several: it is asked however long that takes, and what comes is kept until somebody gathers it."""

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
from marathonlb.marathon.snapshot import ClusterSnapshots
from marathonlb.timers import Backoff, NamedTimers

PATIENCE = 1.0
"""Seconds that a new hint waits after a failure; without one the back-off decides."""

NOTHING: frozenset[str] = frozenset()


class ClusterPoller:
    """
    Asks one cluster, one question at a time.

    What it is asked for while a question is under way is asked for next. What fails is tried again with back-off, while
    the other clusters go on.

    :ivar late: somebody has given up waiting for the question that is under way.
    :ivar recalled: it is known from before the start.
    :param name: the cluster's; empty where it has none.
    :param arrived: called when something has come that nobody waits for.
    :param jitter: gives a number from 0 to 1.
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
        self.late = False
        self.recalled = False
        self._clock = clock
        self._arrived = arrived
        self._backoff = Backoff(longest=max_backoff, jitter=jitter)
        self._snapshots = snapshots
        self._owed: frozenset[str] | None = NOTHING
        self._named = NOTHING
        self._asking: Deferred[None] | None = None
        self._waiting: list[Deferred[None]] = []
        self._come = Gathered(change=Change(), full=False)
        self._answered_as_of = -inf
        self._failures = 0
        self._said = ""
        self._not_before = -inf
        self._timers = NamedTimers(clock)

    @property
    def asking(self) -> bool:
        """Whether a question is under way."""
        return self._asking is not None

    @property
    def asked(self) -> bool:
        """Whether it was ever asked."""
        return self._asking is not None or self._answered_as_of > -inf or self._failures > 0

    @property
    def known(self) -> bool:
        """Whether it is known what runs there, be it from before the start."""
        return self.gatherer.complete or self.recalled

    @property
    def as_of(self) -> float:
        """As of when what is known holds, on the clock: infinity where nothing is being asked for."""
        return inf if self._asking is None else self._answered_as_of

    def owe(self, apps: frozenset[str], *, everything: bool = False) -> None:
        """
        These apps are to be asked for.

        :param everything: and all others, too.
        """
        self._owed = None if everything or self._owed is None else self._owed | apps
        self._named |= apps

    def ask(self) -> Deferred[None]:
        """
        Ask for what is owed.

        :return: fires when nothing is under way any more, failed or not; at once where there is no sense in waiting.
        """
        if self._owed == NOTHING or (self.asking and self.late):
            return succeed(None)
        wait = self._not_before - self._clock.seconds()
        if not self.asking and wait > 0:
            self._timers.set("retry", wait, self._begin)
            return succeed(None)
        waiting: Deferred[None] = Deferred()
        self._waiting.append(waiting)
        self._begin()
        return waiting

    def take(self) -> Gathered:
        """What has come since this was called last."""
        come, self._come = self._come, Gathered(change=Change(), full=False)
        return come

    def stop(self) -> None:
        """Ask no more."""
        self._timers.cancel_all()
        if self._asking is not None:
            self._asking.cancel()

    # how

    def _begin(self) -> None:
        self._timers.cancel("retry")
        if self._asking is None:
            asking = self._asking = Deferred.fromCoroutine(self._run())
            asking.addErrback(self._broke)
            asking.addCallback(self._ended)

    async def _run(self) -> None:
        while self._owed != NOTHING:
            owed, self._owed = self._owed, NOTHING
            named, self._named = self._named, NOTHING
            began = self._clock.seconds()
            try:
                gathered = await self.gatherer.gather(owed)
            except SourceError as error:
                self.owe(named, everything=owed is None)
                self._failed(error)
                return
            self._failures, self._said = 0, ""
            self._answered_as_of = began
            self._come = Gathered(
                change=both(self._come.change, gathered.change),
                full=self._come.full or gathered.full,
                drifted=self._come.drifted | (gathered.drifted - named),
            )
            if gathered.again_in is not None:
                self._timers.set("doubt", gathered.again_in, self._ask_everything)

    def _failed(self, error: SourceError) -> None:
        again = described(error) == self._said
        self._said = described(error)
        self._failures += 1
        delay = self._backoff.delay(self._failures)
        self._not_before = self._clock.seconds() + min(delay, PATIENCE)
        self._timers.set("retry", delay, self._begin)
        say = self._log.info if again else self._log.warn
        say(
            "The cluster {cluster} cannot be asked: {problem}; the next attempt is in {seconds:.1f} seconds, its apps "
            "are served as they are known, and the other clusters go on",
            cluster=self.name or "without a name",
            problem=described(error),
            seconds=delay,
        )
        if not self.known:
            self._recall()

    def _recall(self) -> None:
        """Take what it ran before the start for what it runs."""
        kept = self._snapshots.recall(self.name) if self._snapshots else None
        if kept is None:
            return
        self.gatherer.last_full, apps = kept
        self._come = Gathered(change=self.gatherer.cluster.replace_all(apps), full=True)
        self.recalled = True
        self._log.warn(
            "The cluster {cluster} is served as it was {seconds:.0f} seconds ago, with {count} apps",
            cluster=self.name or "without a name",
            seconds=self._clock.seconds() - self.gatherer.last_full,
            count=len(apps),
        )

    def _broke(self, reason: Failure) -> None:
        if not reason.check(CancelledError):
            self._log.failure(
                "The cluster {cluster} could not be asked, by a mistake in this program; it is asked at the next hint",
                reason,
                cluster=self.name or "without a name",
            )

    def _ended(self, _: object) -> None:
        self._asking, late, self.late = None, self.late, False
        waiting, self._waiting = self._waiting, []
        for each in waiting:
            each.callback(None)
        if (late or not waiting) and (self._come.change or self._come.full):
            self._arrived()

    def _ask_everything(self) -> None:
        self.owe(NOTHING, everything=True)
        self._begin()
