"""The log of the convergences: one line for each decision, each problem once. It decides nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext

from twisted.logger import Logger

from marathonlb.base.causes import Cause
from marathonlb.controller.planned_config import PlannedConfig
from marathonlb.controller.sentences import cause_phrase, causes_sentence, outcome_sentence, some_of
from marathonlb.controller.status import ConvergenceStatus
from marathonlb.errors import MarathonLBError, described
from marathonlb.haproxy.outcome import (
    Outcome,
    Postponed,
    Reloaded,
    Unchanged,
    action_name,
    action_word,
    explanation,
    output_of,
)
from marathonlb.haproxy.rollback.override import Override
from marathonlb.marathon.events.hints import Hint
from marathonlb.routing.problems import Problem

FEW = 5
"""Maximum number of apps or servers that a line names; for more it gives the number, and level debug names all apps."""

APPS_A_LINE = 50
"""Maximum number of apps in a line of level debug: syslog cuts off lines of more than some kilobytes."""

LOUD = 20
"""Maximum number of problems that are logged one by one when they come or go; of more each is logged at level debug."""


class EventLog:
    """
    Writes the log of the convergences.

    :ivar problems: the present problems, by app and port.
    """

    _log = Logger()

    def __init__(self) -> None:
        self.problems: tuple[Problem, ...] = ()
        self._warnings = ""
        self._held = ""
        self._changed: frozenset[str] = frozenset()
        self._first = True
        self._causes: Mapping[Cause, int] = {}

    def came(self, hint: Hint) -> None:
        """Take a hint; there are too many to log each."""

    def begins(self, apps: frozenset[str] | None, causes: Counter[Cause]) -> None:
        """
        Record that a convergence begins.

        :param apps: the apps that Marathon is asked about; None for everything.
        """
        self._causes = dict(causes)

    def cause(self) -> str:
        """Return the causes of the present convergence in one phrase."""
        return causes_sentence(self._causes)

    def changed(self, apps: frozenset[str]) -> None:
        """Record changed apps; the next line about a change names them."""
        self._changed |= apps

    def stage(self, name: str) -> AbstractContextManager[None]:
        """Return a context for a stage of the convergence: ``gather`` or ``render``."""
        return nullcontext()

    def rejected(self, error: Exception) -> None:
        """Record that HAProxy did not accept the planned configuration; the cause is searched next."""

    def unchanged(self, status: ConvergenceStatus) -> None:
        """Record that nothing differed, so that nothing was rendered."""

    def put_off(self, status: ConvergenceStatus, seconds: float) -> None:
        """
        Record that an answer was doubted, which is logged already.

        :param seconds: until Marathon is asked again.
        """

    def asked(self, what: str, who: str) -> None:
        """
        Log a request from outside.

        :param who: the client's address.
        """
        self._log.info("{what}, requested by {who}", what=what, who=who)

    def reload_waits(self, cause: Cause) -> None:
        """Log that HAProxy should be reloaded and the configuration for it is not known yet."""
        self._log.warn(
            "{cause}: HAProxy is reloaded after Marathon's first answer since the start; until then it runs the "
            "configuration from before",
            cause=cause_phrase(cause),
        )

    def converged(
        self, status: ConvergenceStatus, planned: PlannedConfig, outcome: Outcome, causes: Counter[Cause]
    ) -> None:
        """Log what a convergence did; that nothing differed is logged once after a start."""
        self._log_pin(status, planned.held)
        first, self._first = self._first, self._first and isinstance(outcome, Postponed)
        match outcome:
            case Unchanged():
                self._changed = frozenset()
                self._log_unchanged(status, planned, first=first)
            case Postponed():
                self._log_postponed(status, outcome)
            case _:
                self._log_applied(status, planned, outcome, causes)
                output = output_of(outcome)
                if isinstance(outcome, Reloaded) and output not in ("", self._warnings):
                    self._log.warn("HAProxy says: {output}", output=output)
                self._warnings = output

    def _log_pin(self, status: ConvergenceStatus, held: Override | None) -> None:
        pending = held.pending if held is not None else ""
        if held is not None and pending and pending != self._held:
            self.held_back(status, held)
        self._held = pending

    def _log_unchanged(self, status: ConvergenceStatus, planned: PlannedConfig, *, first: bool) -> None:
        if first:
            self._log.info(
                "HAProxy runs the planned configuration already: {services} services, {servers} servers",
                services=len(planned.services),
                servers=planned.servers,
            )
        self._log.debug("Generation {generation} changes nothing", generation=status.generation)

    def _log_postponed(self, status: ConvergenceStatus, outcome: Postponed) -> None:
        if outcome.changes:
            self._log.info(
                "Generation {generation}: {changes} in {milliseconds:.1f} ms; {pending}; apps: {apps}",
                generation=status.generation,
                apps=self._changed_apps(status.generation),
                changes=str(outcome.changes),
                milliseconds=_milliseconds(outcome),
                pending=outcome_sentence(outcome),
            )
        else:
            self._log.debug(
                "Generation {generation}: {pending}",
                generation=status.generation,
                pending=outcome_sentence(outcome),
            )

    def _log_applied(
        self, status: ConvergenceStatus, planned: PlannedConfig, outcome: Outcome, causes: Counter[Cause]
    ) -> None:
        self._log.info(
            "Generation {generation}: {how} in {milliseconds:.1f} ms, since {reason}; {services} services, "
            "{servers} servers; apps: {apps}; because of {causes}",
            generation=status.generation,
            apps=self._changed_apps(status.generation),
            action=action_word(outcome),
            how=action_name(action_word(outcome)),
            milliseconds=_milliseconds(outcome),
            reason=explanation(outcome) or "nothing differs",
            services=len(planned.services),
            servers=planned.servers,
            causes=causes_sentence(causes) or "start",
        )

    def _changed_apps(self, generation: int) -> str:
        """Return the apps that have changed since the last line that named any."""
        apps, self._changed = sorted(self._changed), frozenset()
        if len(apps) <= FEW:
            return ", ".join(apps) or "none"
        for first in range(0, len(apps), APPS_A_LINE):
            self._log.debug(
                "Generation {generation} is for {apps}",
                generation=generation,
                apps=", ".join(apps[first : first + APPS_A_LINE]),
            )
        return f"{len(apps)}: {some_of(apps, FEW)}"

    def held_back(self, status: ConvergenceStatus, held: Override) -> None:
        """Log the changes that wait for the release of a pinned configuration, if they differ from the last ones."""
        self._log.warn(
            "Configuration {name} is pinned, so this waits: {pending}. --rollback 0 releases it",
            name=held.pin.name,
            pending=held.pending,
            generation=status.generation,
        )

    def imposed(self, what: str, outcome: Outcome, who: str) -> None:
        """
        Log that HAProxy runs something on a request from outside.

        :param what: the request.
        :param who: the client's address.
        """
        self._log.warn(
            "{what}, requested by {who}: {how} in {milliseconds:.1f} ms, since {reason}",
            what=what,
            who=who,
            action=action_word(outcome),
            how=action_name(action_word(outcome)),
            milliseconds=_milliseconds(outcome),
            reason=explanation(outcome) or "nothing differs",
        )

    def failed(self, status: ConvergenceStatus, error: Exception, delay: float, *, again: bool) -> None:
        """
        Log a failed convergence.

        :param delay: seconds until the next attempt.
        :param again: True if the one before failed for the same reason; then the level is info.
        """
        if not isinstance(error, MarathonLBError):
            self._log.failure(
                "Generation {generation} is not applied because of a defect in marathon-lb. HAProxy keeps serving "
                "unchanged",
                generation=status.generation,
            )
        emit = self._log.info if again else self._log.error
        emit(
            "Generation {generation} is not applied: {error}. HAProxy keeps serving unchanged; "
            "retrying in {seconds:.1f} s",
            generation=status.generation,
            error=described(error),
            seconds=delay,
            output=getattr(error, "output", ""),
        )

    def drained(self, servers: Sequence[tuple[str, str]]) -> None:
        """
        Log servers that are drained because Marathon reports their tasks as killed.

        :param servers: each as its backend and its name.
        """
        self._log.debug(
            "Draining {count} servers, since their tasks are killed: {servers}",
            count=len(servers),
            servers=some_of(["/".join(server) for server in servers], FEW),
        )

    def drifted(self, apps: frozenset[str]) -> None:
        """Log changed apps that a full comparison found and no event had named."""
        self._log.info(
            "The full comparison found {count} changed apps that no event had named: {apps}",
            count=len(apps),
            apps=some_of(apps, FEW),
        )

    def doubted(self, gone: int, before: int, seconds: float) -> None:
        """Log that the first answer after a start lacks too many of the services that HAProxy runs."""
        self._log.warn(
            "Marathon's first answer lacks {gone} of the {before} services that HAProxy serves; a second answer has "
            "to confirm it. If this is intended, wait {seconds:.0f} s, or raise --max-shrink",
            gone=gone,
            before=before,
            seconds=seconds,
        )

    def problems_are(self, problems: tuple[Problem, ...]) -> None:
        """Log each problem once when it comes, and once when it is gone."""
        if problems is self.problems:
            return
        before, now = set(self.problems), set(problems)
        new = [problem for problem in problems if problem not in before]
        gone = [problem for problem in self.problems if problem not in now]
        self.problems = problems
        self._log_new(new)
        self._log_gone(gone)

    def _log_new(self, problems: Sequence[Problem]) -> None:
        if len(problems) > LOUD:
            self._log.warn("{count} new problems; --log-level=debug names each", count=len(problems))
        emit = self._log.debug if len(problems) > LOUD else self._log.warn
        for problem in problems:
            effect = "; this service is not served" if problem.fatal and problem.app_id else ""
            emit(
                "{problem}{effect}",
                problem=str(problem),
                effect=effect,
                appId=problem.app_id,
                label=problem.label,
                code=problem.kind.code,
            )

    def _log_gone(self, problems: Sequence[Problem]) -> None:
        if len(problems) > LOUD:
            self._log.info("{count} problems are fixed", count=len(problems))
        emit = self._log.debug if len(problems) > LOUD else self._log.info
        for problem in problems:
            emit(
                "Fixed: {problem}",
                problem=str(problem),
                appId=problem.app_id,
                label=problem.label,
                code=problem.kind.code,
            )


def _milliseconds(outcome: Outcome) -> float:
    return 1000 * sum(outcome.seconds.values())
