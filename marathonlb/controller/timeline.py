"""
The last events of the controller, for the pages and for clients that follow along.

An `Entry` holds the causes of one convergence, the decision, the result and the time of each stage. Successive
convergences that change nothing, or that fail or wait for the same reason, share one entry with a count. So neither a
burst of events nor a night without Marathon pushes out the entries that matter.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from enum import Enum

import msgspec

LENGTH = 500
"""Maximum number of entries."""


class Kind(Enum):
    """The kinds of entries."""

    CONVERGED = "converged"
    UNCHANGED = "unchanged"
    FAILED = "failed"
    WAITING = "waiting"
    HELD = "held"
    PROBLEM = "problem"
    FIXED = "mended"
    DRIFT = "drift"
    ASKED = "asked"


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """
    One event.

    :param id: counts up from 1; 0 until the timeline has taken it.
    :param time: seconds since the epoch, when it began.
    :param summary: one sentence, without secrets.
    :param generation: the number of the last hint that this convergence answered.
    :param came: its causes, each with its count.
    :param apps: the first few of the apps that Marathon was asked about; none if it was asked about all.
    :param app_count: number of those apps; null if Marathon was asked about all.
    :param action: the action, a word of `marathonlb.haproxy.outcome.action_word`.
    :param reason: the reason of the action.
    :param seconds: how long each stage took.
    :param total_seconds: from its beginning to its end.
    :param event_to_traffic_seconds: from the first event that led to it to HAProxy's confirmation; null without one.
    :param count: number of equal entries in a row; the other fields are those of the last one.
    :param first_time: when the first of them began; null if there is only one.
    """

    time: float
    kind: Kind
    summary: str
    id: int = 0
    generation: int | None = None
    came: dict[str, int] = {}
    apps: tuple[str, ...] = ()
    app_count: int | None = None
    action: str = ""
    reason: str = ""
    seconds: dict[str, float] = {}
    total_seconds: float = 0.0
    event_to_traffic_seconds: float | None = None
    services: int | None = None
    servers: int | None = None
    count: int = 1
    first_time: float | None = None

    def repeats(self, other: Entry) -> bool:
        """Return whether this entry says the same as the one before it."""
        if self.kind is not other.kind or self.kind not in _REPEATED:
            return False
        return self.kind is Kind.UNCHANGED or self.summary == other.summary


_REPEATED = frozenset({Kind.UNCHANGED, Kind.FAILED, Kind.WAITING})

Follower = Callable[[Entry], object]


class EventTimeline:
    """
    A bounded ring of entries.

    :param length: maximum number of entries.
    """

    def __init__(self, length: int = LENGTH) -> None:
        self._entries: deque[Entry] = deque(maxlen=length)
        self._followers: list[Follower] = []
        self._last = 0

    def add(self, entry: Entry) -> Entry:
        """
        Add an entry and pass it to the followers. An entry that `repeats` the one before replaces it.

        :return: the entry with its id and count.
        """
        self._last += 1
        if self._entries and entry.repeats(self._entries[-1]):
            before = self._entries.pop()
            first = before.time if before.first_time is None else before.first_time
            entry = msgspec.structs.replace(entry, count=before.count + 1, first_time=first)
        taken = msgspec.structs.replace(entry, id=self._last)
        self._entries.append(taken)
        for follower in tuple(self._followers):
            follower(taken)
        return taken

    def entries(self, after: int = 0) -> tuple[Entry, ...]:
        """Return the entries with a greater id than this one, the oldest first."""
        return tuple(entry for entry in self._entries if entry.id > after)

    def follow(self, follower: Follower) -> Callable[[], None]:
        """
        Call the follower with each entry from now on.

        :return: a function that ends this.
        """
        self._followers.append(follower)
        return lambda: self._followers.remove(follower)
