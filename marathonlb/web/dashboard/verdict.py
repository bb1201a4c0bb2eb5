"""The state of the load balancer in two or three words, at the top of every page."""

from __future__ import annotations

from enum import Enum

from attrs import frozen

from marathonlb.controller.timeline import Entry, Kind
from marathonlb.web.api.health import ControllerReadiness, ReadinessKind, readiness
from marathonlb.web.context import WebContext


class VerdictKind(Enum):
    """Kinds of verdicts: the title, and the state that picks the colour and the icon."""

    UP_TO_DATE = ("Up to date", "good")
    CATCHING_UP = ("Catching up", "waiting")
    PINNED = ("Pinned", "waiting")
    TEMPLATE_REFUSED = ("Template refused", "waiting")
    NOT_UP_TO_DATE = ("Not up to date", "bad")
    NOT_READY = ("Not ready", "bad")


@frozen
class DashboardVerdict:
    """
    The verdict.

    :param reasons: sentences; none if everything is up to date.
    """

    kind: VerdictKind
    reasons: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        """Return two or three words."""
        return self.kind.value[0]

    @property
    def state(self) -> str:
        """Return ``good``, ``waiting`` or ``bad``."""
        return self.kind.value[1]


async def verdict_of(context: WebContext) -> DashboardVerdict:
    """Return whether HAProxy runs what Marathon wants."""
    ready, status = await readiness(context), context.reconciler.status
    if not ready.ok:
        return DashboardVerdict(VerdictKind.NOT_READY, tuple(map(str, ready.reasons)))
    if status.failures:
        return DashboardVerdict(VerdictKind.NOT_UP_TO_DATE, (status.failure,))
    if status.generation != status.converged:
        return DashboardVerdict(VerdictKind.CATCHING_UP, _pending(context.recorder.timeline.entries()))
    return _remarked(ready)


def _remarked(ready: ControllerReadiness) -> DashboardVerdict:
    kinds = {fact.kind for fact in ready.remarks}
    if ReadinessKind.PINNED in kinds:
        kind = VerdictKind.PINNED
    elif ReadinessKind.TEMPLATE_REPLACED in kinds:
        kind = VerdictKind.TEMPLATE_REFUSED
    else:
        kind = VerdictKind.UP_TO_DATE
    return DashboardVerdict(kind, tuple(map(str, ready.remarks)))


def _pending(entries: tuple[Entry, ...]) -> tuple[str, ...]:
    if entries and entries[-1].kind is Kind.WAITING:
        return (entries[-1].summary,)
    return ("a change is being applied",)
