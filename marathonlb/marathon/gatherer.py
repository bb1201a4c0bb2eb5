"""
Ask Marathon for the apps that a hint names, and decide whether to accept the answer.

An answer that removes more than ``--max-shrink`` percent of the services is not accepted at once: a second answer, ten
seconds later and from another Marathon if there is one, has to confirm it, and a leader has to be elected.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Protocol

from msgspec import Struct
from twisted.internet.defer import DeferredSemaphore, FirstError, gatherResults
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from marathonlb.errors import SourceError, described
from marathonlb.marathon.cluster import Change, ClusterState
from marathonlb.marathon.interfaces import AppsAnswer, IMarathon, UnreadableTask
from marathonlb.marathon.model import App

SECOND_OPINION = 10.0
"""Seconds between an answer and the second one that has to confirm it."""

MANY = 50
"""
Maximum number of changed apps that are asked for one by one; in a large cluster a tenth of its apps.

Past that one answer about everything costs less. A limit that does not grow with the cluster would sustain itself:
while a large answer is fetched, enough events come to ask for the next one.
"""

PARALLEL = 8
"""Maximum number of apps that are asked for at the same time."""

LOGGED = 20
"""Maximum number of unreadable apps, and of unreadable tasks, of one answer that are logged by name."""


class Gathered(Struct, frozen=True, kw_only=True):
    """
    The result of asking Marathon.

    :param change: the changes of the known apps.
    :param full: True if everything was compared.
    :param again_in: seconds until everything is to be asked for again, since this answer was not accepted.
    :param drifted: the apps that a full comparison, but the first, found changed.
    :param as_of: the time up to which the result is complete, on the clock; None for the time of the request.
    """

    change: Change
    full: bool
    again_in: float | None = None
    drifted: frozenset[str] = frozenset()
    as_of: float | None = None


class _Doubt(Struct, frozen=True):
    """An answer about everything that was not accepted: its Marathon, and its time on the clock."""

    url: str
    since: float


class KnownApps(Protocol):
    """The known apps: see `ClusterState`."""

    @property
    def apps(self) -> Mapping[str, App]:
        """The apps by id, as a live view."""


class AppGatherer(Protocol):
    """Keeps the known apps in step with Marathon, for one cluster or several."""

    @property
    def cluster(self) -> KnownApps:
        """The known apps."""

    @property
    def complete(self) -> bool:
        """True if enough is known to be served."""

    @property
    def news(self) -> bool:
        """True if an answer has come that was not gathered yet."""

    @property
    def last_full(self) -> float | None:
        """The time of the last full comparison, on the clock; None before the first one."""

    async def gather(self, apps: frozenset[str] | None) -> Gathered:
        """Ask about these apps, or about everything."""

    def doubt(self) -> None:
        """Doubt the last full answer, since its result is implausible: another Marathon is asked next time."""

    async def agrees(self, since: float) -> bool:
        """Return whether everything was compared again, long enough after this time, and a leader is elected."""


class Gatherer:
    """
    Keeps a `ClusterState` in step with Marathon.

    :ivar last_full: time of the last full comparison, on the clock, possibly before the start; None if there was none.
    :ivar problem: the reason of the last failure; empty if the last request succeeded.
    :ivar news: always False, since this gatherer returns each answer to the caller that waits for it.
    :param max_shrink: percentage of the services that one answer may remove; 100 accepts everything.
    :param weigh: returns the number of services of a known app.
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

    @property
    def complete(self) -> bool:
        """True after the first answer about everything."""
        return self._seen

    async def gather(self, apps: frozenset[str] | None) -> Gathered:
        """
        Ask about these apps, or about everything.

        :raises SourceError: Marathon could not be asked; the known apps are unchanged.
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
                "The answer of {url} would remove {vanished} of {before} services; it is not applied until a second "
                "answer confirms it. If the removal is intended, wait {seconds:g} s, or raise --max-shrink",
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
        """Ask about each of these apps; the first error cancels the others."""
        if len(apps) == 1:  # the usual case
            return [await self._marathon.app(apps[0])]
        tokens = DeferredSemaphore(PARALLEL)
        asked = [tokens.run(self._marathon.app, app_id) for app_id in apps]
        try:
            answers: list[AppsAnswer] = await gatherResults(asked, consumeErrors=True)
            return answers
        except FirstError as error:
            for deferred in asked:
                deferred.cancel()
            error.subFailure.raiseException()
            raise

    async def _agrees(self, doubt: _Doubt | None) -> bool:
        """Return whether a second answer that shrinks, too, comes late enough after the doubted one."""
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
            app = next((known for known in answer.apps if known.id == app_id), None)
            if app is None and answer.apps:
                raise SourceError(
                    url=answer.url, reason=f"asked for {app_id}, answered about {answer.apps[0].id}"
                )
            one = self.cluster.replace(app_id, app, confirmed=confirmed)
            stale |= one.stale
            change = both(change, one)
        return change if confirmed else both(change, await self._confirmed(frozenset(stale)))

    async def _confirmed(self, stale: frozenset[str]) -> Change:
        """Ask again about apps whose answer was older than the known value; if that fails, they stay unchanged."""
        if not stale:
            return Change()
        try:
            return await self._some(stale, confirmed=True)
        except SourceError as error:
            self._log.warn(
                "{count} apps came with an older version than the known one, and asking again failed: {error}. They "
                "stay unchanged until the next full comparison",
                count=len(stale),
                error=str(error),
            )
            return Change()

    def _report(self, answer: AppsAnswer, *, full: bool = False) -> None:
        """Log the apps and tasks that cannot be read, each once, at most `LOGGED` of each by name."""
        known = self.cluster.unreadable
        apps = [app for app in answer.unreadable if known.get(app.app_id) != app.reason]
        for app in apps[:LOGGED]:
            self._log.warn(
                "{appId} cannot be read and stays as last known; correct its definition: {reason}",
                appId=app.app_id,
                reason=app.reason,
            )
        tasks = [task for task in answer.left_out if task not in self._left_out]
        for task in tasks[:LOGGED]:
            self._log.warn(
                "{appId}: task {taskId} cannot be read and is not served: {reason}",
                appId=task.app_id,
                taskId=task.task_id,
                reason=task.reason,
            )
        more = len(apps[LOGGED:]) + len(tasks[LOGGED:])
        if more:
            self._log.warn(
                "{count} more apps and tasks cannot be read; check that --marathon is the address of a Marathon",
                count=more,
            )
        self._left_out = frozenset(answer.left_out) | (frozenset() if full else self._left_out)


def hosts_of(apps: Iterable[App]) -> set[str]:
    """Return the hosts that the tasks of these apps run on, and the tasks' own addresses."""
    return {host for app in apps for task in app.tasks for host in (task.host, *task.addresses) if host}


def both(one: Change, other: Change) -> Change:
    """Return two successive changes as one."""
    return Change(
        added=one.added | other.added,
        removed=one.removed | other.removed,
        changed=one.changed | other.changed,
    )
