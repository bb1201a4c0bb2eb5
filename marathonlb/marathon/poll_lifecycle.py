"""
The states of the polling of one cluster, as a state machine. Pure: it decides, `ClusterPoller` acts.

::

               begin              give_up
      idle ───────────→ polling ───────────→ overdue
       ↑ ↑      ended    │ ↑ │      ended     │  │
       │ └───────────────┘ │ │      ┌─────────┘  │
       └───────────────────│─│──────┘            │
                     begin │ │ failed            │ failed
                           │ ↓                   │
                          pausing ←──────────────┘

- ``begin``: apps are to be asked for, and no request is under way.
- ``give_up``: the reconciler waits no longer for the answer; what comes later is announced.
- ``ended``: the requests were answered, cancelled, or ended by a defect.
- ``failed``: Marathon could not be asked. It is asked again after a pause that grows, or at the next hint, at the
  earliest `PATIENCE` seconds after the failure.
"""

from __future__ import annotations

from math import inf
from typing import Protocol

from attrs import define
from automat import TypeMachineBuilder

from marathonlb.timers import Backoff

PATIENCE = 1.0
"""Maximum number of seconds that a hint waits after a failure; without a hint the back-off decides."""


@define(kw_only=True)
class PollRecord:
    """
    The facts that outlive a state. Times are in the clock's seconds.

    :ivar failures: failures in a row.
    :ivar not_before: the earliest time of the next request after a failure.
    :ivar answered_as_of: when the request of the last answer was sent; minus infinity before the first answer.
    """

    backoff: Backoff
    failures: int = 0
    not_before: float = -inf
    answered_as_of: float = -inf


class PollLifecycle(Protocol):
    """The inputs of the machine."""

    def begin(self) -> bool:
        """Begin to ask; return False if requests are under way already."""

    def hinted(self, now: float) -> float | None:
        """
        Record a hint, at this time in seconds on the clock.

        :return: seconds until Marathon may be asked, 0 for now or already under way; None if waiting for an overdue
            answer makes no sense.
        """

    def give_up(self) -> None:
        """Wait no longer for an answer that is under way."""

    def answered(self, began: float) -> None:
        """Record an answer to a request that was sent at this time."""

    def ended(self) -> None:
        """Record that no request is under way any more."""

    def failed(self, now: float) -> float:
        """Record that Marathon could not be asked; return the seconds until the next attempt without a hint."""

    def under_way(self) -> bool:
        """Return whether a request is under way."""

    def overdue(self) -> bool:
        """Return whether a request is under way that the reconciler waits for no longer."""


_builder = TypeMachineBuilder(PollLifecycle, PollRecord)
_idle = _builder.state("idle")
_polling = _builder.state("polling")
_overdue = _builder.state("overdue")
_pausing = _builder.state("pausing")


@_pausing.upon(PollLifecycle.hinted).loop()
def _hinted(lifecycle: PollLifecycle, record: PollRecord, now: float) -> float | None:
    return max(0.0, record.not_before - now)


@_polling.upon(PollLifecycle.answered).loop()
@_overdue.upon(PollLifecycle.answered).loop()
def _answered(lifecycle: PollLifecycle, record: PollRecord, began: float) -> None:
    record.failures = 0
    record.answered_as_of = began


@_polling.upon(PollLifecycle.failed).to(_pausing)
@_overdue.upon(PollLifecycle.failed).to(_pausing)
def _failed(lifecycle: PollLifecycle, record: PollRecord, now: float) -> float:
    record.failures += 1
    delay = record.backoff.delay(record.failures)
    record.not_before = now + min(delay, PATIENCE)
    return delay


for _state in (_idle, _pausing):
    _state.upon(PollLifecycle.begin).to(_polling).returns(True)
    _state.upon(PollLifecycle.give_up).loop().returns(None)
    _state.upon(PollLifecycle.under_way).loop().returns(False)
    _state.upon(PollLifecycle.overdue).loop().returns(False)
for _state in (_polling, _overdue):
    _state.upon(PollLifecycle.begin).loop().returns(False)
    _state.upon(PollLifecycle.give_up).to(_overdue).returns(None)
    _state.upon(PollLifecycle.ended).to(_idle).returns(None)
    _state.upon(PollLifecycle.under_way).loop().returns(True)
_polling.upon(PollLifecycle.overdue).loop().returns(False)
_overdue.upon(PollLifecycle.overdue).loop().returns(True)
_idle.upon(PollLifecycle.hinted).loop().returns(0.0)
_polling.upon(PollLifecycle.hinted).loop().returns(0.0)
_overdue.upon(PollLifecycle.hinted).loop().returns(None)

new_poll_lifecycle = _builder.build()
"""Makes a machine in the state idle from a `PollRecord`."""
