"""
Plan the runtime update from what HAProxy runs to what is wanted, and the reasons of a reload that does the rest. Pure.

Everything that the runtime API cannot do is left to a reload. What it can do is done before that reload, as long as no
request loses its way by it.
"""

from __future__ import annotations

from marathonlb.config.text.model import Config
from marathonlb.haproxy.dynamic.difference_kinds import (
    DifferenceKinds,
    leaves_alone_what_serves,
    only_adds_ways,
)
from marathonlb.haproxy.dynamic.servers import Steps, plan_backends
from marathonlb.haproxy.dynamic.update import Comparison, UpdatePlan
from marathonlb.haproxy.dynamic.worker_state import WorkerState
from marathonlb.haproxy.reload_reason import ReasonKind, ReloadReason, from_differences

MAX_STEPS = 10_000
"""Maximum number of steps of one update; of more a reload costs less."""


def plan_next(config: Config, comparison: Comparison, worker: WorkerState, as_of: float | None) -> UpdatePlan:
    """
    Plan what is done next: read back what is unsure, else update.

    A HAProxy that was taken over is updated only where that does everything. See `plan_update`.
    """
    if worker.has_to_be_read:
        unsure, look = tuple(sorted(worker.unsure)), bool(worker.backends.unsure)
        return UpdatePlan(config, comparison, unsure=unsure, look_for_backends=look)
    plan = plan_update(config, comparison, worker, as_of)
    if comparison.adopted and plan.reasons:
        return UpdatePlan(config, comparison, reasons=comparison.explained(plan.reasons))
    return plan


def plan_update(
    config: Config, comparison: Comparison, worker: WorkerState, as_of: float | None = None
) -> UpdatePlan:
    """
    Plan the update of a worker.

    :param config: the configuration that is wanted, as it was rendered.
    :param as_of: when the state was asked for from which it was made, in seconds; servers that were drained early after
        that stay drained. None undoes what the configuration does not confirm.
    """
    limits, inherited = worker.limits, worker.inherited
    kinds = DifferenceKinds.of(comparison.differences, creates_backends=limits.creates_backends)
    servers = plan_backends(worker.changes(kinds.changed, comparison, as_of), inherited, limits)
    creation = worker.backends.plan_creation(kinds.new, worker.parsed.of, inherited, limits)
    steps = Steps((*creation.steps, *servers.steps.gains), servers.steps.losses)
    if len(steps) > MAX_STEPS:
        detail = f"{len(steps)} servers change at once"
        reason = ReloadReason(ReasonKind.TOO_MANY_CHANGES, detail=detail)
        return UpdatePlan(config, comparison, reasons=(reason,))

    others = [*kinds.others, *creation.others]
    obstacles = (*servers.obstacles, *creation.reasons)
    withdrawn = () if others or obstacles else kinds.withdrawable(comparison.wanted)
    if not withdrawn:
        others += kinds.gone
    maps, left = worker.maps.plan(
        kinds.maps,
        comparison.running.maps,
        comparison.wanted,
        everything=not (others or obstacles),
        early=leaves_alone_what_serves(others) and not servers.obstacles,
        running_backends=worker.place_of,
        created=creation.backends,
    )
    may_wait = limits.creates_backends and only_adds_ways([*others, *left]) and not obstacles
    return UpdatePlan(
        config,
        comparison,
        steps,
        servers.backends,
        creation.backends,
        maps,
        frozenset(difference.name for difference in left),
        withdrawn,
        reasons=(*from_differences([*others, *left]), *obstacles),
        may_wait=may_wait,
    )
