"""The reconciler: takes hints, and keeps HAProxy in step with Marathon."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from random import random
from typing import TYPE_CHECKING, Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.interfaces import IReactorTime

from marathonlb.base.causes import Cause, CauseKind
from marathonlb.controller.convergence.cold_start import ColdStartDoubt
from marathonlb.controller.convergence.converge import Convergence
from marathonlb.controller.convergence.gathering import Gathering
from marathonlb.controller.convergence.pending_hints import PendingHints
from marathonlb.controller.convergence.plan_applier import PlanApplier
from marathonlb.controller.convergence.unready import UnreadyApps
from marathonlb.controller.early_drain import EarlyDrain
from marathonlb.controller.event_log import EventLog
from marathonlb.controller.planned_config import PlannedConfig
from marathonlb.controller.planner import Planner
from marathonlb.controller.reload_limiter import ReloadLimiter
from marathonlb.controller.status import ConvergenceStatus, CurrentStatus
from marathonlb.haproxy.interfaces import IApplier
from marathonlb.haproxy.outcome import Outcome
from marathonlb.haproxy.reload_reason import from_cause
from marathonlb.marathon.events.hints import Hint
from marathonlb.marathon.gatherer import SECOND_OPINION, AppGatherer
from marathonlb.marathon.interfaces import Hosts
from marathonlb.routing.problems import Problem
from marathonlb.settings import Settings
from marathonlb.timers import Backoff, NamedTimers, pause

if TYPE_CHECKING:
    from marathonlb.controller.scheduler import Scheduler

FIRST_DELAY = 2.0
"""Seconds until the first retry after a failure; doubled with each further one, up to ``--max-backoff``."""

SEARCH_PAUSE = 0.1
"""Minimum number of seconds between two attempts of a search, in a run that ends with it."""


class Reconciler(Service):
    """
    Takes hints, and converges: `Scheduler` decides when, `Convergence` does it.

    :param gatherer: asks Marathon.
    :param planner: plans the configuration.
    :param applier: applies it to HAProxy.
    :param jitter: returns a number from 0 to 1; it spreads the retries of several controllers.
    :param event_log: logs what is done.
    """

    def __init__(
        self,
        settings: Settings,
        gatherer: AppGatherer,
        planner: Planner,
        applier: IApplier,
        hosts: Hosts,
        clock: IReactorTime,
        jitter: Callable[[], float] = random,
        event_log: EventLog | None = None,
    ) -> None:
        self.event_log = event_log = event_log or EventLog()
        self._settings = settings
        self._gatherer = gatherer
        self._planner = planner
        self._applier = applier
        self._clock = clock
        self._backoff = Backoff(initial=FIRST_DELAY, longest=settings.max_backoff, jitter=jitter)
        self._status = status = CurrentStatus()
        self._timers = timers = NamedTimers(clock)
        self._hints = hints = PendingHints()
        self._early_drain = EarlyDrain(planner, applier, event_log, clock)
        self._plan_applier = PlanApplier(
            planner,
            applier,
            ColdStartDoubt(gatherer, applier, event_log, clock, settings.max_shrink),
            ReloadLimiter(settings.min_reload_interval),
            hints,
            status,
            event_log,
            clock,
            timers,
            running=self._is_running,
            plan_again=self.plan_again,
            all_or_nothing=settings.skip_config_cleanup,
        )
        self._convergence = Convergence(
            gatherer,
            self._make_gathering(hosts),
            planner,
            self._plan_applier,
            self._early_drain,
            hints,
            status,
            event_log,
            clock,
            timers,
            poke=self.poke,
            plan_again=self.plan_again,
        )

    def _make_gathering(self, hosts: Hosts) -> Gathering:
        return Gathering(
            self._gatherer,
            hosts,
            self._hints,
            UnreadyApps(self.poke, self._timers, self._is_running),
            self._status,
            self.event_log,
            self._clock,
            counts_drift=self._settings.mode != "poll",
        )

    @cached_property
    def _scheduler(self) -> Scheduler:
        """Decides when to converge. A single run never asks it, so it is made when it is first asked."""
        from marathonlb.controller.scheduler import Scheduler

        return Scheduler(
            self._converge,
            lambda: self.plan_again(Cause(CauseKind.RETRY)),
            self._status,
            self.event_log,
            self._clock,
            self._timers,
            self._backoff,
        )

    @property
    def status(self) -> ConvergenceStatus:
        """The present status."""
        return self._status.now

    @property
    def planned(self) -> PlannedConfig | None:
        """The planned configuration that HAProxy runs; None before the first one."""
        return self._plan_applier.planned

    @property
    def problems(self) -> tuple[Problem, ...]:
        """The present problems, by app and port."""
        return self.event_log.problems

    def poke(self, hint: Hint) -> None:
        """Take a hint. It is never lost: a convergence under way is followed by another one."""
        self.event_log.came(hint)
        self._hints.add(hint)
        self._scheduler.hint()

    def reload(self, cause: Cause) -> None:
        """Reload HAProxy although the configuration has not changed."""
        if not self._gatherer.complete:
            self.event_log.reload_waits(cause)
        self._applier.distrust(from_cause(cause))
        self.plan_again(cause)

    def plan_again(self, cause: Cause) -> None:
        """Plan again from what is known, without asking Marathon: something other than its state has changed."""
        self._plan_applier.settled = False
        self.poke(Hint.of((), cause))

    def ended(self, apps: frozenset[str], tasks: frozenset[str]) -> None:
        """
        Drain the servers of tasks that Marathon reports as killed, before it is asked about them.

        Only Marathon's own stream may call this: anyone can post events to the callback. The next convergence confirms
        or undoes it.
        """
        if self.running:
            self._early_drain.drain(apps, tasks)

    def idle(self) -> Deferred[object]:
        """Return a Deferred that fires when no convergence is under way, even if a failed one waits for its retry."""
        return self._scheduler.idle()

    def startService(self) -> None:
        """Act on hints, those included that came before."""
        super().startService()  # type: ignore[no-untyped-call]
        self._scheduler.start()

    def stopService(self) -> Deferred[Any]:
        """Begin no further convergence; fires when the one under way has ended or has been cancelled."""
        super().stopService()  # type: ignore[no-untyped-call]
        self._timers.cancel_all()
        ending = [self._early_drain.stop(), self._scheduler.stop()]
        return DeferredList(ending).addBoth(lambda _: self._timers.cancel_all())

    async def look(self) -> PlannedConfig:
        """
        Ask Marathon about everything and plan, without applying the plan.

        :raises MarathonLBError: Marathon did not answer, or a shared template cannot be used.
        """
        while not await self._convergence.gather(None):
            await pause(self._clock, SECOND_OPINION)
        await self._planner.prepare()
        return self._planner.plan(self._clock.seconds())

    async def once(self) -> Outcome | None:
        """
        Converge once, for a run that ends then; a doubted answer is asked for again, and a search is finished.

        :raises MarathonLBError: it failed; HAProxy keeps serving as before.
        """
        self._hints.add_everything()
        while not (believed := await self._convergence.run()) or self._plan_applier.search.under_way:
            self._timers.cancel_all()
            if believed:
                await pause(self._clock, max(self._settings.min_reload_interval, SEARCH_PAUSE))
            else:
                await pause(self._clock, SECOND_OPINION)
                self._hints.add_everything()
        self._timers.cancel_all()
        return self.status.last_outcome

    def _is_running(self) -> bool:
        return bool(self.running)

    async def _converge(self) -> bool:
        """Converge once; return whether HAProxy runs the plan for everything that is known."""
        await self._convergence.run()
        return self._plan_applier.settled
