"""The status of the controller: how far it has converged, what failed, and what is blocked."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Struct

from marathonlb.errors import SourceError, described
from marathonlb.haproxy.outcome import Outcome

RED_AFTER = 3
"""Number of failed attempts in a row, failures of Marathon not counted, after which readiness is red."""


class BlockedConvergence(Struct, frozen=True, kw_only=True):
    """
    The reason why the planned configuration cannot be applied, though Marathon has answered.

    :param since: when the first of these attempts failed, in seconds on the reactor's clock.
    :param attempts: number of convergences in a row that have failed for such a reason.
    """

    reason: str
    since: float
    attempts: int = 1

    @property
    def red(self) -> bool:
        """Return whether readiness is red because of it."""
        return self.attempts >= RED_AFTER


class ConvergenceStatus(msgspec.Struct, frozen=True, kw_only=True):
    """
    The status at one moment. Times are seconds on the reactor's clock.

    :param generation: number of hints that have come.
    :param converged: the generation that HAProxy runs.
    :param last_full: when everything was last compared with Marathon; None before the first time.
    :param drift: number of changed apps that full comparisons have found and no hint had named.
    :param failures: number of convergences in a row that have failed.
    :param failure: why the last one failed; empty after a success.
    :param blocked: why the planned configuration cannot be applied; None while it can, and while Marathon has not
        answered since.
    """

    generation: int = 0
    converged: int = 0
    last_full: float | None = None
    last_reload: float | None = None
    last_outcome: Outcome | None = None
    reloads: int = 0
    drift: int = 0
    failures: int = 0
    failure: str = ""
    blocked: BlockedConvergence | None = None

    def failed(self, error: Exception, now: float) -> ConvergenceStatus:
        """Return the status after one more failed convergence; failures of Marathon block nothing."""
        blocked = self.blocked
        if not isinstance(error, SourceError):
            since = now if blocked is None else blocked.since
            attempts = 1 if blocked is None else blocked.attempts + 1
            blocked = BlockedConvergence(reason=described(error), since=since, attempts=attempts)
        return msgspec.structs.replace(
            self, failures=self.failures + 1, failure=described(error), blocked=blocked
        )


class CurrentStatus:
    """
    The status as it is now; the scheduler and the convergence write it.

    :ivar now: the present status.
    """

    def __init__(self) -> None:
        self.now = ConvergenceStatus()

    def update(self, **changes: Any) -> None:
        """Replace some of the present status's fields."""
        self.now = msgspec.structs.replace(self.now, **changes)
