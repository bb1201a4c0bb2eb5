"""
The times at which the controller converges, as a state machine: one convergence at a time, from hint to hint.

Why a generation and not a dirty flag: a hint that arrives while a convergence is under way may or may not be covered
by what was already fetched. A flag that the end of the convergence clears would lose it, one that it leaves set would
converge for ever. So each hint raises ``generation``; a convergence notes the generation that it began with, and when
it ends and the generation has moved on, it begins again. Hints that arrive meanwhile are gathered into one: the first
acts at once, a burst ends in one convergence.

::

              start           hint                failed             hint
    stopped ────────→ idle ──────────→ converging ────────→ resting ──────→ due
                       ↑ ↑    current   │    ↑                 │             │
                       │ └──────────────┘    └─────────────────┼─────────────┘
                       └───────────────────────────────────────┘   rested
                                        rested

``stop`` leads from every state to ``stopped``.

- ``current``: the convergence has ended, and no hint has come since it began.
- ``failed``: it has failed. The next hint acts after a short rest; without a hint the back-off's retry is one.
- ``rested``: the rest after a failure is over.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol

from automat import TypeMachineBuilder
from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.internet.interfaces import IReactorTime

from marathonlb.controller.event_log import EventLog
from marathonlb.controller.status import CurrentStatus
from marathonlb.errors import described
from marathonlb.timers import Backoff, NamedTimers

PATIENCE = 1.0
"""Seconds that a hint waits after a failure; without a hint the back-off decides."""


class ConvergenceCycle(Protocol):
    """The inputs of the machine."""

    def start(self) -> None:
        """Begin to act on hints."""

    def hint(self) -> None:
        """Record that a hint has come."""

    def current(self) -> None:
        """Record that the convergence has ended and covers every hint."""

    def failed(self, delay: float) -> None:
        """Record that the convergence has failed, and is to be retried after these seconds."""

    def rested(self) -> None:
        """Record that the rest after a failure is over."""

    def stop(self) -> None:
        """Begin no further convergence, and cancel the one under way."""


class Scheduler:
    """
    Begins a convergence when a hint asks for one, one at a time.

    :param converge: one convergence. Its result is whether HAProxy runs the configuration for the generation that
        it began with; any exception is a failure.
    :param retry: called when a failed convergence is to be tried again; gives a hint.
    :param timers: holds the timers ``rest`` and ``retry``.
    :param backoff: the delays between retries.
    """

    def __init__(
        self,
        converge: Callable[[], Awaitable[bool]],
        retry: Callable[[], object],
        status: CurrentStatus,
        event_log: EventLog,
        clock: IReactorTime,
        timers: NamedTimers,
        backoff: Backoff,
    ) -> None:
        self.running = False
        self._converge = converge
        self._retry = retry
        self._status = status
        self._event_log = event_log
        self._clock = clock
        self._timers = timers
        self._backoff = backoff
        self._work: Deferred[None] | None = None
        self._waiting: list[Deferred[object]] = []
        self._cycle = _new_cycle(self)

    def start(self) -> None:
        """Act on hints from now on, and on those that have come before."""
        self.running = True
        self._cycle.start()
        if self._status.now.generation:
            self._cycle.hint()

    def stop(self) -> Deferred[object]:
        """Begin no further convergence; fires when the one under way has ended or has been cancelled."""
        self.running = False
        idle = self.idle()
        self._cycle.stop()
        return idle

    def hint(self) -> None:
        """Raise the generation. The hint is never lost: a convergence under way is followed by another one."""
        self._status.update(generation=self._status.now.generation + 1)
        self._cycle.hint()

    def idle(self) -> Deferred[object]:
        """Return a Deferred that fires when no convergence is under way, even if a failed one waits for its retry."""
        if self._work is None:
            return succeed(None)
        self._waiting.append(Deferred())
        return self._waiting[-1]

    def begin(self) -> None:
        """Begin to converge; the machine calls this."""
        if self._work is not None:  # it was cancelled and has not ended yet
            self._work.addBoth(lambda _: self.begin())
            return
        self._work = Deferred.fromCoroutine(self._run())
        self._work.addBoth(self._ended)

    def cancel(self) -> None:
        """Cancel the convergence under way; the machine calls this."""
        if self._work is not None:
            self._work.cancel()

    def rest(self, delay: float) -> None:
        """Let the next hint wait for a moment, and retry without one after the delay; the machine calls this."""
        self._timers.set("rest", min(delay, PATIENCE), self._cycle.rested)
        self._timers.set("retry", delay, self._retry)

    def _ended(self, result: object) -> None:
        self._work = None
        waiting, self._waiting = self._waiting, []
        for idle in waiting:
            idle.callback(None)

    async def _run(self) -> None:
        """Converge until the generation stands still, or a convergence fails."""
        while self.running:
            generation = self._status.now.generation
            try:
                settled = await self._converge()
            except CancelledError:
                return
            except Exception as error:  # noqa: BLE001 the boundary: whatever it is, the next convergence may do better
                if self.running:  # else it failed because it was cancelled
                    self._failed(error)
                return
            self._timers.cancel("retry")
            converged = generation if settled else self._status.now.converged
            self._status.update(converged=converged, failures=0, failure="", blocked=None)
            if generation == self._status.now.generation:
                self._cycle.current()
                return

    def _failed(self, error: Exception) -> None:
        again = described(error) == self._status.now.failure
        self._status.now = self._status.now.failed(error, self._clock.seconds())
        delay = self._backoff.delay(self._status.now.failures)
        self._cycle.failed(delay)
        self._event_log.failed(self._status.now, error, delay, again=again)


_builder = TypeMachineBuilder(ConvergenceCycle, Scheduler)
_stopped = _builder.state("stopped")
_idle = _builder.state("idle")
_converging = _builder.state("converging")
_resting = _builder.state("resting")
_due = _builder.state("due")


@_idle.upon(ConvergenceCycle.hint).to(_converging)
@_due.upon(ConvergenceCycle.rested).to(_converging)
def _begin(cycle: ConvergenceCycle, scheduler: Scheduler) -> None:
    scheduler.begin()


@_converging.upon(ConvergenceCycle.failed).to(_resting)
def _rest(cycle: ConvergenceCycle, scheduler: Scheduler, delay: float) -> None:
    scheduler.rest(delay)


@_converging.upon(ConvergenceCycle.stop).to(_stopped)
def _cancel(cycle: ConvergenceCycle, scheduler: Scheduler) -> None:
    scheduler.cancel()


_stopped.upon(ConvergenceCycle.start).to(_idle).returns(None)
_converging.upon(ConvergenceCycle.current).to(_idle).returns(None)
_resting.upon(ConvergenceCycle.hint).to(_due).returns(None)
_resting.upon(ConvergenceCycle.rested).to(_idle).returns(None)

for _state in (_idle, _resting, _due):
    _state.upon(ConvergenceCycle.stop).to(_stopped).returns(None)

# The generation has noted these hints, and a cancelled convergence may end late.
for _state in (_stopped, _converging, _due):
    _state.upon(ConvergenceCycle.hint).loop().returns(None)
_stopped.upon(ConvergenceCycle.stop).loop().returns(None)
_stopped.upon(ConvergenceCycle.current).loop().returns(None)
_stopped.upon(ConvergenceCycle.failed).loop().returns(None)

_new_cycle = _builder.build()
