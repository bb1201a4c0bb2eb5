"""
The next step of a deployment, from what Marathon and the load balancers tell now: nothing is planned ahead.

So a step that was lost, a task that died and a deployment that another run has begun are all the same case. Both ways
are one: where there are more of the newer app's instances than the goal has, it is the way back.

*Forward*: with H healthy tasks of the newer app and a target of T, the load balancers drain the older app's down to
T - H. Of those the ones that are drained and idle everywhere are ended; then the newer app grows, each time to twice
its size.

*Back*: the older app gets its instances back and has to be healthy; then the newer app's tasks end by halves. The load
balancers drain what is told to end when Marathon says so, and give its share back to the older app.
"""

from __future__ import annotations

from attrs import frozen


@frozen
class Count:
    """
    One app in numbers and names.

    :param tasks: those that are not told to end.
    :param empty: not even a task that is about to end is left.
    """

    instances: int
    tasks: tuple[str, ...] = ()
    healthy: frozenset[str] = frozenset()
    empty: bool = False


@frozen
class Seen:
    """
    What there is.

    :param older: None where there is none, or none any more; the newer likewise.
    :param target: how many tasks of both shall serve.
    :param idle: the older app's tasks that every load balancer has drained and that hold nothing any more.
    :param busy: what holds those up that are drained; for people.
    :param behind: why the load balancers do not show yet what Marathon does; empty where they do.
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
    What to come to. An app that is to have no instance goes.

    :param well: on the way back, how many of the older app's tasks have to be healthy before one that serves is ended.
    """

    older: int
    newer: int
    well: int = 0


@frozen
class Scale:
    """Have so many instances of an app."""

    newer: bool
    instances: int


@frozen
class End:
    """End these tasks, and make their app smaller by them."""

    newer: bool
    tasks: tuple[str, ...]


@frozen
class Remove:
    """Take an app away; it has no task any more."""

    newer: bool


@frozen
class Wait:
    """Nothing can be done until something has changed."""

    why: str


@frozen
class Done:
    """This is the goal."""


Step = Scale | End | Remove | Wait | Done


def goes_back(newer: Count, goal: Goal) -> bool:
    """Whether the newer app has to become smaller, or to go."""
    return newer.instances > goal.newer or goal.newer == 0


def next_step(seen: Seen, goal: Goal) -> Step:
    """What to do now."""
    older, newer = seen.older, seen.newer
    if older is None:
        return _alone(newer, goal)
    if older.instances < goal.older:
        return Scale(newer=False, instances=goal.older)
    if newer is None:
        return Done()
    if goes_back(newer, goal):
        return _back(seen, older, newer, goal)
    return _forward(seen, older, newer, goal)


def _alone(newer: Count | None, goal: Goal) -> Step:
    """The newer app is the only one: the first deployment, or the end of one; then there is no way back."""
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


def _forward(seen: Seen, older: Count, newer: Count, goal: Goal) -> Step:
    if waiting := _growing(newer):
        return waiting
    left = max(goal.older, seen.target - len(newer.healthy))
    spare = len(older.tasks) - left
    if spare > 0 and newer.healthy:  # before the first one is healthy nothing is drained
        return _end_idle(seen, older, spare)
    if older.instances > left >= len(older.tasks):  # some never came to be tasks
        return Scale(newer=False, instances=left)
    if newer.instances < goal.newer:
        return Scale(newer=True, instances=min(goal.newer, max(1, 2 * newer.instances)))
    if goal.older == 0:
        return Remove(newer=False) if older.empty else Wait("the last old tasks are ending")
    return Done()


def _end_idle(seen: Seen, older: Count, spare: int) -> Step:
    if seen.behind:
        return Wait(seen.behind)
    ready = tuple(task for task in older.tasks if task in seen.idle)[:spare]
    if ready:
        return End(newer=False, tasks=ready)
    return Wait(f"{spare} of {len(older.tasks)} old tasks are to drain: {seen.busy}")


def _back(seen: Seen, older: Count, newer: Count, goal: Goal) -> Step:
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
    if seen.behind:
        return Wait(seen.behind)
    serving = sorted(newer.healthy)
    return End(newer=True, tasks=tuple(serving[: min(surplus, max(1, len(serving) // 2))]))
