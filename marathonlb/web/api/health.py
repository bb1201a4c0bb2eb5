"""
Whether the controller lives, and whether what it serves can be believed.
"""

from __future__ import annotations

import msgspec

from marathonlb.haproxy.outcome import Written
from marathonlb.web.context import Sight
from marathonlb.web.page import Answer, Asked, Page, Refusal, data

REFUSED = "a template of the operator's cannot be used"


class Health(msgspec.Struct, frozen=True):
    """
    An answer about health.

    :param reasons: why not, each in one sentence; none where all is well.
    :param remarks: what somebody should know though all may be well.
    """

    ok: bool
    reasons: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()


async def readiness(sight: Sight) -> Health:
    """Whether Marathon's word is recent and HAProxy runs what follows from it, with the reasons where not."""
    reasons = [*_marathon(sight), *_haproxy(sight)]
    settings = sight.settings
    if settings.manage_haproxy and not await sight.workers():
        reasons.append("HAProxy does not run, or its master does not answer")
    pin = sight.hold.pins.current()
    remarks = [f"configuration {pin.name} is pinned; changes wait for its release"] if pin is not None else []
    remarks += (f"{REFUSED}: {problem}" for problem in sight.planner.texts.overrides.replaced)
    return Health(ok=not reasons, reasons=tuple(reasons), remarks=tuple(remarks))


def _marathon(sight: Sight) -> list[str]:
    """Why Marathon's word cannot be relied on, for each cluster."""
    bound = sight.settings.max_staleness
    failure = sight.reconciler.status.failure
    reasons = []
    for cluster in sight.clusters:
        staleness = sight.staleness(cluster)
        said = cluster.gatherer.problem or failure or cluster.source.problem
        why = f": {said}" if said else ""
        if staleness is None:
            of = f" of the cluster {cluster.name}" if cluster.name else ""
            reasons.append(f"no Marathon{of} has told everything yet{why}")
        elif staleness > bound:
            whose = f"the cluster {cluster.name}" if cluster.name else "Marathon"
            reasons.append(
                f"{whose}'s last word is {staleness:.0f} s old, more than --max-staleness={bound:g}{why}"
            )
    return reasons


def _haproxy(sight: Sight) -> list[str]:
    status = sight.reconciler.status
    if sight.reconciler.planned is None:
        return [_before(sight)]
    reasons = []
    if not sight.applier.confirmed:
        reasons.append("HAProxy has not confirmed that it runs the configuration")
    for problem in sight.planner.texts.overrides.closed:
        reasons.append(f"{REFUSED}: {problem}")
    if isinstance(status.last_outcome, Written):
        reasons.append(f"no HAProxy runs with {sight.settings.haproxy_config}")
    blocked = status.blocked
    if blocked is not None and blocked.red:
        seconds = sight.now() - blocked.since
        attempts = "once" if blocked.attempts == 1 else f"{blocked.attempts} times in {seconds:.0f} s"
        reasons.append(f"what is wanted could not be applied, {attempts}: {blocked.reason}")
    return reasons


def _before(sight: Sight) -> str:
    """What HAProxy runs while the first configuration of this controller is not confirmed."""
    try:
        sight.published()
    except Refusal:
        failure = sight.reconciler.status.failure
        return "HAProxy has confirmed no configuration yet" + (f": {failure}" if failure else "")
    return "HAProxy runs what lay on the disk when the controller was started, and nothing newer yet"


class Live(Page):
    """200 as long as the controller answers."""

    summary = "Whether the controller lives"
    shape = Health

    async def answer(self, asked: Asked) -> Answer:
        """It does, or nobody would answer."""
        return data(Health(ok=True))


class Ready(Page):
    """200 or 503, with the reasons."""

    summary = "Whether Marathon's word is recent and HAProxy runs what follows from it"
    shape = Health
    statuses = ((503, "it is not, with the reasons"),)

    def __init__(self, sight: Sight) -> None:
        self._sight = sight

    async def answer(self, asked: Asked) -> Answer:
        """See `readiness`."""
        health = await readiness(self._sight)
        return data(health, 200 if health.ok else 503)
