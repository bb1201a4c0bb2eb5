"""
Asks Marathon for what a hint names, and decides whether to believe it.

An answer that takes away more than ``--max-shrink`` of the services is not believed at once: a second one, ten seconds
later and from another Marathon where there is one, has to agree, and Marathon has to have an elected leader.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Protocol

from attrs import frozen
from twisted.internet.defer import DeferredSemaphore, FirstError, gatherResults
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from marathonlb.errors import SourceError, described
from marathonlb.marathon.cluster import Change, ClusterState
from marathonlb.marathon.interfaces import AppsAnswer, IMarathon, UnreadableTask
from marathonlb.marathon.model import App

SECOND_OPINION = 10.0
"""Seconds between two answers that are to agree."""

MANY = 50
"""
Up to so many changed apps are asked for one by one, in a large cluster up to a tenth of it.

Past that one answer about everything costs less. A bound that does not grow with the cluster would feed itself: while a
large answer is fetched, enough events come to ask for the next.
"""

PARALLEL = 8
"""How many apps are asked for at the same time."""

LOUD = 20
"""So many unreadable apps, and tasks, of one answer are named at most."""


@frozen(kw_only=True)
class Gathered:
    """
    What came of asking.

    :param change: what is different now.
    :param full: whether everything was compared.
    :param again_in: seconds until everything is to be asked again, since this answer was not believed.
    :param drifted: of a full comparison that is not the first, the apps that had changed.
    :param as_of: as of when this is all that was asked for; None for when it was.
    """

    change: Change
    full: bool
    again_in: float | None = None
    drifted: frozenset[str] = frozenset()
    as_of: float | None = None


@frozen
class _Doubt:
    """An answer that was not believed."""

    url: str
    since: float


class KnownApps(Protocol):
    """What is known to run: see `ClusterState`."""

    @property
    def apps(self) -> Mapping[str, App]:
        """The apps by id, a live view."""


class AppGatherer(Protocol):
    """Who keeps what is known in step with Marathon, be it of one cluster or of several."""

    @property
    def cluster(self) -> KnownApps:
        """What is known."""

    @property
    def complete(self) -> bool:
        """Whether enough is known to be served."""

    @property
    def news(self) -> bool:
        """Whether something has come that nobody has gathered yet."""

    @property
    def last_full(self) -> float | None:
        """When everything was last compared, on the clock; None before the first time."""

    async def gather(self, apps: frozenset[str] | None) -> Gathered:
        """Ask about these apps, or about everything."""

    def doubt(self) -> None:
        """What everything came to is not believed by who knows more: the next time another Marathon is asked."""

    async def agrees(self, since: float) -> bool:
        """Whether everything was compared once more, long enough after this moment, and a leader is elected."""


class Gatherer:
    """
    Keeps a `ClusterState` in step with Marathon.

    :ivar last_full: when everything was last compared, on the clock, be it before the start; None where it never was.
    :ivar problem: why Marathon could not be asked the last time; empty where it could.
    :param max_shrink: percent of the services that one answer may take away; 100 believes everything.
    :param weigh: how many services an app that is held has.
    """

    _log = Logger()

    def __init__(
        self,
        marathon: IMarathon,
        clock: IReactorTime,
        *,
        max_shrink: float,
        weigh: Callable[[App], int],
    ) -> None:
        self.cluster = ClusterState()
        self._marathon = marathon
        self._clock = clock
        self._max_shrink = max_shrink
        self._weigh = weigh
        self._doubt: _Doubt | None = None
        self._url = ""
        self._seen = False
        self.last_full: float | None = None
        self.problem = ""
        self._left_out: frozenset[UnreadableTask] = frozenset()

    news = False
    """Whoever asks is told at once."""

    @property
    def complete(self) -> bool:
        """Whether an answer about everything has been taken."""
        return self._seen

    async def gather(self, apps: frozenset[str] | None) -> Gathered:
        """
        Ask about these apps, or about everything.

        :raises SourceError: Marathon could not be asked; nothing has changed.
        """
        try:
            if apps is None or not self._seen or len(apps) > max(MANY, len(self.cluster.apps) // 10):
                gathered = await self._everything()
            else:
                gathered = Gathered(change=await self._some(apps), full=False)
        except SourceError as error:
            self.problem = described(error)
            raise
        self.problem = ""
        return gathered

    def doubt(self) -> None:
        """See `AppGatherer`."""
        self._doubt = self._doubt or _Doubt(self._url, self._clock.seconds())

    async def agrees(self, since: float) -> bool:
        """See `AppGatherer`. Raises `SourceError`."""
        again = self.last_full is not None and self.last_full - since >= SECOND_OPINION
        return again and bool(await self._marathon.elected())

    async def _everything(self) -> Gathered:
        doubt = self._doubt
        answer: AppsAnswer = await self._marathon.apps(avoid=doubt.url if doubt else None)
        shrink = self.cluster.shrink(answer.apps, answer.unreadable, self._weigh_answer)
        if shrink.percent > self._max_shrink and not await self._agrees(doubt):
            if doubt is None:
                self._doubt = _Doubt(answer.url, self._clock.seconds())
            self._log.warn(
                "{url} says that {vanished} of {before} services are gone; nothing is taken away until a second answer "
                "agrees. If this is meant, wait {seconds} s, or raise --max-shrink",
                url=answer.url,
                vanished=shrink.vanished,
                before=shrink.before,
                seconds=SECOND_OPINION,
            )
            return Gathered(change=Change(), full=False, again_in=SECOND_OPINION)
        self._doubt, self._url = None, answer.url
        self._report(answer, full=True)
        change = self.cluster.replace_all(answer.apps, answer.unreadable)
        first, self._seen = not self._seen, True
        change = both(change, await self._confirmed(change.stale))
        self.last_full = self._clock.seconds()
        return Gathered(change=change, full=True, drifted=frozenset() if first else change.touched)

    async def _answers(self, apps: Sequence[str]) -> Sequence[AppsAnswer]:
        """Ask about each of these; the first error is everybody's."""
        if len(apps) == 1:  # mostly
            return [await self._marathon.app(apps[0])]
        tokens = DeferredSemaphore(PARALLEL)
        asked = [tokens.run(self._marathon.app, app_id) for app_id in apps]
        try:
            answers: list[AppsAnswer] = await gatherResults(asked, consumeErrors=True)
            return answers
        except FirstError as error:
            for each in asked:
                each.cancel()
            error.subFailure.raiseException()
            raise

    async def _agrees(self, doubt: _Doubt | None) -> bool:
        """Whether this answer, which shrinks like the doubted one, is old enough a second one to be believed."""
        if doubt is None or self._clock.seconds() - doubt.since < SECOND_OPINION:
            return False
        return bool(await self._marathon.elected())

    def _weigh_answer(self, app: App) -> int:
        held = self.cluster.apps.get(app.id)
        if held is None:
            return 0
        weight = self._weigh(held)
        return weight if app is held or len(app.ports) >= len(held.ports) else min(weight, len(app.ports))

    async def _some(self, apps: frozenset[str], *, confirmed: bool = False) -> Change:
        answers = await self._answers(sorted(apps))
        change = Change()
        stale: set[str] = set()
        for app_id, answer in zip(sorted(apps), answers, strict=True):
            self._report(answer)
            for unreadable in answer.unreadable:
                self.cluster.keep(unreadable)
            if answer.unreadable:
                continue
            app = next((each for each in answer.apps if each.id == app_id), None)
            if app is None and answer.apps:
                raise SourceError(
                    url=answer.url, reason=f"asked for {app_id}, answered about {answer.apps[0].id}"
                )
            one = self.cluster.replace(app_id, app, confirmed=confirmed)
            stale |= one.stale
            change = both(change, one)
        return change if confirmed else both(change, await self._confirmed(frozenset(stale)))

    async def _confirmed(self, stale: frozenset[str]) -> Change:
        """Ask again about apps whose answer was older than what is held; where that fails they stay as they are."""
        if not stale:
            return Change()
        try:
            return await self._some(stale, confirmed=True)
        except SourceError as error:
            self._log.warn(
                "{count} apps came older than they were known, and cannot be asked again: {error}. They stay as they "
                "are until everything is compared again",
                count=len(stale),
                error=str(error),
            )
            return Change()

    def _report(self, answer: AppsAnswer, *, full: bool = False) -> None:
        """Say what cannot be read, each once, and of many no more than some."""
        apps = [each for each in answer.unreadable if self.cluster.unreadable.get(each.app_id) != each.reason]
        for each in apps[:LOUD]:
            self._log.warn(
                "{appId} cannot be read and stays as it was: {reason}", appId=each.app_id, reason=each.reason
            )
        tasks = [task for task in answer.left_out if task not in self._left_out]
        for task in tasks[:LOUD]:
            self._log.warn(
                "{appId}: task {taskId} is left out: {reason}",
                appId=task.app_id,
                taskId=task.task_id,
                reason=task.reason,
            )
        more = len(apps[LOUD:]) + len(tasks[LOUD:])
        if more:
            self._log.warn("{count} more apps and tasks cannot be read; is this a Marathon?", count=more)
        self._left_out = frozenset(answer.left_out) | (frozenset() if full else self._left_out)


def hosts_of(apps: Iterable[App]) -> set[str]:
    """The hosts that the tasks of these apps run on, and the addresses that they have."""
    return {host for app in apps for task in app.tasks for host in (task.host, *task.addresses) if host}


def both(one: Change, other: Change) -> Change:
    """What two changes, one after the other, come to."""
    return Change(
        added=one.added | other.added,
        removed=one.removed | other.removed,
        changed=one.changed | other.changed,
    )
