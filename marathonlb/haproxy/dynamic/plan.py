"""
Plan the runtime update from what HAProxy runs to what is wanted, and the reasons of a reload that does the rest. Pure.

Everything that the runtime API cannot do is left to a reload. What it can do is done before that reload, as long as no
request loses its way by it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from attrs import evolve, field, frozen

from marathonlb.config.text.diff import MAP, Difference, Fate
from marathonlb.config.text.model import Config, Section
from marathonlb.config.text.named_defaults import PREFIX
from marathonlb.config.text.server_lines import Backend
from marathonlb.haproxy.dynamic.backends import BackendCreation, unmentioned
from marathonlb.haproxy.dynamic.maps import Maps, holds_wanted
from marathonlb.haproxy.dynamic.servers import Impossible, RuntimeLimits, Step, Steps, plan_servers
from marathonlb.haproxy.dynamic.update import BackendChange, Comparison, UpdatePlan
from marathonlb.haproxy.dynamic.worker_state import WorkerState
from marathonlb.haproxy.reload_reason import ReasonKind, Reasons, ReloadReason, from_differences

MAX_STEPS = 10_000
"""Maximum number of steps of one update; of more a reload costs less."""


@frozen
class DifferenceKinds:
    """
    Differences by what the runtime API can do about them.

    :param changed: backends that run and are wanted, by name, each with both sections.
    :param new: backends that may be created.
    :param gone: backends that may be withdrawn.
    :param maps: maps whose entries differ.
    :param others: what only a reload does. The ``defaults`` from which backends are created need none: the worker
        keeps what it has read of them, and no section inherits from them.
    """

    changed: dict[str, tuple[Section, Section]] = field(factory=dict)
    new: list[Difference] = field(factory=list)
    gone: list[Difference] = field(factory=list)
    maps: list[Difference] = field(factory=list)
    others: list[Difference] = field(factory=list)

    @classmethod
    def of(cls, found: Iterable[Difference], limits: RuntimeLimits) -> DifferenceKinds:
        """Sort differences for a HAProxy of these limits."""
        self = cls()
        for difference in found:
            if difference.kind == "backend" and difference.old is not None and difference.new is not None:
                self.changed[difference.name] = (difference.old, difference.new)
            elif difference.kind == "backend" and limits.creates_backends:
                (self.gone if difference.new is None else self.new).append(difference)
            elif difference.kind == MAP and difference.fate is Fate.CHANGED:
                self.maps.append(difference)
            elif difference.kind != "defaults" or not difference.name.startswith(PREFIX):
                self.others.append(difference)
        return self


@frozen
class ServersPlan:
    """The changes of backends that run and are wanted; `obstacles` are the reasons why others take a reload."""

    steps: Steps
    backends: dict[str, BackendChange]
    obstacles: Reasons


def plan_update(
    config: Config, comparison: Comparison, worker: WorkerState, as_of: float | None = None
) -> UpdatePlan:
    """
    Plan the update of a worker.

    :param config: the configuration that is wanted, as it was rendered.
    :param as_of: when the state was asked for from which it was made, in seconds; servers that were drained early after
        that stay drained. None undoes what the configuration does not confirm.
    """
    kinds = DifferenceKinds.of(comparison.differences, worker.limits)
    servers = _plan_backends(_with_pending(kinds.changed, comparison, worker), worker, as_of)
    creation = worker.backends.plan_creation(kinds.new, worker.parsed.of, worker.inherited, worker.limits)
    steps = Steps((*creation.steps, *servers.steps.gains), servers.steps.losses)
    if len(steps) > MAX_STEPS:
        detail = f"{len(steps)} servers change at once"
        reason = ReloadReason(ReasonKind.TOO_MANY_CHANGES, detail=detail)
        return UpdatePlan(config, comparison, reasons=(reason,))
    plan = UpdatePlan(config, comparison, steps, servers.backends, creation.backends)
    return _with_maps(plan, kinds, creation, servers.obstacles, worker)


def _with_pending(
    changed: dict[str, tuple[Section, Section]], comparison: Comparison, worker: WorkerState
) -> dict[str, tuple[Section, Section]]:
    """Add the backends whose text stays, and in which the worker holds something else."""
    running, wanted = comparison.running, comparison.wanted
    for name in sorted(worker.pending - changed.keys()):
        old, new = worker.place(name, running), worker.place(name, wanted)
        if old is not None and new is not None:
            changed[name] = (running.sections[old], wanted.sections[new])
    return changed


def _plan_backends(
    changed: dict[str, tuple[Section, Section]], worker: WorkerState, as_of: float | None
) -> ServersPlan:
    gains, losses = list[Step](), list[Step]()
    backends: dict[str, BackendChange] = {}
    obstacles: list[ReloadReason] = []
    for name, (old, new) in changed.items():
        before = worker.parsed.of(old)
        held = worker.held(before)
        after = _with_drained(worker.parsed.of(new), worker, as_of)
        planned = plan_servers(before, held, after, worker.inherited, worker.limits)
        if isinstance(planned, Impossible):
            obstacles.append(planned.reason)
            continue
        gains += planned.gains
        losses += planned.losses
        backends[name] = BackendChange(old, new, held, after, worker.is_readable(after))
    return ServersPlan(Steps(tuple(gains), tuple(losses)), backends, tuple(obstacles))


def _with_drained(backend: Backend, worker: WorkerState, as_of: float | None) -> Backend:
    """Return the backend with the servers drained that were drained early since."""
    since = worker.drained_since(as_of)
    if not any((backend.name, name) in since for name in backend.servers):
        return backend
    servers = {
        name: evolve(server, weight=0) if (backend.name, name) in since else server
        for name, server in backend.servers.items()
    }
    return evolve(backend, servers=servers)


def _with_maps(
    plan: UpdatePlan,
    kinds: DifferenceKinds,
    creation: BackendCreation,
    obstacles: Reasons,
    worker: WorkerState,
) -> UpdatePlan:
    """
    Add the changes of maps, the backends that are withdrawn, and the reasons of a reload.

    :param obstacles: why the runtime API cannot change servers of some backends.
    """
    running, wanted = plan.comparison.running, plan.comparison.wanted
    others = [*kinds.others, *creation.others]
    gone = tuple(difference.name for difference in kinds.gone)
    if gone and (others or creation.reasons or obstacles or not unmentioned(gone, wanted)):
        others, gone = others + kinds.gone, ()
    maps: Maps = {difference.name: wanted.maps[difference.name] for difference in kinds.maps}
    left: list[Difference] = []
    if others or creation.reasons or obstacles:
        early = _leaves_alone_what_serves(others) and not obstacles
        maps = (
            worker.early_maps.of(maps, running.maps, lambda: worker.names, creation.backends) if early else {}
        )
        left = [difference for difference in kinds.maps if not holds_wanted(difference.name, maps, wanted)]
    reasons = (*from_differences([*others, *left]), *obstacles, *creation.reasons)
    may_wait = (
        worker.limits.creates_backends
        and _only_adds_ways([*others, *left])
        and not (obstacles or creation.reasons)
    )
    return evolve(plan, maps=maps, withdrawn=gone, reasons=reasons, may_wait=may_wait)


def _leaves_alone_what_serves(differences: Sequence[Difference]) -> bool:
    """
    Return whether a reload leaves alone all that serves now: sections come and go, and none changes.

    Then maps may name what is there already before it.
    """
    return all(
        difference.kind in ("frontend", "backend", "userlist") and difference.fate is not Fate.CHANGED
        for difference in differences
    )


def _only_adds_ways(differences: Sequence[Difference]) -> bool:
    """Return whether a reload only adds frontends, with the users that these ask for passwords."""
    return all(
        difference.kind in ("frontend", "userlist") and difference.fate is Fate.NEW
        for difference in differences
    )
