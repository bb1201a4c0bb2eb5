"""One convergence: ask Marathon about the apps that hints name, plan the configuration, and apply it to HAProxy."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.interfaces import IReactorTime

from marathonlb.base.causes import Cause, CauseKind
from marathonlb.controller.convergence.gathering import Gathering
from marathonlb.controller.convergence.pending_hints import HintSum, PendingHints
from marathonlb.controller.convergence.plan_applier import PlanApplier
from marathonlb.controller.early_drain import EarlyDrain
from marathonlb.controller.event_log import EventLog
from marathonlb.controller.planner import Planner
from marathonlb.controller.status import CurrentStatus
from marathonlb.marathon.events.hints import Hint
from marathonlb.marathon.gatherer import SECOND_OPINION, AppGatherer
from marathonlb.timers import NamedTimers


class Convergence:
    """
    Answers the pending hints, and asks again later if an answer or a verdict is not final.

    :param poke: gives a hint.
    :param plan_again: asks for another convergence without asking Marathon.
    :param timers: holds the timers ``doubt`` and ``quarantine``.
    """

    def __init__(
        self,
        gatherer: AppGatherer,
        gathering: Gathering,
        planner: Planner,
        plan_applier: PlanApplier,
        early_drain: EarlyDrain,
        hints: PendingHints,
        status: CurrentStatus,
        event_log: EventLog,
        clock: IReactorTime,
        timers: NamedTimers,
        *,
        poke: Callable[[Hint], object],
        plan_again: Callable[[Cause], object],
    ) -> None:
        self._gatherer = gatherer
        self._gathering = gathering
        self._planner = planner
        self._plan_applier = plan_applier
        self._early_drain = early_drain
        self._hints = hints
        self._status = status
        self._event_log = event_log
        self._clock = clock
        self._timers = timers
        self._poke = poke
        self._plan_again = plan_again

    async def run(self) -> bool:
        """
        Converge once.

        :return: False if an answer of Marathon was doubted: nothing was done, and everything is asked again later.
        :raises MarathonLBError: it failed. HAProxy keeps serving as before, and the hints are kept for the next time.
        """
        answered = self._hints.take()
        self._event_log.begins(answered.apps, answered.causes)
        try:
            believed = await self._answer(answered)
        except BaseException:
            self._hints.put_back(answered)
            raise
        if not believed:
            self._event_log.put_off(self._status.now, SECOND_OPINION)
            if "doubt" not in self._timers:  # later hints do not postpone it
                self._timers.set("doubt", SECOND_OPINION, self._ask_everything)
        elif (retry := self._planner.quarantine.next_retry()) is not None:
            wait = retry - self._clock.seconds()
            self._timers.set("quarantine", wait, lambda: self._plan_again(Cause(CauseKind.QUARANTINE)))
        return believed

    async def gather(self, apps: frozenset[str] | None) -> bool:
        """
        Ask Marathon, and pass its answer to the planner.

        :param apps: the ids of the apps to ask about; None for everything.
        :return: False if the answer removes so much that a second one has to confirm it.
        """
        news = await self._gathering.gather(apps)
        if news.touched:
            self._plan_applier.settled = False
            self._event_log.changed(news.touched)
            self._planner.update(self._gatherer.cluster.apps, news.touched)
        return news.believed

    async def _answer(self, hints: HintSum) -> bool:
        asks = hints.apps is None or hints.apps or self._gatherer.news
        believed = await self.gather(hints.apps) if asks else True
        if believed and self._gatherer.complete and self._has_work:
            return await self._plan_applier.apply(hints.causes, self._gathering.as_of)
        if believed:
            self._event_log.unchanged(self._status.now)
        return believed

    @property
    def _has_work(self) -> bool:
        """Return whether the plan may differ from what HAProxy runs, drained servers of killed tasks included."""
        return not self._plan_applier.settled or self._early_drain.at > self._plan_applier.applied_as_of

    def _ask_everything(self) -> None:
        self._poke(Hint.of(None, Cause(CauseKind.SECOND_OPINION)))
