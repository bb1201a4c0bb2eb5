"""Is it up to date? The one thing that stands at the top of every page."""

from __future__ import annotations

from attrs import frozen

from marathonlb.controller.timeline import Entry, Kind
from marathonlb.web.api.health import readiness
from marathonlb.web.context import Sight


@frozen
class Verdict:
    """
    The answer.

    :param state: ``good``, ``waiting`` or ``bad``.
    :param title: in two or three words.
    :param reasons: why not; none where all is well.
    """

    state: str
    title: str
    reasons: tuple[str, ...] = ()


async def verdict_of(sight: Sight) -> Verdict:
    """Whether HAProxy runs what Marathon wants."""
    health, status = await readiness(sight), sight.reconciler.status
    if not health.ok:
        return Verdict("bad", "Not ready", health.reasons)
    if status.failures:
        return Verdict("bad", "Not up to date", (status.failure,))
    if status.generation != status.converged:
        return Verdict("waiting", "Catching up", _waiting(sight.recorder.timeline.entries()))
    if health.remarks:
        return Verdict("waiting", "Pinned", health.remarks)
    return Verdict("good", "Up to date")


def _waiting(entries: tuple[Entry, ...]) -> tuple[str, ...]:
    if entries and entries[-1].kind is Kind.WAITING:
        return (entries[-1].summary,)
    return ("a change has come and is being applied",)
