"""
The causes of a convergence, as facts. Pure.

Each request for a convergence names a `Cause`. A sentence about causes is made where a person reads it, in
`marathonlb.controller.sentences`.
"""

from __future__ import annotations

from enum import Enum

from attrs import frozen


class CauseKind(Enum):
    """
    The kinds of causes. A comment names what `Cause.name` holds; without one the name is empty.

    The values are stable.
    """

    # Marathon's events
    EVENT = "event"  # the event's type, one of `marathonlb.marathon.events.hints.EVENT_TYPES`
    OTHER_EVENT = "other event"
    UNREADABLE_EVENT = "unreadable event"
    OVERSIZED_EVENT = "oversized event"
    LOST_EVENT = "lost event"

    # full comparisons
    POLL = "poll"
    RESYNC = "resync"
    NO_EVENTS_YET = "no events yet"
    STREAM_ATTACHED = "stream attached"
    CALLBACK_REGISTERED = "callback registered"
    SECOND_OPINION = "second opinion"

    # from outside
    SIGNAL = "signal"  # SIGHUP or SIGUSR1, as a signal or over HTTP
    PINNED = "pinned"  # the configuration's name
    RELEASED = "released"  # the configuration's name
    PIN_FAILED = "pin failed"

    # something other than Marathon's state has changed
    CLUSTER_ANSWER = "cluster answer"  # the cluster's name; empty for the cluster without one
    ADDRESS = "address"  # the host whose address has changed
    CERTIFICATES = "certificates"
    CERTIFICATE = "certificate"  # the path of the file that has changed

    # the controller's own timers
    RETRY = "retry"
    QUARANTINE = "quarantine"
    READINESS = "readiness"
    TEMPLATE = "template"
    SEARCH = "search"
    POSTPONED_RELOAD = "postponed reload"


@frozen(cache_hash=True)
class Cause:
    """
    A reason for a convergence.

    :param name: the thing that it is about, as `CauseKind` says.
    """

    kind: CauseKind
    name: str = ""
