"""Health checks: the evaluation of results, which is pure, and the loop that probes periodically."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from attrs import define, evolve, field
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import Interface, implementer

from minimarathon.model import App, Health, HealthCheck, Task

#: Takes the index of the check, its results, and whether to kill the task for them.
Report = Callable[[int, Health, bool], None]


def evaluate(
    previous: Health | None, cause: str | None, now: float, check: HealthCheck, age: float
) -> tuple[Health | None, bool]:
    """
    Return the results of a check after another probe.

    A failure in the grace period is ignored until the check has succeeded once.

    :param cause: the reason of a failure; None after a success.
    :param now: seconds since the epoch.
    :param age: seconds since the task's start.
    :return: the results, None if there are none yet; and whether to kill the task.
    """
    known = previous or Health()
    if cause is None:
        first = now if known.first_success is None else known.first_success
        return evolve(known, alive=True, failures=0, first_success=first, last_success=now), False
    if age < check.grace and known.first_success is None:
        return previous, False
    failures = known.failures + 1
    kill = 0 < check.max_failures <= failures
    return evolve(known, alive=False, failures=failures, last_failure=now, cause=cause), kill


class IHealth(Interface):
    """Checks the health of tasks."""

    def watch(task: Task, app: App, report: Report) -> None:
        """Start the checks of a running task; `report` is never called from within this call."""

    def forget(task_id: str) -> None:
        """Stop the checks of a task; ignore one that is not watched."""

    def stop() -> None:
        """Stop all checks."""


class IProbes(Interface):
    """Probes the health of a task."""

    def probe(check: HealthCheck, task: Task, app: App) -> Deferred[None]:
        """Probe a task: succeed if it is healthy, fail with the reason if not. Without timeout; may be cancelled."""


@implementer(IHealth)
@define(eq=False)
class AlwaysHealthy:
    """For tasks without processes: every check succeeds once, in the clock's next iteration."""

    clock: IReactorTime
    now: Callable[[], float]
    _calls: dict[str, list[Any]] = field(factory=dict)

    def watch(self, task: Task, app: App, report: Report) -> None:
        """See `IHealth.watch`."""
        now = self.now()
        health = Health(alive=True, first_success=now, last_success=now)
        self._calls[task.id] = [
            self.clock.callLater(0, report, index, health, False) for index in range(len(task.checks))
        ]

    def forget(self, task_id: str) -> None:
        """See `IHealth.forget`."""
        for call in self._calls.pop(task_id, ()):
            if call.active():
                call.cancel()

    def stop(self) -> None:
        """See `IHealth.stop`."""
        for task_id in tuple(self._calls):
            self.forget(task_id)


@define(eq=False)
class _Watch:
    """One periodic check of one task; probes never overlap."""

    probes: IProbes
    clock: IReactorTime
    now: Callable[[], float]
    task: Task
    app: App
    index: int
    report: Report
    _began: float = 0
    _results: Health | None = None
    _probing: Deferred[None] | None = None
    _loop: LoopingCall = field(init=False)
    _stopped: bool = False
    _log = Logger()

    def begin(self) -> None:
        self._began = self.clock.seconds()
        self._loop = LoopingCall(self._probe)
        self._loop.clock = self.clock
        interval = max(0.05, self.task.checks[self.index].interval)
        done = self._loop.start(interval, now=False)
        done.addErrback(
            lambda failure: self._log.failure(
                "a health check stopped unexpectedly; restart minimarathon", failure
            )
        )

    def _probe(self) -> Deferred[None]:
        check = self.task.checks[self.index]
        probing = self._probing = self.probes.probe(check, self.task, self.app)
        probing.addTimeout(check.timeout, self.clock)
        return probing.addCallbacks(lambda _: self._result(None), self._failed)

    def _failed(self, failure: Failure) -> None:
        if not self._stopped:
            self._result(failure.getErrorMessage() or repr(failure.value))

    def _result(self, cause: str | None) -> None:
        self._probing = None
        age = self.clock.seconds() - self._began
        health, kill = evaluate(self._results, cause, self.now(), self.task.checks[self.index], age)
        if health is not None and not self._stopped:
            self._results = health
            self.report(self.index, health, kill)

    def end(self) -> None:
        self._stopped = True
        if self._loop.running:
            self._loop.stop()
        if self._probing is not None:
            self._probing.cancel()


@implementer(IHealth)
@define(eq=False)
class HealthChecks:
    """
    Checks running tasks.

    :param now: seconds since the epoch.
    """

    probes: IProbes
    clock: IReactorTime
    now: Callable[[], float]
    _watches: dict[str, list[_Watch]] = field(factory=dict)

    def watch(self, task: Task, app: App, report: Report) -> None:
        """See `IHealth.watch`."""
        watches = [
            _Watch(self.probes, self.clock, self.now, task, app, index, report)
            for index in range(len(task.checks))
        ]
        self._watches[task.id] = watches
        for watch in watches:
            watch.begin()

    def forget(self, task_id: str) -> None:
        """See `IHealth.forget`."""
        for watch in self._watches.pop(task_id, ()):
            watch.end()

    def stop(self) -> None:
        """See `IHealth.stop`."""
        for task_id in tuple(self._watches):
            self.forget(task_id)
