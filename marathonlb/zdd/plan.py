"""
The next step of a deployment, from the current state of Marathon and the load balancers: nothing is planned ahead.

So a step that was lost, a task that died and a deployment that another run has begun are the same case. Both
directions are one plan: if the newer app has more instances than the goal, the way is back.

*Forward*: with H healthy tasks of the newer app and a target of T, the load balancers drain the older app's tasks down
to T - H. Of these, the tasks that are drained and idle in every load balancer are ended. Then the newer app grows, each
time to twice its size.

*Back*: the older app gets its instances back and has to be healthy. Then the newer app's tasks are ended by halves. The
load balancers drain a task when Marathon ends it, and give its share back to the older app.
"""

from __future__ import annotations

from attrs import frozen


@frozen
class Count:
    """
    The state of one app.

    :param instances: the number of instances in its definition.
    :param tasks: the ids of its tasks, without those that are ending.
    :param healthy: the ids of its healthy tasks.
    :param empty: True if it has no task, not even one that is ending.
    """

    instances: int
    tasks: tuple[str, ...] = ()
    healthy: frozenset[str] = frozenset()
    empty: bool = False


@frozen
class PairState:
    """
    The state of a pair of apps.

    :param older: None if it does not exist, or does not exist any more.
    :param newer: the same of the newer app.
    :param target: the number of tasks of both that should serve.
    :param idle: the older app's tasks that every load balancer has drained and that have no sessions left.
    :param busy: why other drained tasks are not idle, as a phrase.
    :param behind: why the load balancers do not show Marathon's state yet, as a phrase; empty if they do.
    """

    older: Count | None
    newer: Count | None
    target: int = 0
    idle: frozenset[str] = frozenset()
    busy: str = ""
    behind: str = ""


@frozen
class Goal:
    """
    The instances at the end of a deployment; an app without any is removed.

    :param older: the older app's instances.
    :param newer: the newer app's instances.
    :param well: on the way back, the number of the older app's tasks that have to be healthy before a task that serves
        is ended.
    """

    older: int
    newer: int
    well: int = 0


@frozen
class Scale:
    """Scale an app to this number of instances."""

    newer: bool
    instances: int


@frozen
class End:
    """End these tasks and scale their app down by them."""

    newer: bool
    tasks: tuple[str, ...]


@frozen
class Remove:
    """Remove an app, which has no task any more."""

    newer: bool


@frozen
class Wait:
    """Wait for a change."""

    reason: str


@frozen
class Done:
    """The goal is reached."""


Step = Scale | End | Remove | Wait | Done


def goes_back(newer: Count, goal: Goal) -> bool:
    """Return whether the newer app has to be scaled down or removed."""
    return newer.instances > goal.newer or goal.newer == 0


def next_step(state: PairState, goal: Goal) -> Step:
    """Return the next step."""
    older, newer = state.older, state.newer
    if older is None:
        return _alone(newer, goal)
    if older.instances < goal.older:
        return Scale(newer=False, instances=goal.older)
    if newer is None:
        return Done()
    if goes_back(newer, goal):
        return _back(state, older, newer, goal)
    return _forward(state, older, newer, goal)


def _alone(newer: Count | None, goal: Goal) -> Step:
    """Return the next step with the newer app alone: in a first deployment, or at the end of one."""
    if newer is None or goal.older:
        return Done()
    if goal.newer == 0:
        return Remove(newer=True)
    if newer.instances < goal.newer:
        return Scale(newer=True, instances=goal.newer)
    return _growing(newer) or Done()


def _growing(newer: Count) -> Wait | None:
    if len(newer.healthy) < newer.instances:
        return Wait(f"{len(newer.healthy)} of {newer.instances} new tasks are healthy")
    return None


def _forward(state: PairState, older: Count, newer: Count, goal: Goal) -> Step:
    if waiting := _growing(newer):
        return waiting
    left = max(goal.older, state.target - len(newer.healthy))
    spare = len(older.tasks) - left
    if spare > 0 and newer.healthy:  # nothing is drained before the first new task is healthy
        return _end_idle(state, older, spare)
    if older.instances > left >= len(older.tasks):  # some instances never became tasks
        return Scale(newer=False, instances=left)
    if newer.instances < goal.newer:
        return Scale(newer=True, instances=min(goal.newer, max(1, 2 * newer.instances)))
    if goal.older == 0:
        return Remove(newer=False) if older.empty else Wait("the last old tasks are ending")
    return Done()


def _end_idle(state: PairState, older: Count, spare: int) -> Step:
    if state.behind:
        return Wait(state.behind)
    ready = tuple(task for task in older.tasks if task in state.idle)[:spare]
    if ready:
        return End(newer=False, tasks=ready)
    return Wait(f"{spare} of {len(older.tasks)} old tasks are to drain: {state.busy}")


def _back(state: PairState, older: Count, newer: Count, goal: Goal) -> Step:
    well = min(goal.well, goal.older)
    if len(older.healthy) < well:
        return Wait(f"{len(older.healthy)} of {well} old tasks are healthy")
    surplus = newer.instances - goal.newer
    if len(newer.tasks) <= goal.newer:
        if goal.newer:
            return Scale(newer=True, instances=goal.newer)
        return Remove(newer=True) if newer.empty else Wait("the last new tasks are ending")
    sick = tuple(task for task in newer.tasks if task not in newer.healthy)[:surplus]
    if sick:
        return End(newer=True, tasks=sick)
    if state.behind:
        return Wait(state.behind)
    serving = sorted(newer.healthy)
    return End(newer=True, tasks=tuple(serving[: min(surplus, max(1, len(serving) // 2))]))
