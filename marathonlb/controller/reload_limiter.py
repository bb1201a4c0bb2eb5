"""
When HAProxy may be reloaded: ``--min-reload-interval`` after the last time, and twice what that took.

A reload that only adds ways to what is served waits as long for others of its kind. Steps wait for neither.
"""

from __future__ import annotations


class ReloadLimiter:
    """
    Keeps two reloads apart. Times are seconds on one clock.

    :param interval: how long at least.
    """

    def __init__(self, interval: float) -> None:
        self._interval = interval
        self._none_before = 0.0
        self._gathers_since: float | None = None

    def may_reload(self, now: float) -> bool:
        """Whether the last one is long enough ago."""
        return now >= self._none_before

    def may_gather(self, now: float) -> bool:
        """Whether one that only adds ways to what is served may wait for others: the interval is its limit, too."""
        return self._gathers_since is None or now < self._gathers_since + self._interval

    def postponed(self, now: float) -> float:
        """One has to wait; seconds until it need not any more."""
        if self._gathers_since is None:
            self._gathers_since = now
        until = self._none_before if self._none_before > now else self._gathers_since + self._interval
        return until - now

    def caught_up(self) -> None:
        """Nothing waits any more."""
        self._gathers_since = None

    def reloaded(self, now: float, took: float) -> None:
        """There was one, which took so many seconds."""
        self._none_before = now + max(self._interval, 2 * took)
