"""
One convergence at a time: from hints to a HAProxy that runs what is wanted.

Why a generation and not a dirty flag: a hint that arrives while a convergence is under way may or may not be covered
by what was already fetched. A flag that the end of the convergence clears would lose it, one that it leaves set would
converge for ever. So each hint raises ``generation``; a convergence notes the generation that it began with, and when
it ends and the generation has moved on, it begins again. Hints that arrive meanwhile are gathered into one: the first
acts at once, a burst ends in one convergence.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from random import random
from typing import Any

from attrs import evolve
from twisted.application.service import Service
from twisted.internet.defer import CancelledError, Deferred, DeferredList, succeed
from twisted.internet.interfaces import IReactorTime

from marathonlb.causes import Cause, CauseKind
from marathonlb.controller.cold_start import ColdStartDoubt
from marathonlb.controller.early_drain import EarlyDrain
from marathonlb.controller.event_log import EventLog, Status
from marathonlb.controller.planner import PlannedConfig, Planner
from marathonlb.controller.refusals.search import Failure, Search
from marathonlb.controller.reload_limiter import ReloadLimiter
from marathonlb.controller.unready import READINESS, UnreadyApps
from marathonlb.errors import CheckFailed, InvalidConfiguration, ReloadFailed, ServicesRefused, described
from marathonlb.haproxy.interfaces import IApplier
from marathonlb.haproxy.outcome import Outcome, Postponed, Reloaded, Written
from marathonlb.haproxy.reload_reason import from_cause
from marathonlb.marathon.dns import Hosts
from marathonlb.marathon.events.hints import Hint
from marathonlb.marathon.gatherer import SECOND_OPINION, Gathers, hosts_of
from marathonlb.routing.problems import Problem
from marathonlb.settings import Settings
from marathonlb.timers import Backoff, NamedTimers, pause

MAX_CHECKS = 50
"""So many times at most one convergence leaves out what HAProxy refuses, which stops after 50 complaints each."""

PATIENCE = 1.0
"""Seconds that a new hint waits after a failure; without one the back-off decides."""

FIRST_DELAY = 2.0
"""Seconds until the first retry after a failure; doubled with each further one, up to ``--max-backoff``."""

SOON = 0.1
"""Seconds until a search goes on, in a run that ends with it."""


class Reconciler(Service):
    """
    Takes hints, and keeps HAProxy in step.

    :param gatherer: asks Marathon.
    :param planner: says what is wanted.
    :param applier: makes it so.
    :param jitter: 0..1, spreads the retries of several controllers.
    :param journal: is told what is done.
    """

    def __init__(
        self,
        settings: Settings,
        gatherer: Gathers,
        planner: Planner,
        applier: IApplier,
        hosts: Hosts,
        clock: IReactorTime,
        jitter: Callable[[], float] = random,
        event_log: EventLog | None = None,
    ) -> None:
        self.status = Status()
        self.planned: PlannedConfig | None = None
        self.event_log = event_log or EventLog()
        self._settings = settings
        self._gatherer = gatherer
        self._planner = planner
        self._applier = applier
        self._hosts = hosts
        self._clock = clock
        self._backoff = Backoff(initial=FIRST_DELAY, longest=settings.max_backoff, jitter=jitter)
        self._dirty: frozenset[str] | None = frozenset()
        self._named: frozenset[str] = frozenset()
        self._causes: Counter[Cause] = Counter()
        self._settled = False
        self._cold_start = ColdStartDoubt(gatherer, applier, self.event_log, clock, settings.max_shrink)
        self._unready = UnreadyApps()
        self._work: Deferred[None] | None = None
        self._idle: list[Deferred[object]] = []
        self._timers = NamedTimers(clock)
        self._reload_limiter = ReloadLimiter(settings.min_reload_interval)
        self._search = Search(planner, applier, clock)
        self._early_drain = EarlyDrain(planner, applier, self.event_log, clock)
        self._not_before = 0.0
        self._asked_at = 0.0
        self._applied_as_of = 0.0

    # hints

    def poke(self, hint: Hint) -> None:
        """Look again. Never lost: where a convergence is under way, the next one begins when it ends."""
        self.status = evolve(self.status, generation=self.status.generation + 1)
        self.event_log.came(hint)
        self._causes.update(hint.causes)
        self._named |= hint.apps or frozenset()
        self._dirty = None if hint.apps is None or self._dirty is None else self._dirty | hint.apps
        self._wake()

    def reload(self, cause: Cause) -> None:
        """Let HAProxy read its configuration again, though nothing has changed."""
        if not self._gatherer.complete:
            self.event_log.reload_waits(cause)
        self._applier.distrust(from_cause(cause))
        self.plan_again(cause)

    def plan_again(self, cause: Cause) -> None:
        """Make the configuration anew from what is known: something besides Marathon's state has changed."""
        self._settled = False
        self.poke(Hint.of((), cause))

    def ended(self, apps: frozenset[str], tasks: frozenset[str]) -> None:
        """
        Let no new request reach tasks that Marathon says are killed, before it is asked about them.

        For the word of Marathon's own stream alone: the callback's can come from anyone. The next convergence
        confirms it or undoes it.
        """
        if self.running:
            self._early_drain.drain(apps, tasks)

    def idle(self) -> Deferred[object]:
        """Fires when no convergence is under way; one that has failed and waits for its retry is not."""
        if self._work is None:
            return succeed(None)
        self._idle.append(Deferred())
        return self._idle[-1]

    def startService(self) -> None:
        """Begin with what was poked before."""
        super().startService()  # type: ignore[no-untyped-call]
        if self.status.generation:
            self._wake()

    def stopService(self) -> Deferred[Any]:
        """Begin no more; fires when the convergence under way has ended or has been given up."""
        super().stopService()  # type: ignore[no-untyped-call]
        self._timers.cancel_all()
        ending: list[Deferred[object]] = [self.idle(), self._early_drain.stop()]
        if self._work is not None:
            self._work.cancel()
        return DeferredList(ending).addBoth(lambda _: self._timers.cancel_all())

    # when

    def _wake(self) -> None:
        """Begin now, or as soon as the last failure allows."""
        if not self.running or self._work is not None:
            return
        wait = self._not_before - self._clock.seconds()
        if wait > 0:
            self._timers.set("patience", wait, self._wake)
            return
        self._work = Deferred.fromCoroutine(self._run())
        self._work.addBoth(self._ended)

    def _ended(self, result: object) -> None:
        self._work = None
        waiting, self._idle = self._idle, []
        for each in waiting:
            each.callback(None)

    async def _run(self) -> None:
        """Converge until the generation stands still, or a failure says to wait."""
        while self.running:
            generation = self.status.generation
            try:
                await self.converge()
            except CancelledError:
                return
            except Exception as error:  # noqa: BLE001 the boundary: whatever it is, the next convergence may do better
                if self.running:  # else it failed since it was given up
                    self._failed(error)
                return
            self._timers.cancel("retry")
            converged = generation if self._settled else self.status.converged
            self.status = evolve(self.status, converged=converged, failures=0, failure="", blocked=None)
            if generation == self.status.generation:
                return

    def _failed(self, error: Exception) -> None:
        again = described(error) == self.status.failure
        self.status = self.status.failed(error, self._clock.seconds())
        delay = self._backoff.delay(self.status.failures)
        self._not_before = self._clock.seconds() + min(delay, PATIENCE)
        self._timers.set("retry", delay, lambda: self.plan_again(Cause(CauseKind.RETRY)))
        self.event_log.failed(self.status, error, delay, again=again)

    # what

    async def converge(self) -> bool:
        """
        Ask Marathon what the hints name, and make HAProxy run what follows from it.

        :return: False where an answer was doubted: nothing was done, and everything is to be asked again later.
        :raises MarathonLBError: it could not be done; what was served goes on, and the hints are kept.
        """
        dirty, self._dirty = self._dirty, frozenset()
        causes, self._causes = self._causes, Counter()
        self.event_log.begins(dirty, causes)
        try:
            asks = dirty is None or dirty or self._gatherer.news
            believed = await self._gather(dirty) if asks else True
            if believed and self._gatherer.complete and self._has_work:
                believed = await self._apply(causes)
            elif believed:
                self.event_log.unchanged(self.status)
        except BaseException:
            self._dirty = None if dirty is None or self._dirty is None else self._dirty | dirty
            self._causes.update(causes)
            raise
        if not believed:
            self.event_log.put_off(self.status, SECOND_OPINION)
            if "doubt" not in self._timers:  # what comes meanwhile does not put it off
                self._timers.set(
                    "doubt", SECOND_OPINION, lambda: self.poke(Hint.of(None, Cause(CauseKind.SECOND_OPINION)))
                )
        elif (retry := self._planner.quarantine.next_retry()) is not None:
            wait = retry - self._clock.seconds()
            self._timers.set("quarantine", wait, lambda: self.plan_again(Cause(CauseKind.QUARANTINE)))
        return believed

    async def look(self) -> PlannedConfig:
        """
        Ask Marathon about everything and say what is wanted, without applying it.

        :raises MarathonLBError: Marathon could not be asked, or a shared template is wrong.
        """
        while not await self._gather(None):
            await pause(self._clock, SECOND_OPINION)
        await self._planner.prepare()
        return self._planner.plan(self._clock.seconds())

    async def once(self) -> Outcome | None:
        """
        Converge a single time, for a run that ends then; an answer that is doubted is asked for again.

        :raises MarathonLBError: it could not be done; what was served goes on.
        """
        self._dirty = None
        while not (believed := await self.converge()) or self._search.under_way:
            self._timers.cancel_all()
            await pause(
                self._clock, max(self._settings.min_reload_interval, SOON) if believed else SECOND_OPINION
            )
            self._dirty = self._dirty if believed else None
        self._timers.cancel_all()
        return self.status.last_outcome

    async def _gather(self, apps: frozenset[str] | None) -> bool:
        """Bring what is offered up to date; False where the answer was not believed."""
        named, self._named = self._named, frozenset()
        asked_at = self._clock.seconds()
        try:
            with self.event_log.stage("gather"):
                gathered = await self._gatherer.gather(apps)
        except BaseException:
            self._named |= named
            raise
        self._asked_at = asked_at if gathered.as_of is None else gathered.as_of
        cluster = self._gatherer.cluster.apps
        touched = gathered.change.touched
        await self._hosts.learn(hosts_of(cluster[app_id] for app_id in touched if app_id in cluster))
        if gathered.full:
            self.status = evolve(self.status, last_full=self._gatherer.last_full)
            self._note_drift(gathered.drifted - named)
            self._hosts.keep(hosts_of(cluster.values()))
        self._unready.note(touched, cluster)
        self._watch_readiness()
        moved = self._hosts.moved()
        if moved:
            touched |= {app.id for app in cluster.values() if not moved.isdisjoint(hosts_of([app]))}
        if touched:
            self._settled = False
            self.event_log.changed(touched)
            self._planner.update(cluster, touched)
        return gathered.again_in is None

    def _watch_readiness(self) -> None:
        """Ask again after a while about apps whose tasks are not ready yet."""
        if self._unready.apps and "readiness" not in self._timers and self.running:
            self._timers.set("readiness", READINESS, self._check_readiness)

    def _check_readiness(self) -> None:
        if self._unready.apps:
            self.poke(Hint.of(self._unready.apps, Cause(CauseKind.READINESS)))
            self._watch_readiness()

    @property
    def _has_work(self) -> bool:
        """Whether what is wanted may differ from what HAProxy runs; servers drained on an event's word count."""
        return not self._settled or self._early_drain.at > self._applied_as_of

    def _note_drift(self, apps: frozenset[str]) -> None:
        """
        Count what a full comparison found and no event had told of: Marathon drops events, and streams end.

        Where Marathon is polled there are no events, and nothing that was missed.
        """
        if not apps or self._settings.mode == "poll":
            return
        self.status = evolve(self.status, drift=self.status.drift + len(apps))
        self.event_log.drifted(apps)

    async def _apply(self, causes: Counter[Cause]) -> bool:
        """Make HAProxy run what is wanted, without the services that it refuses; False where that is doubted."""
        self._search.advance()
        once = True
        for _ in range(MAX_CHECKS):
            await self._planner.prepare()
            with self.event_log.stage("render"):
                planned = self._planner.plan(self._clock.seconds())
            if self.planned is None and not self._search.under_way and await self._cold_start.about(planned):
                return False
            self._require_all(planned)
            self._settled = True  # what comes while this is under way unsettles it again
            as_of = self._asked_at
            try:
                outcome = await self._make(planned, as_of, once)
            except (InvalidConfiguration, CheckFailed, ReloadFailed) as error:
                self._settled = False
                self.event_log.rejected(error)
                if not await self._leave_out(error, planned, as_of):
                    if not (once and isinstance(error, ReloadFailed) and error.repeatable):
                        raise self._planner.texts.explained(self._search.nobodys(error)) from error
                    once = False
                refusal: Failure = error
            except BaseException:
                self._settled = False
                raise
            else:
                if outcome is not None:
                    self._applied_as_of = as_of
                    if self._planner.restricted:
                        self.plan_again(Cause(CauseKind.TEMPLATE))
                    self._done(planned, outcome, causes)
                self._go_on(planned, outcome)
                await self._try_texts_again()
                return True
        raise refusal

    async def _make(self, planned: PlannedConfig, as_of: float, once: bool) -> Outcome | None:
        """Make HAProxy run this; None where it is only checked."""
        if self._search.only_checks:
            await self._applier.check(planned.config)
            return None
        now = self._clock.seconds()
        may_gather = bool(self.running) and self._reload_limiter.may_gather(now)
        return await self._applier.apply(
            planned.config,
            may_reload=self._reload_limiter.may_reload(now),
            may_gather=may_gather,
            as_of=as_of,
            once=once,
        )

    def _require_all(self, planned: PlannedConfig) -> None:
        """Raise `ServicesRefused` where a service is wrong and the operator wants all or nothing."""
        wrong = tuple(str(problem) for problem in planned.problems if problem.fatal and problem.app_id)
        if wrong and self._settings.skip_config_cleanup:
            self.event_log.problems_are(planned.problems)
            raise ServicesRefused(problems=wrong)

    async def _leave_out(self, error: Failure, planned: PlannedConfig, as_of: float) -> bool:
        """Quarantine what HAProxy refuses, or may fail with; False where no service is to blame."""
        if not self._settings.skip_config_cleanup:
            if await self._search.leave_out(error, planned, as_of):
                return True
            if isinstance(error, InvalidConfiguration) and self._planner.restrict(self._applier.sections()):
                return True
        self.event_log.problems_are(self._planner.problems_with(planned))
        return False

    async def _try_texts_again(self) -> None:
        """Try the operator's templates that were refused again, and see to it that it is done without a hint, too."""
        if await self._planner.reconsider(self._clock.seconds(), self._search.passes):
            self.plan_again(Cause(CauseKind.TEMPLATE))
        again = self._planner.texts.overrides.next_try()
        if again is None:
            self._timers.cancel("template")
        else:
            wait = max(0.0, again - self._clock.seconds())
            self._timers.set("template", wait, lambda: self.plan_again(Cause(CauseKind.TEMPLATE)))

    def _go_on(self, planned: PlannedConfig, outcome: Outcome | None) -> None:
        """Try the next suspects, where a search is under way."""
        if outcome is not None and (isinstance(outcome, Postponed) or planned.held is not None):
            return
        self._search.cleared()
        if outcome is None:
            self.event_log.problems_are(planned.problems)
        if outcome is None or self._search.under_way:
            self.plan_again(Cause(CauseKind.SEARCH))

    def _done(self, planned: PlannedConfig, outcome: Outcome, causes: Counter[Cause]) -> None:
        """Keep what HAProxy confirmed, and say it; a reload that may not be yet is asked for again when it may."""
        now = self._clock.seconds()
        self.status = evolve(self.status, last_outcome=outcome)
        if isinstance(outcome, Postponed):
            self._settled = False
            self._causes.update(causes)
            self._timers.set(
                "floor",
                self._reload_limiter.postponed(now),
                lambda: self.plan_again(Cause(CauseKind.POSTPONED_RELOAD)),
            )
        else:
            self._reload_limiter.caught_up()
            self.planned = planned
            self._planner.accepted(planned, read=isinstance(outcome, Reloaded | Written))
        if isinstance(outcome, Reloaded):
            self._timers.cancel("floor")
            self._reload_limiter.reloaded(now, outcome.seconds.get("reload", 0.0))
            self.status = evolve(self.status, last_reload=now, reloads=self.status.reloads + 1)
        self.event_log.problems_are(planned.problems)
        self.event_log.converged(self.status, planned, outcome, causes)

    @property
    def problems(self) -> tuple[Problem, ...]:
        """What is wrong now, by app and port."""
        return self.event_log.problems
