"""
Evaluate readiness checks (Marathon ≥ 1.1): which tasks of a deployment may get traffic.

Marathon checks a new task until it is ready once, and only during the deployment step that started it. The results are
in ``readinessCheckResults`` of the app; with the next step, or the end of the deployment, they disappear. So a missing
result means "not ready" only while Marathon certainly checks:

* there are results for other tasks of this app, or
* a deployment runs and there still are tasks of an older configuration, which the new ones are to replace.

And only for tasks of the deployed version: during a scaling only the added tasks are checked, not the older ones.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

import msgspec

from marathonlb.marathon.model import Task
from marathonlb.marathon.parsing.schema import AppHead

_INSTANCE = re.compile(r"(.*)\.(?:marathon|instance)-([^.]+)(?:\.(?:_app|\$anon)(?:\.[0-9]+)?)?", re.DOTALL)


def judged(tasks: tuple[Task, ...], wire: AppHead) -> tuple[Task, ...]:
    """Return the tasks with `Task.ready` set from the app's readiness results."""
    if not wire.readiness_checks or (wire.deployments is not None and not wire.deployments):
        return tasks
    results: dict[str, bool] = {}
    for result in wire.readiness_check_results or ():
        if result.task_id and result.ready is not None:
            key = instance_of(result.task_id)
            results[key] = results.get(key, True) and result.ready
    checking = bool(results) or (bool(wire.deployments) and _being_replaced(tasks, wire))
    return tuple(_judged(task, results, wire.version if checking else None) for task in tasks)


def instance_of(task_id: str) -> str:
    """
    Return the common part of the ids of a task and its instance.

    Up to 1.3 results name the task, later ones sometimes the instance: ``web.marathon-1f`` has the task ``web.1f`` (to
    1.7), ``web.instance-1f`` the tasks ``web.instance-1f._app.1``, ``.2`` and so on (from 1.8).
    """
    match = _INSTANCE.fullmatch(task_id)
    return f"{match[1]}.{match[2]}" if match else task_id


def _being_replaced(tasks: Iterable[Task], wire: AppHead) -> bool:
    """Return whether a task older than the app's configuration runs (ISO 8601 in UTC orders as text)."""
    since = (wire.version_info and wire.version_info.last_config_change_at) or wire.version or ""
    return any(
        task.version and task.version < since and task.state in (None, "TASK_RUNNING") for task in tasks
    )


def _judged(task: Task, results: dict[str, bool], deployed: str | None) -> Task:
    ready = results.get(instance_of(task.id))
    if ready is None and deployed and task.version == deployed:
        ready = False
    return task if ready is None else msgspec.structs.replace(task, ready=ready)
