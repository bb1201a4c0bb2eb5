"""
The states of a managed HAProxy, as a state machine. Pure: it decides, `ManagedHAProxy` acts.

::

      not supervised         supervised
                                                      failed
              ── supervise ─→          ───────────────────────→
      absent                  starting                           waiting
       │ ↑    ←── release ───   │ ↑    ←──────── retry ────────   │ ↑
       │ │                      │ │                               │ │
    found│ended              found│lost                        found│ended
       │ │lost                  │ │                               │ │
       ↓ │    ── supervise ─→   ↓ │                               ↓ │
       held                   serving ═══════════════════════ (serving)
              ←── release ───

- ``found``: HAProxy was started, or one that runs was adopted; its master answers. That happens in every state, since a
  reload starts HAProxy if none runs.
- ``ended``: the supervisor noticed that the process ended. HAProxy is started again after a pause that grows.
- ``lost``: the process is gone, and the caller adopts or starts HAProxy itself.
- ``failed``: adopting or starting in the background failed. It is tried again after a pause.
- ``release``: from ``waiting``, too; HAProxy keeps serving if it runs.
"""

from __future__ import annotations

from typing import Protocol

from attrs import define, field, frozen
from automat import TypeMachineBuilder

from marathonlb.haproxy.process.procfs import ProcessIdentity
from marathonlb.timers import Backoff

RESTART_DELAY, LONGEST_DELAY = 0.1, 5.0
"""Seconds before HAProxy is started again: doubled with each failure, from the first number up to the second."""

RETRY_DELAY = 1.0
"""Minimum number of seconds before a failed start or adoption is tried again."""

STABLE_AFTER = 10.0
"""Seconds after which the end of a HAProxy counts as the first failure, not as another one in a row."""


@frozen
class RunningHAProxy:
    """
    A HAProxy that was started or adopted.

    :param since: when, in seconds on the clock.
    """

    identity: ProcessIdentity
    since: float


@define
class HAProxyRecord:
    """
    The facts that outlive a state.

    :ivar running: the HAProxy of the states held and serving; None in the others.
    :ivar failures: the number of failed starts and early ends in a row.
    """

    running: RunningHAProxy | None = None
    failures: int = 0
    _backoff: Backoff = field(
        factory=lambda: Backoff(initial=RESTART_DELAY, longest=LONGEST_DELAY, jitter=lambda: 1.0)
    )

    def delay(self) -> float:
        """Return the seconds before the next start."""
        return self._backoff.delay(self.failures + 1)


class HAProxyLifecycle(Protocol):
    """The inputs of the machine."""

    def supervise(self) -> None:
        """Begin to supervise: HAProxy is to be adopted or started now."""

    def release(self) -> None:
        """End the supervision."""

    def retry(self) -> None:
        """End the pause: HAProxy is to be adopted or started now."""

    def found(self, running: RunningHAProxy) -> None:
        """Record a HAProxy that was started or adopted."""

    def lost(self) -> None:
        """Record that the process is gone; the caller adopts or starts HAProxy itself."""

    def ended(self, now: float) -> float | None:
        """
        Record that the process ended, at this time in seconds on the clock.

        :return: seconds after which HAProxy is to be started again; None if it is not supervised.
        """

    def failed(self) -> float | None:
        """
        Record that adopting or starting in the background failed.

        :return: seconds after which it is to be tried again; None if that is not needed.
        """


_builder = TypeMachineBuilder(HAProxyLifecycle, HAProxyRecord)
_absent = _builder.state("absent")
_held = _builder.state("held")
_starting = _builder.state("starting")
_waiting = _builder.state("waiting")
_serving = _builder.state("serving")


@_absent.upon(HAProxyLifecycle.found).to(_held)
@_held.upon(HAProxyLifecycle.found).loop()
@_starting.upon(HAProxyLifecycle.found).to(_serving)
@_waiting.upon(HAProxyLifecycle.found).to(_serving)
@_serving.upon(HAProxyLifecycle.found).loop()
def _found(lifecycle: HAProxyLifecycle, record: HAProxyRecord, running: RunningHAProxy) -> None:
    record.running = running


@_held.upon(HAProxyLifecycle.lost).to(_absent)
@_serving.upon(HAProxyLifecycle.lost).to(_starting)
def _lost(lifecycle: HAProxyLifecycle, record: HAProxyRecord) -> None:
    record.running = None


@_held.upon(HAProxyLifecycle.ended).to(_absent)
def _ended_unsupervised(lifecycle: HAProxyLifecycle, record: HAProxyRecord, now: float) -> float | None:
    record.running = None
    return None


@_serving.upon(HAProxyLifecycle.ended).to(_waiting)
def _ended(lifecycle: HAProxyLifecycle, record: HAProxyRecord, now: float) -> float | None:
    running, record.running = record.running, None
    if running is not None and now - running.since >= STABLE_AFTER:
        record.failures = 0
    delay = record.delay()
    record.failures += 1
    return delay


@_starting.upon(HAProxyLifecycle.failed).to(_waiting)
@_waiting.upon(HAProxyLifecycle.failed).loop()
def _failed(lifecycle: HAProxyLifecycle, record: HAProxyRecord) -> float | None:
    return max(record.delay(), RETRY_DELAY)


_absent.upon(HAProxyLifecycle.supervise).to(_starting).returns(None)
_held.upon(HAProxyLifecycle.supervise).to(_serving).returns(None)
_waiting.upon(HAProxyLifecycle.retry).to(_starting).returns(None)
_starting.upon(HAProxyLifecycle.release).to(_absent).returns(None)
_waiting.upon(HAProxyLifecycle.release).to(_absent).returns(None)
_serving.upon(HAProxyLifecycle.release).to(_held).returns(None)

# What comes late changes nothing: a timer, an attempt that a reload was faster than, the end of a process already lost.
for _state in (_absent, _held):
    _state.upon(HAProxyLifecycle.release).loop().returns(None)
for _state in (_absent, _held, _serving):
    _state.upon(HAProxyLifecycle.failed).loop().returns(None)
for _state in (_absent, _held, _starting, _serving):
    _state.upon(HAProxyLifecycle.retry).loop().returns(None)
for _state in (_absent, _starting, _waiting):
    _state.upon(HAProxyLifecycle.lost).loop().returns(None)
    _state.upon(HAProxyLifecycle.ended).loop().returns(None)

new_lifecycle = _builder.build()
"""Makes a machine in the state absent from a `HAProxyRecord`."""
