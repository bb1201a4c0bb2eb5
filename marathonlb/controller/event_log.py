"""
What the reconciler has done, said to the operator: one line a decision, each problem once.

It only tells; nothing is decided here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext

from twisted.logger import Logger

from marathonlb.causes import Cause
from marathonlb.controller.planner import PlannedConfig
from marathonlb.controller.sentences import cause_phrase, causes_sentence
from marathonlb.controller.status import ConvergenceStatus
from marathonlb.errors import MarathonLBError, described
from marathonlb.haproxy.outcome import (
    Outcome,
    Postponed,
    Reloaded,
    Unchanged,
    action_word,
    explanation,
    output_of,
)
from marathonlb.haproxy.reload_reason import sentence
from marathonlb.haproxy.rollback.override import Override
from marathonlb.marathon.events.hints import Hint
from marathonlb.routing.problems import Problem

FEW = 5
"""So many apps are named in a line; of more the number is said, and all of them at the level debug."""

A_LINE = 50
"""So many apps are named in a line of the level debug: a syslog cuts off what is longer than some kilobytes."""

LOUD = 20
"""Of more problems than these that come or go at once the number is logged, and each at the level debug."""


class EventLog:
    """
    Writes the log of the convergences.

    :ivar problems: what is wrong now, by app and port.
    """

    _log = Logger()

    def __init__(self) -> None:
        self.problems: tuple[Problem, ...] = ()
        self._advice = ""
        self._held = ""
        self._changed: frozenset[str] = frozenset()
        self._first = True

    def came(self, hint: Hint) -> None:
        """A hint has come; of so many of them nothing is said."""

    def begins(self, apps: frozenset[str] | None, causes: Counter[Cause]) -> None:
        """
        A convergence begins.

        :param apps: those that are looked at; None where everything is.
        """

    def changed(self, apps: frozenset[str]) -> None:
        """These apps are not what they were; what is done next is done for them."""
        self._changed |= apps

    def stage(self, name: str) -> AbstractContextManager[None]:
        """Surrounds a stage of it: ``gather`` or ``render``."""
        return nullcontext()

    def rejected(self, error: Exception) -> None:
        """HAProxy does not take what is wanted; who is to blame is found out next."""

    def unchanged(self, status: ConvergenceStatus) -> None:
        """A convergence found nothing that differs, so that nothing was rendered."""

    def put_off(self, status: ConvergenceStatus, seconds: float) -> None:
        """An answer was not believed, which was said already; it is asked for again after so many seconds."""

    def _who(self, generation: int) -> str:
        """Who has changed since the last line that said so."""
        apps, self._changed = sorted(self._changed), frozenset()
        if len(apps) <= FEW:
            return ", ".join(apps) or "none"
        for first in range(0, len(apps), A_LINE):
            some = ", ".join(apps[first : first + A_LINE])
            self._log.debug("Generation {generation} is for {apps}", generation=generation, apps=some)
        return f"{len(apps)}: {', '.join(apps[:FEW])}, …"

    def asked(self, what: str, who: str) -> None:
        """
        Somebody outside asked for something.

        :param who: the client's address, or a signal's name.
        """
        self._log.info("{what}, asked by {who}", what=what, who=who)

    def reload_waits(self, cause: Cause) -> None:
        """HAProxy is to read its configuration again, and nobody knows yet what that should be."""
        self._log.warn(
            "{cause}: HAProxy is reloaded when Marathon has answered for the first time since the start; until then it "
            "runs what it ran",
            cause=cause_phrase(cause),
        )

    def converged(
        self, status: ConvergenceStatus, planned: PlannedConfig, outcome: Outcome, causes: Counter[Cause]
    ) -> None:
        """HAProxy runs what is wanted; the first time after a start that is news, though nothing was to be done."""
        held = planned.held
        if held is not None and held.pending and held.pending != self._held:
            self.held_back(status, held)
        self._held = held.pending if held is not None else ""
        if isinstance(outcome, Unchanged) and self._first:
            self._log.info(
                "What is wanted is in place already: {services} services, {servers} servers; nothing to do",
                services=len(planned.services),
                servers=planned.servers,
            )
        self._first = self._first and isinstance(outcome, Postponed)
        if isinstance(outcome, Postponed) and outcome.changes:
            self._log.info(
                "Generation {generation}: {done} in {milliseconds:.1f} ms; a reload is to come, since {reason}; "
                "apps: {apps}",
                generation=status.generation,
                apps=self._who(status.generation),
                done=str(outcome.changes),
                milliseconds=1000 * sum(outcome.seconds.values()),
                reason=sentence(outcome.reasons),
            )
            return
        if isinstance(outcome, Unchanged | Postponed):
            if isinstance(outcome, Unchanged):
                self._changed = frozenset()
            reason = explanation(outcome)
            self._log.debug(
                "Generation {generation} {says}",
                generation=status.generation,
                says=f"waits for its reload: {reason}" if reason else "changes nothing",
            )
            return
        self._log.info(
            "Generation {generation}: {action} in {milliseconds:.1f} ms, since {reason}; {services} services, "
            "{servers} servers; apps: {apps}; because of {causes}",
            generation=status.generation,
            apps=self._who(status.generation),
            action=action_word(outcome),
            milliseconds=1000 * sum(outcome.seconds.values()),
            reason=explanation(outcome) or "nothing differs",
            services=len(planned.services),
            servers=planned.servers,
            causes=causes_sentence(causes) or "start",
        )
        output = output_of(outcome)
        if isinstance(outcome, Reloaded) and output not in ("", self._advice):
            self._log.warn("HAProxy says: {output}", output=output)
        self._advice = output

    def held_back(self, status: ConvergenceStatus, held: Override) -> None:
        """Something else waits for the release of what is pinned than before."""
        self._log.warn(
            "Configuration {name} is pinned, so this waits: {back}. --rollback 0 releases it",
            name=held.pin.name,
            back=held.pending,
            generation=status.generation,
        )

    def imposed(self, what: str, outcome: Outcome, who: str) -> None:
        """
        Somebody outside had HAProxy run something.

        :param what: what was asked for.
        :param who: the client's address.
        """
        self._log.warn(
            "{what}, asked by {who}: {action} in {milliseconds:.1f} ms, since {reason}",
            what=what,
            who=who,
            action=action_word(outcome),
            milliseconds=1000 * sum(outcome.seconds.values()),
            reason=explanation(outcome) or "nothing differs",
        )

    def failed(self, status: ConvergenceStatus, error: Exception, delay: float, *, again: bool) -> None:
        """
        A convergence has failed.

        :param delay: seconds until the next attempt.
        :param again: it failed like this before, so it is said less loudly.
        """
        if not isinstance(error, MarathonLBError):
            self._log.failure(
                "Generation {generation} is not applied: a defect of the load balancer. What was served goes on",
                generation=status.generation,
            )
        emit = self._log.info if again else self._log.error
        emit(
            "Generation {generation} is not applied: {error}. What was served goes on; trying again in {seconds:.1f} s",
            generation=status.generation,
            error=described(error),
            seconds=delay,
            output=getattr(error, "output", ""),
        )

    def drained(self, servers: Sequence[tuple[str, str]]) -> None:
        """Marathon says that the tasks behind these servers, each a backend and its name, are killed."""
        self._log.debug(
            "{count} servers take no new requests, since their tasks are killed: {servers}",
            count=len(servers),
            servers=", ".join("/".join(server) for server in servers[:5]),
        )

    def drifted(self, apps: frozenset[str]) -> None:
        """A full comparison found what no event had told of."""
        self._log.info(
            "The full comparison found {count} changed apps that no event had named: {apps}",
            count=len(apps),
            apps=", ".join(sorted(apps)[:5]) + (", …" if len(apps) > 5 else ""),
        )

    def doubted(self, gone: int, before: int, seconds: float) -> None:
        """The first answer after a start lacks too much of what HAProxy serves."""
        self._log.warn(
            "Marathon's first answer lacks {gone} of the {before} services that HAProxy serves; a second one has to "
            "agree. If this is meant, wait {seconds:.0f} s, or raise --max-shrink",
            gone=gone,
            before=before,
            seconds=seconds,
        )

    def problems_are(self, problems: tuple[Problem, ...]) -> None:
        """Say each problem once, when it comes and when it is gone."""
        if problems is self.problems:
            return
        before, now = set(self.problems), set(problems)
        new = [problem for problem in problems if problem not in before]
        gone = [problem for problem in self.problems if problem not in now]
        self.problems = problems
        if len(new) > LOUD:
            self._log.warn("{count} new problems with labels; --log-level=debug names each", count=len(new))
        emit = self._log.debug if len(new) > LOUD else self._log.warn
        for problem in new:
            fate = "; this service is not served" if problem.fatal and problem.app_id else ""
            emit(
                "{problem}{fate}",
                problem=str(problem),
                fate=fate,
                appId=problem.app_id,
                label=problem.label,
                code=problem.kind.code,
            )
        if len(gone) > LOUD:
            self._log.info("{count} problems with labels are mended", count=len(gone))
        emit = self._log.debug if len(gone) > LOUD else self._log.info
        for problem in gone:
            emit("Mended: {problem}", problem=str(problem), appId=problem.app_id, label=problem.label)
