"""
Limit how often HAProxy is reloaded: ``--min-reload-interval``, and twice the time that the last reload took.

A reload that only adds routes to running backends waits up to the same interval for other changes. Changes through the
runtime API never wait.
"""

from __future__ import annotations


class ReloadLimiter:
    """
    Keeps two reloads apart. Times are seconds on one clock.

    :param interval: minimum number of seconds between two reloads.
    """

    def __init__(self, interval: float) -> None:
        self._interval = interval
        self._none_before = 0.0
        self._gathers_since: float | None = None

    def may_reload(self, now: float) -> bool:
        """Return whether the last reload is long enough ago."""
        return now >= self._none_before

    def may_gather(self, now: float) -> bool:
        """Return whether a reload that only adds routes may still wait for others; the interval limits that wait."""
        return self._gathers_since is None or now < self._gathers_since + self._interval

    def postponed(self, now: float) -> float:
        """Record that a reload has to wait; return the seconds until it may happen."""
        if self._gathers_since is None:
            self._gathers_since = now
        until = self._none_before if self._none_before > now else self._gathers_since + self._interval
        return until - now

    def caught_up(self) -> None:
        """Record that no reload waits any more."""
        self._gathers_since = None

    def reloaded(self, now: float, took: float) -> None:
        """Record a reload, and the seconds that it took."""
        self._none_before = now + max(self._interval, 2 * took)
