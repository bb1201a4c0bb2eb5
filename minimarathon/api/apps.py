"""The endpoints of ``/v2/apps``."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from attrs import evolve, frozen

from minimarathon.api.calls import Call, Handler, Response
from minimarathon.api.selectors import parse_selector
from minimarathon.definitions.parsing import absolute, parse, update
from minimarathon.definitions.shapes import app_json, failure_json, task_json
from minimarathon.engine import Engine
from minimarathon.errors import Refused, exists, malformed, unknown_task
from minimarathon.model import App, Deployment, Task

#: Optional prefixes of a value of ``embed``.
PREFIXES = ("group.apps.", "apps.", "app.", "")
#: The values of ``embed`` that Marathon's older value ``failures`` stands for.
FAILURES = frozenset(("tasks", "counts", "deployments", "lastTaskFailure"))


def embeds(call: Call) -> frozenset[str]:
    """Return the values of ``embed``, without their prefixes."""
    embedded: set[str] = set()
    for value in call.args.get("embed", ()):
        name = next(value[len(prefix) :] for prefix in PREFIXES if value.startswith(prefix))
        embedded |= FAILURES if name == "failures" else {name}
    return frozenset(embedded | ({"deployments"} if "tasks" in embedded else set()))


def started(deployment: Deployment, status: int = 200) -> Response:
    """Return the response to a call that started a deployment."""
    body = {"version": deployment.version, "deploymentId": deployment.id}
    return Response(status=status, body=body, headers={"Marathon-Deployment-Id": deployment.id})


def absolute_id(path: str) -> str:
    """Return the absolute id of the app or group in a request's path, which may have extra slashes."""
    return absolute("/" + path)


@frozen
class AppApi:
    """Handlers for apps; the router turns each `Refused` into a response."""

    engine: Engine

    def routes(self) -> tuple[tuple[str, dict[str, Handler]], ...]:
        """Return the patterns of paths, the most specific first, each with the handlers by HTTP method."""
        return (
            (
                r"/v2/apps/*",
                {"GET": self.list, "POST": self.create, "PUT": self.put_all, "PATCH": self.patch_all},
            ),
            (r"/v2/apps/+(.*)/+restart/*", {"POST": self.restart}),
            (r"/v2/apps/+(.*)/+versions/*", {"GET": self.versions}),
            (r"/v2/apps/+(.*)/+versions/+([^/]+)/*", {"GET": self.version}),
            (r"/v2/apps/+(.*)/+tasks/*", {"GET": self.tasks, "DELETE": self.kill_all}),
            (r"/v2/apps/+(.*)/+tasks/+([^/]+)/*", {"DELETE": self.kill_one}),
            (r"/v2/apps/+(.*?)/*\*", {"GET": self.group}),
            (
                r"/v2/apps/+(.+)",
                {
                    "GET": self.show,
                    "PUT": self.put,
                    "PATCH": self.patch,
                    "DELETE": self.delete,
                    "POST": self.put,
                },
            ),
        )

    # Reading.

    def shown(self, app: App, embed: frozenset[str]) -> dict[str, Any]:
        """Return an app's JSON with the embedded values."""
        state = self.engine.state
        body = app_json(app, state.dialect)
        tasks = state.tasks(app.id) if embed & {"tasks", "counts"} else ()
        if "counts" in embed:
            body |= _counts(tasks)
        if "deployments" in embed:
            body["deployments"] = [{"id": deployment.id} for deployment in state.deployments_of(app.id)]
        if "tasks" in embed:
            body["tasks"] = [task_json(task, state.dialect) for task in tasks]
        if "readiness" in embed:
            body["readinessCheckResults"] = []
        failure = state.records[app.id].last_failure
        if "lastTaskFailure" in embed and failure is not None:
            body["lastTaskFailure"] = failure_json(failure)
        return body

    def list(self, call: Call) -> Response:
        """Return the apps that match the filters."""
        embed = embeds(call) | {"counts", "deployments"}
        apps = self._filtered(call, self.engine.state.apps())
        return Response(body={"apps": [self.shown(app, embed) for app in apps]})

    def group(self, call: Call, group: str) -> Response:
        """Return the apps of a group: ``/v2/apps/group/*``."""
        prefix = absolute_id(group).rstrip("/") + "/"
        embed = embeds(call) | {"counts", "deployments"}
        apps = [app for app in self.engine.state.apps() if app.id.startswith(prefix)]
        return Response(body={"*": [self.shown(app, embed) for app in self._filtered(call, apps)]})

    def _filtered(self, call: Call, apps: Iterable[App]) -> Iterable[App]:
        app_id, command, labels = call.arg("id"), call.arg("cmd"), call.arg("label")
        if app_id:
            apps = [app for app in apps if app_id in app.id]
        if command:
            apps = [app for app in apps if app.cmd is not None and command in app.cmd]
        if labels:
            matches = parse_selector(labels)
            apps = [app for app in apps if matches(app.labels)]
        return apps

    def show(self, call: Call, path: str) -> Response:
        """Return one app with its tasks, counts, deployments and last failure."""
        app = self.engine.state.app(absolute_id(path))
        return Response(body={"app": self.shown(app, embeds(call) | FAILURES)})

    def versions(self, call: Call, path: str) -> Response:
        """Return an app's versions, the newest first."""
        return Response(
            body={"versions": [app.version for app in self.engine.state.versions(absolute_id(path))]}
        )

    def version(self, call: Call, path: str, version: str) -> Response:
        """Return an app as it was at a version."""
        return Response(body=app_json(self._at(absolute_id(path), version), self.engine.state.dialect))

    def _at(self, app_id: str, version: str) -> App:
        for app in self.engine.state.versions(app_id):
            if app.version == version:
                return app
        raise Refused(404, f"App '{app_id}' with version '{version}' does not exist")

    def tasks(self, call: Call, path: str) -> Response:
        """Return an app's tasks."""
        state = self.engine.state
        app = state.app(absolute_id(path))
        return Response(body={"tasks": [task_json(task, state.dialect) for task in state.tasks(app.id)]})

    # Changing.

    def create(self, call: Call) -> Response:
        """Create an app (POST)."""
        app = parse(call.mapping())
        record = self.engine.state.records.get(app.id)
        if record is not None and record.app is not None:
            raise exists(app.id)
        return self._created(call, {app.id: app}, app.id)

    def _created(self, call: Call, changes: dict[str, App | None], app_id: str) -> Response:
        deployment = self.engine.deploy(changes, call.flag("force"), posted=(call.client, call.path))
        shown = self.shown(self.engine.state.app(app_id), frozenset(("counts", "deployments", "tasks")))
        headers = {"Marathon-Deployment-Id": deployment.id, "Location": f"/v2/apps{app_id}"}
        return Response(status=201, body=shown, headers=headers)

    def put(self, call: Call, path: str) -> Response:
        """
        Create an app (201) or update an existing one (PUT).

        ``partialUpdate=false`` replaces the app; a body with only a ``version`` restores that version.
        """
        app_id, body = absolute_id(path), call.mapping()
        record = self.engine.state.records.get(app_id)
        if record is None or record.app is None:
            return self._created(call, {app_id: parse(body, app_id)}, app_id)
        whole = (call.arg("partialUpdate") or "true").lower() == "false"
        return self._change(call, {app_id: self._updated(app_id, body, whole)})

    def patch(self, call: Call, path: str) -> Response:
        """Update an existing app (PATCH)."""
        app_id = absolute_id(path)
        self.engine.state.app(app_id)
        return self._change(call, {app_id: self._updated(app_id, call.mapping(), False)})

    def put_all(self, call: Call) -> Response:
        """Create or update the apps of a list in one deployment (PUT)."""
        changes: dict[str, App | None] = {}
        for app_id, body in _by_id(call):
            record = self.engine.state.records.get(app_id)
            exists_already = record is not None and record.app is not None
            changes[app_id] = self._updated(app_id, body, False) if exists_already else parse(body, app_id)
        return self._change(call, changes)

    def patch_all(self, call: Call) -> Response:
        """Update the apps of a list (PATCH); an unknown app rejects the whole list."""
        return self._change(
            call, {app_id: self._updated(app_id, body, False) for app_id, body in _by_id(call)}
        )

    def _updated(self, app_id: str, body: dict[str, Any], whole: bool) -> App:
        app = self.engine.state.app(app_id)
        version = body.get("version")
        if isinstance(version, str) and body.keys() <= {"version", "id"}:
            earlier = self._at(app_id, version)
            return evolve(
                earlier,
                version=app.version,
                config_version=app.config_version,
                scaled_version=app.scaled_version,
            )
        return parse(body, app_id) if whole else update(app, body)

    def _change(self, call: Call, changes: dict[str, App | None]) -> Response:
        return started(self.engine.deploy(changes, call.flag("force"), posted=(call.client, call.path)))

    def delete(self, call: Call, path: str) -> Response:
        """Delete an app and its tasks (DELETE)."""
        app_id = absolute_id(path)
        self.engine.state.app(app_id)
        return started(self.engine.deploy({app_id: None}, call.flag("force")))

    def restart(self, call: Call, path: str) -> Response:
        """Restart an app: replace every task (POST)."""
        app = self.engine.state.app(absolute_id(path))
        return started(self.engine.deploy({app.id: app}, call.flag("force"), restart=True))

    def kill_all(self, call: Call, path: str) -> Response:
        """Kill an app's tasks (DELETE); a ``host`` limits this to the tasks on it."""
        state = self.engine.state
        app = state.app(absolute_id(path))
        host = call.arg("host")
        tasks = [task for task in state.tasks(app.id) if host in (None, "*", task.host)]
        deployment = self.engine.kill([task.id for task in tasks], call.flag("scale"), call.flag("force"))
        if deployment is not None:
            return started(deployment)
        return Response(body={"tasks": [task_json(task, state.dialect) for task in tasks]})

    def kill_one(self, call: Call, path: str, task_id: str) -> Response:
        """Kill one task (DELETE)."""
        state = self.engine.state
        app = state.app(absolute_id(path))
        task = state.task(task_id)
        if task.app_id != app.id:
            raise unknown_task(task_id)
        deployment = self.engine.kill([task_id], call.flag("scale"), call.flag("force"))
        return (
            Response(body={"task": task_json(task, state.dialect)})
            if deployment is None
            else started(deployment)
        )


def _by_id(call: Call) -> Iterable[tuple[str, dict[str, Any]]]:
    for index, body in enumerate(call.mappings()):
        if not isinstance(body.get("id"), str):
            raise malformed([{"path": f"({index})/id", "errors": ["error.expected.jsstring"]}])
        yield absolute(body["id"]), body


def _counts(tasks: Iterable[Task]) -> dict[str, int]:
    counts = {"tasksStaged": 0, "tasksRunning": 0, "tasksHealthy": 0, "tasksUnhealthy": 0}
    for task in tasks:
        counts["tasksStaged"] += task.state in ("TASK_STAGING", "TASK_STARTING")
        counts["tasksRunning"] += task.state == "TASK_RUNNING"
        counts["tasksHealthy"] += task.healthy is True
        counts["tasksUnhealthy"] += task.healthy is False
    return counts
