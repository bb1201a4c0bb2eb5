"""The record of the convergences: a timeline for people and metrics for machines, next to the log."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from twisted.internet.interfaces import IReactorTime

from marathonlb.base.causes import Cause, CauseKind
from marathonlb.controller.event_log import LOUD, EventLog
from marathonlb.controller.planned_config import PlannedConfig
from marathonlb.controller.sentences import NO_CHANGES, cause_phrase, outcome_sentence
from marathonlb.controller.status import ConvergenceStatus
from marathonlb.controller.timeline import Entry, EventTimeline, Kind
from marathonlb.errors import ReloadFailed, described
from marathonlb.haproxy.outcome import (
    Outcome,
    Postponed,
    Reloaded,
    Unchanged,
    action_word,
    changes_of,
    explanation,
    reasons_of,
)
from marathonlb.haproxy.reload_reason import metric_label, refused_commands
from marathonlb.haproxy.rollback.override import Override
from marathonlb.marathon.events.hints import Hint
from marathonlb.metrics import Metrics
from marathonlb.routing.problems import Problem

SHOWN = 20
"""Maximum number of apps that an entry names."""


class Recorder(EventLog):
    """
    Writes the log, keeps the timeline and counts the metrics.

    :ivar since: when each present problem came, in seconds since the epoch.
    :ivar last_reload: the entry of the last reload; None before the first.
    """

    def __init__(self, clock: IReactorTime, timeline: EventTimeline, metrics: Metrics) -> None:
        super().__init__()
        self.timeline = timeline
        self.metrics = metrics
        self.since: dict[Problem, float] = {}
        self.last_reload: Entry | None = None
        self._clock = clock
        self._first_event: float | None = None
        self._event: float | None = None
        self._began = 0.0
        self._apps: frozenset[str] | None = frozenset()
        self._seconds: dict[str, float] = {}

    def came(self, hint: Hint) -> None:
        """Count the events of a hint; the time to traffic is measured from the first one."""
        events = [cause.name for cause in hint.causes if cause.kind is CauseKind.EVENT]
        for event in events:
            self.metrics.count("events_total", type=event)
        if events and self._first_event is None:
            self._first_event = self._clock.seconds()

    def begins(self, apps: frozenset[str] | None, causes: Counter[Cause]) -> None:
        """Begin an entry; a convergence also answers the events that a failed one before it did not."""
        super().begins(apps, causes)
        self._began = self._clock.seconds()
        self._apps, self._seconds = apps, {}
        if self._event is None:
            self._event = self._first_event
        self._first_event = None

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Measure a stage of the convergence, whether it succeeds or not."""
        began = self._clock.seconds()
        try:
            yield
        finally:
            self._seconds[name] = self._seconds.get(name, 0.0) + self._clock.seconds() - began

    def converged(
        self, status: ConvergenceStatus, planned: PlannedConfig, outcome: Outcome, causes: Counter[Cause]
    ) -> None:
        """See `EventLog.converged`."""
        super().converged(status, planned, outcome, causes)
        self._seconds |= outcome.seconds
        self._measured("waiting" if isinstance(outcome, Postponed) else action_word(outcome))
        self._counted(outcome)
        summary, reason = outcome_sentence(outcome), explanation(outcome)
        if isinstance(outcome, Postponed):
            self._entry(Kind.WAITING, summary, status, reason=reason)
            return
        changed = not isinstance(outcome, Unchanged)
        entry = self._entry(
            Kind.CONVERGED if changed else Kind.UNCHANGED,
            summary,
            status,
            action=action_word(outcome),
            reason=reason,
            event_to_traffic_seconds=self._event_to_traffic(changed=changed),
            services=len(planned.services),
            servers=planned.servers,
        )
        if isinstance(outcome, Reloaded):
            self.last_reload = entry

    def _event_to_traffic(self, *, changed: bool) -> float | None:
        """Observe the seconds since the first event that this convergence answers; None if there is none."""
        event, self._event = self._event, None
        if not changed or event is None:
            return None
        seconds = self._clock.seconds() - event
        self.metrics.observe("event_to_traffic_seconds", seconds)
        return seconds

    def held_back(self, status: ConvergenceStatus, held: Override) -> None:
        """See `EventLog.held_back`."""
        super().held_back(status, held)
        self._entry(
            Kind.HELD, f"configuration {held.pin.name} is pinned, so this waits: {held.pending}", status
        )

    def imposed(self, what: str, outcome: Outcome, who: str) -> None:
        """See `EventLog.imposed`."""
        super().imposed(what, outcome, who)
        self._counted(outcome)
        entry = self.timeline.add(
            Entry(
                time=self._clock.seconds(),
                kind=Kind.ASKED,
                summary=f"{what}, requested by {who}",
                action=action_word(outcome),
                reason=explanation(outcome),
                seconds=dict(outcome.seconds),
                total_seconds=round(sum(outcome.seconds.values()), 6),
            )
        )
        if isinstance(outcome, Reloaded):
            self.last_reload = entry

    def _counted(self, outcome: Outcome) -> None:
        """Count the reloads and the commands of the runtime API."""
        for step, count in changes_of(outcome).counts.items():
            self.metrics.count("runtime_steps_total", count, kind=step, result="done")
        reasons = reasons_of(outcome)
        for command in refused_commands(reasons):
            self.metrics.count("runtime_steps_total", kind=command, result="refused")
        if isinstance(outcome, Reloaded):
            self.metrics.count("reloads_total", reason=metric_label(reasons), result="done")

    def rejected(self, error: Exception) -> None:
        """Count a failed reload."""
        if isinstance(error, ReloadFailed):
            self.metrics.count("reloads_total", reason="other", result="failed")

    def unchanged(self, status: ConvergenceStatus) -> None:
        """See `EventLog.unchanged`."""
        super().unchanged(status)
        self._event = None
        self._measured("nothing")
        self._entry(Kind.UNCHANGED, NO_CHANGES, status, action="nothing")

    def failed(self, status: ConvergenceStatus, error: Exception, delay: float, *, again: bool) -> None:
        """See `EventLog.failed`."""
        super().failed(status, error, delay, again=again)
        self._measured("failed")
        self._entry(Kind.FAILED, described(error), status, reason=described(error))

    def put_off(self, status: ConvergenceStatus, seconds: float) -> None:
        """See `EventLog.put_off`."""
        super().put_off(status, seconds)
        self._measured("waiting")
        self._entry(
            Kind.WAITING,
            f"Marathon's answer removes too many services; a second answer has to confirm it, in {seconds:.0f} s",
            status,
        )

    def drifted(self, apps: frozenset[str]) -> None:
        """See `EventLog.drifted`."""
        super().drifted(apps)
        self.metrics.count("drifted_apps_total", len(apps))
        self.timeline.add(
            Entry(
                time=self._clock.seconds(),
                kind=Kind.DRIFT,
                summary=f"{len(apps)} {'app' if len(apps) == 1 else 'apps'} had changed, and no event had named them",
                apps=tuple(sorted(apps)[:SHOWN]),
                app_count=len(apps),
            )
        )

    def drained(self, servers: Sequence[tuple[str, str]]) -> None:
        """See `EventLog.drained`."""
        super().drained(servers)
        self.metrics.count("runtime_steps_total", len(servers), kind="drained_on_event", result="asked")

    def asked(self, what: str, who: str) -> None:
        """See `EventLog.asked`."""
        super().asked(what, who)
        self.timeline.add(
            Entry(
                time=self._clock.seconds(),
                kind=Kind.ASKED,
                summary=f"{what}, requested by {who}",
                action=what,
            )
        )

    def problems_are(self, problems: tuple[Problem, ...]) -> None:
        """See `EventLog.problems_are`."""
        before = self.problems
        super().problems_are(problems)
        if problems is before:
            return
        now = self._clock.seconds()
        old, self.since = self.since, {problem: self.since.get(problem, now) for problem in problems}
        self._problems(Kind.PROBLEM, [problem for problem in problems if problem not in old])
        self._problems(Kind.FIXED, [problem for problem in old if problem not in self.since])

    def _problems(self, kind: Kind, problems: list[Problem]) -> None:
        """Add an entry for each problem, or one for all if they are many."""
        now = self._clock.seconds()
        if len(problems) > LOUD:
            apps = sorted({problem.app_id for problem in problems})
            self.timeline.add(
                Entry(
                    time=now,
                    kind=kind,
                    summary=f"{len(problems)} problems",
                    apps=tuple(apps[:SHOWN]),
                    app_count=len(apps),
                )
            )
            return
        for problem in problems:
            apps = [problem.app_id] if problem.app_id else []
            entry = Entry(time=now, kind=kind, summary=str(problem), apps=tuple(apps), app_count=len(apps))
            self.timeline.add(entry)

    def _measured(self, result: str) -> None:
        self.metrics.count("convergences_total", result=result)
        for stage, seconds in self._seconds.items():
            self.metrics.observe("convergence_seconds", seconds, stage=stage)
        if "check" in self._seconds:
            self.metrics.observe("validation_seconds", self._seconds["check"])

    def _entry(
        self,
        kind: Kind,
        summary: str,
        status: ConvergenceStatus,
        *,
        action: str = "",
        reason: str = "",
        event_to_traffic_seconds: float | None = None,
        services: int | None = None,
        servers: int | None = None,
    ) -> Entry:
        apps = self._apps
        return self.timeline.add(
            Entry(
                time=self._began,
                kind=kind,
                summary=summary,
                generation=status.generation,
                came={cause_phrase(cause): count for cause, count in self._causes.items()},
                apps=tuple(sorted(apps)[:SHOWN]) if apps else (),
                app_count=None if apps is None else len(apps),
                action=action,
                reason=reason,
                seconds={stage: round(seconds, 6) for stage, seconds in self._seconds.items()},
                total_seconds=round(self._clock.seconds() - self._began, 6),
                event_to_traffic_seconds=event_to_traffic_seconds,
                services=services,
                servers=servers,
            )
        )
