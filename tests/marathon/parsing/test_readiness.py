"""A task that is not ready gets no traffic while a deployment waits for it."""

from __future__ import annotations

import json
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from marathonlb.marathon.parsing.apps import parse_app
from marathonlb.marathon.parsing.readiness import instance_of
from marathonlb.routing.services.build import services_of
from marathonlb.routing.services.servers import is_served
from marathonlb.settings import Settings

OLD, NEW, SCALED = "2026-01-01T00:00:00.000Z", "2026-01-02T00:00:00.000Z", "2026-01-03T00:00:00.000Z"
RUNNING: list[dict[str, Any]] = [{"id": "97c136bf"}]


def ready(
    tasks: dict[str, str],
    results: dict[str, bool] | list[tuple[str, bool]] | None = None,
    *,
    version: str = NEW,
    state: str = "TASK_RUNNING",
    **more: Any,
) -> dict[str, bool | None]:
    """What is known of each task, by id, where an app of this version has tasks of those."""
    told = results.items() if isinstance(results, dict) else results
    body = {
        "id": "/web",
        "version": version,
        "versionInfo": {"lastConfigChangeAt": min(version, NEW)},
        "readinessChecks": [{"name": "warm", "portName": "http"}],
        "deployments": RUNNING,
        "ports": [10000],
        "tasks": [
            {
                "id": i,
                "host": "10.0.0.1",
                "ports": [31000 + n],
                "state": state if v == OLD else "TASK_RUNNING",
                "version": v,
            }
            for n, (i, v) in enumerate(tasks.items())
        ],
        **(
            {}
            if told is None
            else {"readinessCheckResults": [{"taskId": i, "ready": r, "name": "warm"} for i, r in told]}
        ),
        **more,
    }
    (app,) = parse_app(json.dumps({"app": body}).encode()).apps
    served = {s.task_id for s in services_of(app, Settings(), frozenset(), str).services[0].servers}
    found = {task.id: task.ready for task in app.tasks}
    assert served == {task.id for task in app.tasks if is_served(task, need_health=False)}
    assert served == {task_id for task_id, is_ready in found.items() if is_ready is not False}
    return found


class Readiness(SynchronousTestCase):
    """Results that are present, and results that are missing."""

    def test_told(self) -> None:
        """A task is ready when all of its results are; one of the new version without a result is not."""
        self.assertEqual(
            ready({"a": NEW, "b": NEW, "c": NEW, "o": OLD}, [("a", True), ("b", True), ("b", False)]),
            {"a": True, "b": False, "c": False, "o": None},
        )

    def test_without_checks(self) -> None:
        """An app that declares no readiness checks is not held up by any result."""
        self.assertEqual(ready({"a": NEW}, {"a": False}, readinessChecks=[]), {"a": None})

    def test_without_deployment(self) -> None:
        """Outside of a deployment no task is checked, and all are served."""
        for results in (None, {}, {"a": False}):
            self.assertEqual(ready({"a": NEW, "b": OLD}, results, deployments=[]), {"a": None, "b": None})

    def test_old_marathon(self) -> None:
        """Where an answer does not say whether a deployment runs, results alone count."""
        self.assertEqual(ready({"a": NEW, "b": NEW}, {"a": True}, deployments=None), {"a": True, "b": False})
        self.assertEqual(ready({"a": NEW, "o": OLD}, None, deployments=None), {"a": None, "o": None})

    def test_before_the_first_result(self) -> None:
        """A new task waits from the start while there are older ones that it is to replace."""
        for results in (None, {}):
            self.assertEqual(ready({"a": NEW, "o": OLD}, results), {"a": False, "o": None})

    def test_another_step(self) -> None:
        """When a deployment has gone on to other apps the results are gone, and the tasks are served."""
        self.assertEqual(ready({"a": NEW, "b": NEW}, {}), {"a": None, "b": None})
        self.assertEqual(ready({"a": NEW, "o": OLD}, {}, state="TASK_UNREACHABLE"), {"a": None, "o": None})

    def test_scaling(self) -> None:
        """A scaling asks the tasks that it adds; those of the same configuration before it go on."""
        tasks = {"a": NEW, "b": SCALED, "c": SCALED}
        self.assertEqual(ready(tasks, {"b": True}, version=SCALED), {"a": None, "b": True, "c": False})
        self.assertEqual(ready(tasks, {}, version=SCALED), {"a": None, "b": None, "c": None})

    def test_instances(self) -> None:
        """A result may name the task or its instance, as versions of Marathon differ."""
        for task, result in (
            ("web.1f-2", "web.1f-2"),
            ("web.1f-2", "web.marathon-1f-2"),
            ("web.1f-2", "web.instance-1f-2"),
            ("web.instance-1f-2._app.1", "web.instance-1f-2"),
            ("web.instance-1f-2._app.12", "web.instance-1f-2._app.12"),
            ("web.instance-1f-2.$anon.3", "web.instance-1f-2.$anon.3"),
        ):
            self.assertEqual(ready({task: NEW, "x": NEW}, {result: False})[task], False, (task, result))
            self.assertEqual(ready({task: NEW, "x": NEW}, {result: True})[task], True, (task, result))

    def test_ids_apart(self) -> None:
        """Tasks of apps whose ids look like an instance's stay apart."""
        for one, other in (
            ("team.instance-web.1f", "team.instance-web.2f"),
            ("web.1f", "web.2f"),
            ("web.instance-1f._app.1", "web.instance-2f._app.1"),
        ):
            self.assertNotEqual(instance_of(one), instance_of(other))
