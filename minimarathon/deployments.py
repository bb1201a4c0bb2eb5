"""
How an app gets from the tasks it has to the tasks it should have: one pure step at a time.

Nobody plans a whole deployment ahead. Each time something changed, `plan` looks at the app and its tasks and says what
can be started and killed right now without leaving the bounds of the upgrade strategy. So a task that dies in the
middle of an upgrade, a second change on top of the first and a restart of what fell over are all the same case.
"""

from __future__ import annotations

import math
from collections.abc import Collection

from attrs import frozen

from minimarathon.model import App, Task


@frozen
class Move:
    """
    What can be done now.

    :param start: how many tasks of the app's present version to start.
    :param kill: ids of tasks to end.
    :param done: the app has exactly what it should have, and every task is ready.
    """

    start: int
    kill: tuple[str, ...]
    done: bool


def plan(app: App | None, tasks: Collection[Task]) -> Move:
    """
    Return the next move.

    At least ``ceil(instances × minimumHealthCapacity)`` tasks stay ready, and while tasks of an old version are there
    at most ``floor(instances × (1 + maximumOverCapacity))`` exist; where both bounds are the same number, one more may
    exist, else nothing could move (Marathon: ``TaskReplaceActor``).

    :param app: what is wanted; None ends everything.
    :param tasks: every task of the app that has not ended, those that are told to end among them.
    """
    live = [task for task in tasks if not task.killing]
    if app is None:
        return Move(0, tuple(task.id for task in live), not tasks)
    current = [task for task in live if task.version >= app.config_version]
    old = [task for task in live if task.version < app.config_version]
    upgrading = any(task.version < app.config_version for task in tasks)
    kill = _superfluous(app, current) + _replaceable(app, old, sum(task.ready for task in live))
    room = _most(app) if upgrading else app.instances
    start = max(0, min(app.instances - len(current), room - len(tasks)))
    ready = sum(task.ready for task in current)
    done = not upgrading and len(tasks) == app.instances == ready
    return Move(start, tuple(task.id for task in kill), done)


def _least(app: App) -> int:
    """How many tasks stay ready in an upgrade."""
    return math.ceil(app.instances * app.minimum_health)


def _most(app: App) -> int:
    """How many tasks may exist in an upgrade."""
    most = math.floor(app.instances * (1 + app.over_capacity))
    return most + 1 if most == _least(app) else most


def _superfluous(app: App, current: list[Task]) -> list[Task]:
    """Return the surplus tasks: those that are not ready first, then by the app's kill selection."""
    youngest_first = app.kill_selection == "YOUNGEST_FIRST"
    ordered = sorted(current, key=lambda task: task.staged_at, reverse=youngest_first)
    ordered.sort(key=lambda task: task.ready)
    return ordered[: max(0, len(current) - app.instances)]


def _replaceable(app: App, old: list[Task], ready: int) -> list[Task]:
    """Return the tasks of old versions that may end now: all that are not ready, and ready ones that can be spared."""
    spare = max(0, ready - _least(app))
    useless = [task for task in old if not task.ready]
    useful = sorted((task for task in old if task.ready), key=lambda task: task.staged_at)
    return useless + useful[:spare]
