"""The last stage of a convergence: apply the plan to HAProxy, without the services and templates that it refuses."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from twisted.internet.interfaces import IReactorTime

from marathonlb.base.causes import Cause, CauseKind
from marathonlb.controller.convergence.cold_start import ColdStartDoubt
from marathonlb.controller.convergence.pending_hints import PendingHints
from marathonlb.controller.event_log import EventLog
from marathonlb.controller.planned_config import PlannedConfig
from marathonlb.controller.planner import Planner
from marathonlb.controller.refusals.search import Failure, Search
from marathonlb.controller.reload_limiter import ReloadLimiter
from marathonlb.controller.status import CurrentStatus
from marathonlb.errors import CheckFailed, InvalidConfiguration, ReloadFailed, ServicesRefused
from marathonlb.haproxy.interfaces import IApplier
from marathonlb.haproxy.outcome import Outcome, Postponed, Reloaded, Written
from marathonlb.timers import NamedTimers

MAX_CHECKS = 50
"""Maximum number of times that one convergence excludes what HAProxy refuses; HAProxy reports 50 errors at a time."""


class PlanApplier:
    """
    Applies planned configurations, and excludes or searches for what HAProxy refuses.

    :param running: returns whether the controller keeps running after this convergence; a single run does not.
    :param plan_again: asks for another convergence without asking Marathon.
    :param all_or_nothing: True if one invalid service fails the whole update (``--skip-config-cleanup``).
    :param timers: holds the timers ``template`` and ``reload``.
    :ivar planned: the configuration that HAProxy runs; None before the first one.
    :ivar settled: True if HAProxy runs the configuration for everything that is known.
    :ivar applied_as_of: the time as of which the applied state holds, in seconds on the clock.
    """

    def __init__(
        self,
        planner: Planner,
        applier: IApplier,
        cold_start: ColdStartDoubt,
        reload_limiter: ReloadLimiter,
        hints: PendingHints,
        status: CurrentStatus,
        event_log: EventLog,
        clock: IReactorTime,
        timers: NamedTimers,
        *,
        running: Callable[[], bool],
        plan_again: Callable[[Cause], object],
        all_or_nothing: bool,
    ) -> None:
        self.planned: PlannedConfig | None = None
        self.settled = False
        self.applied_as_of = 0.0
        self.search = Search(planner, applier, clock)
        self._planner = planner
        self._applier = applier
        self._cold_start = cold_start
        self._reload_limiter = reload_limiter
        self._hints = hints
        self._status = status
        self._event_log = event_log
        self._clock = clock
        self._timers = timers
        self._running = running
        self._plan_again = plan_again
        self._all_or_nothing = all_or_nothing

    async def apply(self, causes: Counter[Cause], as_of: float) -> bool:
        """
        Plan for what is known and apply the plan to HAProxy, without the services that it refuses.

        :param as_of: the time as of which the known state holds, in seconds on the clock.
        :return: False if the plan removes so much that a second answer of Marathon has to confirm it.
        :raises MarathonLBError: HAProxy does not run it, and keeps serving as before.
        """
        self.search.advance()
        once = True
        for _ in range(MAX_CHECKS):
            planned = await self._plan()
            if self.planned is None and not self.search.under_way and await self._cold_start.about(planned):
                return False
            self._require_all(planned)
            self.settled = True  # a hint that comes meanwhile unsettles it again
            try:
                outcome = await self._attempt(planned, as_of, once)
            except (InvalidConfiguration, CheckFailed, ReloadFailed) as error:
                self.settled = False
                self._event_log.rejected(error)
                if not await self._exclude(error, planned, as_of):
                    if not (once and isinstance(error, ReloadFailed) and error.repeatable):
                        raise self._planner.texts.explained(self.search.explained(error)) from error
                    once = False
                refusal: Failure = error
            except BaseException:
                self.settled = False
                raise
            else:
                await self._finish(planned, outcome, causes, as_of)
                return True
        raise refusal

    async def _plan(self) -> PlannedConfig:
        await self._planner.prepare()
        with self._event_log.stage("render"):
            return self._planner.plan(self._clock.seconds())

    async def _attempt(self, planned: PlannedConfig, as_of: float, once: bool) -> Outcome | None:
        """Apply this to HAProxy; None if the search only checks it."""
        if self.search.only_checks:
            await self._applier.check(planned.config)
            return None
        now = self._clock.seconds()
        return await self._applier.apply(
            planned.config,
            may_reload=self._reload_limiter.may_reload(now),
            may_gather=self._running() and self._reload_limiter.may_gather(now),
            as_of=as_of,
            once=once,
        )

    async def _finish(
        self, planned: PlannedConfig, outcome: Outcome | None, causes: Counter[Cause], as_of: float
    ) -> None:
        """Keep the accepted texts, and continue a search and the retries of refused templates."""
        if outcome is not None:
            self.applied_as_of = as_of
            if self._planner.restricted:
                self._plan_again(Cause(CauseKind.TEMPLATE))
            self._applied(planned, outcome, causes)
        self._continue_search(planned, outcome)
        await self._retry_templates()

    def _require_all(self, planned: PlannedConfig) -> None:
        """Raise `ServicesRefused` if a service is invalid and the operator wants all services or none."""
        invalid = tuple(str(problem) for problem in planned.problems if problem.fatal and problem.app_id)
        if invalid and self._all_or_nothing:
            self._event_log.problems_are(planned.problems)
            raise ServicesRefused(problems=invalid)

    async def _exclude(self, error: Failure, planned: PlannedConfig, as_of: float) -> bool:
        """Quarantine what HAProxy refuses or may fail with; False if no service is to blame."""
        if not self._all_or_nothing:
            if await self.search.exclude(error, planned, as_of):
                return True
            if isinstance(error, InvalidConfiguration) and self._planner.restrict(self._applier.sections()):
                return True
        self._event_log.problems_are(self._planner.problems_with(planned))
        return False

    def _continue_search(self, planned: PlannedConfig, outcome: Outcome | None) -> None:
        """Try the next suspects, if a search is under way."""
        if outcome is not None and (isinstance(outcome, Postponed) or planned.held is not None):
            return
        self.search.cleared()
        if outcome is None:
            self._event_log.problems_are(planned.problems)
        if outcome is None or self.search.under_way:
            self._plan_again(Cause(CauseKind.SEARCH))

    async def _retry_templates(self) -> None:
        """Try the operator's templates that were refused, now if their time has come, else by a timer."""
        if await self._planner.reconsider(self._clock.seconds(), self.search.passes):
            self._plan_again(Cause(CauseKind.TEMPLATE))
        next_try = self._planner.texts.overrides.next_try()
        if next_try is None:
            self._timers.cancel("template")
        else:
            wait = next_try - self._clock.seconds()
            self._timers.set("template", wait, lambda: self._plan_again(Cause(CauseKind.TEMPLATE)))

    def _applied(self, planned: PlannedConfig, outcome: Outcome, causes: Counter[Cause]) -> None:
        """Keep what HAProxy confirmed, and log it; a postponed reload is asked for again when it is allowed."""
        now = self._clock.seconds()
        self._status.update(last_outcome=outcome)
        if isinstance(outcome, Postponed):
            self.settled = False
            self._hints.add_causes(causes)
            wait = self._reload_limiter.postponed(now)
            self._timers.set("reload", wait, lambda: self._plan_again(Cause(CauseKind.POSTPONED_RELOAD)))
        else:
            self._reload_limiter.caught_up()
            self.planned = planned
            self._planner.accepted(planned, read=isinstance(outcome, Reloaded | Written))
        if isinstance(outcome, Reloaded):
            self._timers.cancel("reload")
            self._reload_limiter.reloaded(now, outcome.seconds.get("reload", 0.0))
            self._status.update(last_reload=now, reloads=self._status.now.reloads + 1)
        self._event_log.problems_are(planned.problems)
        self._event_log.converged(self._status.now, planned, outcome, causes)
