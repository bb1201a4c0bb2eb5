"""Health checks: what a result means (pure), and the loop that asks again and again."""

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

#: Which check, its results, and whether the task is to be killed for them.
Report = Callable[[int, Health, bool], None]


def judge(
    had: Health | None, cause: str | None, now: float, check: HealthCheck, age: float
) -> tuple[Health | None, bool]:
    """
    Return a task's health after one more result.

    A failure in the grace period counts for nothing as long as the check never succeeded.

    :param cause: why it failed; None where it succeeded.
    :param now: seconds since the epoch.
    :param age: seconds since the task runs.
    :return: the health, None where there still is none, and whether the task is to be killed.
    """
    known = had or Health()
    if cause is None:
        first = now if known.first_success is None else known.first_success
        return evolve(known, alive=True, failures=0, first_success=first, last_success=now), False
    if age < check.grace and known.first_success is None:
        return had, False
    failures = known.failures + 1
    hopeless = 0 < check.max_failures <= failures
    return evolve(known, alive=False, failures=failures, last_failure=now, cause=cause), hopeless


class IHealth(Interface):
    """Watches the health of tasks."""

    def watch(task: Task, app: App, report: Report) -> None:
        """Check a running task by its app's checks from now on; `report` is called later, never from within."""

    def forget(task_id: str) -> None:
        """Check it no more; nothing for one that is not watched."""

    def stop() -> None:
        """Check nothing any more."""


class IProbes(Interface):
    """Asks a task how it is."""

    def probe(check: HealthCheck, task: Task, app: App) -> Deferred[None]:
        """Probe a task: fire when it is well, fail with the reason when not. May be cancelled; has no time limit."""


@implementer(IHealth)
@define(eq=False)
class AlwaysHealthy:
    """For tasks that have no process: every check succeeds, once, in the clock's next turn."""

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
    """One check of one task, again and again; the next never begins before the last is over."""

    probes: IProbes
    clock: IReactorTime
    now: Callable[[], float]
    task: Task
    app: App
    index: int
    report: Report
    _began: float = 0
    _had: Health | None = None
    _asking: Deferred[None] | None = None
    _loop: LoopingCall = field(init=False)
    _stopped: bool = False
    _log = Logger()

    def begin(self) -> None:
        self._began = self.clock.seconds()
        self._loop = LoopingCall(self._ask)
        self._loop.clock = self.clock
        interval = max(0.05, self.task.checks[self.index].interval)
        done = self._loop.start(interval, now=False)
        done.addErrback(
            lambda failure: self._log.failure("a health check stopped; restart minimarathon", failure)
        )

    def _ask(self) -> Deferred[None]:
        check = self.task.checks[self.index]
        asking = self._asking = self.probes.probe(check, self.task, self.app)
        asking.addTimeout(check.timeout, self.clock)
        return asking.addCallbacks(lambda _: self._result(None), self._failed)

    def _failed(self, failure: Failure) -> None:
        if not self._stopped:
            self._result(failure.getErrorMessage() or repr(failure.value))

    def _result(self, cause: str | None) -> None:
        self._asking = None
        age = self.clock.seconds() - self._began
        health, hopeless = judge(self._had, cause, self.now(), self.task.checks[self.index], age)
        if health is not None and not self._stopped:
            self._had = health
            self.report(self.index, health, hopeless)

    def end(self) -> None:
        self._stopped = True
        if self._loop.running:
            self._loop.stop()
        if self._asking is not None:
            self._asking.cancel()


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
        for one in watches:
            one.begin()

    def forget(self, task_id: str) -> None:
        """See `IHealth.forget`."""
        for one in self._watches.pop(task_id, ()):
            one.end()

    def stop(self) -> None:
        """See `IHealth.stop`."""
        for task_id in tuple(self._watches):
            self.forget(task_id)
