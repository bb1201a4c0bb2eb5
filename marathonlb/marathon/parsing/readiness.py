"""
Readiness checks (Marathon ≥ 1.1): which tasks of a deployment may get traffic yet.

Marathon asks a new task until it is ready once, and only while the deployment step that started it runs. It tells the
results in ``readinessCheckResults`` of the app; with the next step, or the end of the deployment, they are gone. So a
result that is missing means "not ready" only while Marathon surely asks:

* there are results for other tasks of this app, or
* a deployment runs and tasks of an older configuration are still there, which the new ones are to replace.

And only for tasks of the very version that is deployed: a scaling asks the tasks that it adds, never those before them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

import msgspec

from marathonlb.marathon.model import Task
from marathonlb.marathon.parsing.schema import AppHead

_INSTANCE = re.compile(r"(.*)\.(?:marathon|instance)-([^.]+)(?:\.(?:_app|\$anon)(?:\.[0-9]+)?)?", re.DOTALL)


def judged(tasks: tuple[Task, ...], wire: AppHead) -> tuple[Task, ...]:
    """The tasks with what the app's readiness results say of them, in `Task.ready`."""
    if not wire.readiness_checks or (wire.deployments is not None and not wire.deployments):
        return tasks
    told: dict[str, bool] = {}
    for result in wire.readiness_check_results or ():
        if result.task_id and result.ready is not None:
            key = instance_of(result.task_id)
            told[key] = told.get(key, True) and result.ready
    asking = bool(told) or (bool(wire.deployments) and _being_replaced(tasks, wire))
    return tuple(_judged(task, told, wire.version if asking else None) for task in tasks)


def instance_of(task_id: str) -> str:
    """
    What a task's and its instance's id have in common.

    Up to 1.3 results name the task, later ones perhaps the instance: ``web.marathon-1f`` has the task ``web.1f`` (to
    1.7), ``web.instance-1f`` the tasks ``web.instance-1f._app.1``, ``.2`` and so on (from 1.8).
    """
    found = _INSTANCE.fullmatch(task_id)
    return f"{found[1]}.{found[2]}" if found else task_id


def _being_replaced(tasks: Iterable[Task], wire: AppHead) -> bool:
    """Whether a task runs that is older than the app's configuration (ISO 8601 in UTC orders as text)."""
    since = (wire.version_info and wire.version_info.last_config_change_at) or wire.version or ""
    return any(
        task.version and task.version < since and task.state in (None, "TASK_RUNNING") for task in tasks
    )


def _judged(task: Task, told: dict[str, bool], deployed: str | None) -> Task:
    ready = told.get(instance_of(task.id))
    if ready is None and deployed and task.version == deployed:
        ready = False
    return task if ready is None else msgspec.structs.replace(task, ready=ready)
