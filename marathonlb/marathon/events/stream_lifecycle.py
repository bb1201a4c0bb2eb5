"""
The states of the event stream, as a state machine. Pure: it decides, `marathonlb.marathon.events.stream` acts.

::

                 connect                opened              attached
        waiting ─────────→ connecting ─────────→ opened ──────────────→ attached
           ↑                   │                  │  │                    │  │
           │      ended        │       ended      │  │ silent      silent │  │
           ├←──────────────────┴←─────────────────┘  └───→ stalled ←──────┘  │
           │                        ended                     │              │
           ├←─────────────────────────────────────────────────┘              │
           │                        ended                                    │
           └←────────────────────────────────────────────────────────────────┘

- ``connect``: the pause since the last stream is over, and ``/v2/events`` of the next Marathon is requested.
- ``opened``: the head of the response is here. Marathon sends every event from the first one on.
- ``attached``: the first event came, or none within `ATTACH_GRACE`. Everything is compared once, since Marathon does
  not replay the events from before.
- ``silent``: no byte came for the stall timeout; the stream is cancelled.
- ``ended``: Marathon ended the stream, it could not be opened, broke off, or was cancelled.
"""

from __future__ import annotations

from typing import Protocol

from attrs import define
from automat import TypeMachineBuilder

ATTACH_GRACE = 1.0
"""Seconds after the response's head until the stream counts as attached though no event has come."""

STABLE_AFTER = 5.0
"""Seconds after which a byte resets the back-off; Marathon sends a heartbeat every 10 seconds."""


@define
class StreamRecord:
    """
    The facts that outlive a state.

    :ivar opened_at: when the last stream was opened, in seconds on the clock.
    """

    opened_at: float = 0.0


class StreamLifecycle(Protocol):
    """The inputs of the machine."""

    def connect(self) -> None:
        """Begin to connect."""

    def opened(self, now: float) -> None:
        """Record the response's head, at this time in seconds on the clock."""

    def received(self, now: float) -> bool:
        """Record bytes; return whether they prove that the stream works, so that the back-off is reset."""

    def attached(self) -> bool:
        """Record an event, or the end of the grace; return whether everything is to be compared now."""

    def silent(self) -> bool:
        """Record that the stall timeout passed without a byte; return whether the stream is to be cancelled."""

    def ended(self) -> bool:
        """Record that the stream ended; return whether it was cancelled because it was silent."""


_builder = TypeMachineBuilder(StreamLifecycle, StreamRecord)
_waiting = _builder.state("waiting")
_connecting = _builder.state("connecting")
_opened = _builder.state("opened")
_attached = _builder.state("attached")
_stalled = _builder.state("stalled")


@_connecting.upon(StreamLifecycle.opened).to(_opened)
def _open(lifecycle: StreamLifecycle, record: StreamRecord, now: float) -> None:
    record.opened_at = now


@_opened.upon(StreamLifecycle.received).loop()
@_attached.upon(StreamLifecycle.received).loop()
def _received(lifecycle: StreamLifecycle, record: StreamRecord, now: float) -> bool:
    return now - record.opened_at >= STABLE_AFTER


_waiting.upon(StreamLifecycle.connect).to(_connecting).returns(None)
_opened.upon(StreamLifecycle.attached).to(_attached).returns(True)
_attached.upon(StreamLifecycle.attached).loop().returns(False)
_opened.upon(StreamLifecycle.silent).to(_stalled).returns(True)
_attached.upon(StreamLifecycle.silent).to(_stalled).returns(True)
_stalled.upon(StreamLifecycle.ended).to(_waiting).returns(True)
_stalled.upon(StreamLifecycle.received).loop().returns(False)  # bytes that were on their way already
_stalled.upon(StreamLifecycle.attached).loop().returns(False)
for _state in (_connecting, _opened, _attached):
    _state.upon(StreamLifecycle.ended).to(_waiting).returns(False)

new_stream_lifecycle = _builder.build()
"""Makes a machine in the state waiting from a `StreamRecord`."""
