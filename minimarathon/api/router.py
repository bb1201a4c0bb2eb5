"""The router of the API, and its endpoints for tasks, groups, deployments, the queue and info."""

from __future__ import annotations

import re
from typing import Any, Protocol

from attrs import define, field

from minimarathon.api.apps import AppApi, absolute_id, started
from minimarathon.api.calls import Call, Handler, Response, html_error, refusal
from minimarathon.definitions.shapes import app_json, deployment_json, group_json, task_json
from minimarathon.engine import Engine
from minimarathon.errors import Refused, malformed
from minimarathon.model import Task, iso


class Subscribers(Protocol):
    """The subscribers of HTTP callbacks (`minimarathon.api.callbacks`)."""

    def urls(self) -> list[str]:
        """Return the subscribers' addresses."""

    def add(self, url: str) -> None:
        """Add a subscriber; an existing one is kept."""

    def remove(self, url: str) -> None:
        """Remove a subscriber, if it exists."""


@define(eq=False)
class Api:
    """
    Routes calls to their handlers.

    :param leader: ``host:port`` of this Marathon; set when it listens.
    """

    engine: Engine
    subscribers: Subscribers
    leader: str = "127.0.0.1:8080"
    _routes: tuple[tuple[re.Pattern[str], dict[str, Handler]], ...] = field(init=False)

    def __attrs_post_init__(self) -> None:
        routes = (*AppApi(self.engine).routes(), *self.routes())
        self._routes = tuple((re.compile(pattern), methods) for pattern, methods in routes)

    def routes(self) -> tuple[tuple[str, dict[str, Handler]], ...]:
        """Return the patterns of paths, each with the handlers by HTTP method."""
        subscriptions: tuple[tuple[str, dict[str, Handler]], ...] = (
            (
                r"/v2/eventSubscriptions/*",
                {"GET": self.subscriptions, "POST": self.subscribe, "DELETE": self.unsubscribe},
            ),
        )
        return (
            (r"/v2/tasks/*", {"GET": self.tasks}),
            (r"/v2/tasks/delete/*", {"POST": self.kill}),
            (r"/v2/groups/*", {"GET": self.group}),
            (r"/v2/groups/+(.*)/+versions/*", {"GET": self.group_versions}),
            (r"/v2/groups/+(.+)", {"GET": self.group}),
            (r"/v2/deployments/*", {"GET": self.deployments}),
            (r"/v2/deployments/+([^/]+)/*", {"DELETE": self.cancel}),
            (r"/v2/queue/*", {"GET": self.queue}),
            (r"/v2/queue/+(.+)/+delay/*", {"DELETE": self.reset_delay}),
            (r"/v2/pods::status/*|/v2/pods/*", {"GET": lambda call: Response(body=[])}),
            (r"/v2/info/*", {"GET": self.info}),
            (r"/v2/leader/*", {"GET": lambda call: Response(body={"leader": self.leader})}),
            (
                r"/ping/*",
                {"GET": lambda call: Response(body="pong\n", content_type="text/plain;charset=utf-8")},
            ),
            *(subscriptions if self.engine.state.dialect.subscriptions else ()),
        )

    def respond(self, call: Call) -> Response:
        """Return the response to a call, refusals included."""
        for pattern, methods in self._routes:
            match = pattern.fullmatch(call.path)
            if match is None:
                continue
            handler = methods.get("GET" if call.method == "HEAD" else call.method)
            if handler is None:
                allowed = {"Allow": ", ".join(sorted(methods))}
                return html_error(405, "Method Not Allowed", "HTTP 405 Method Not Allowed", allowed)
            try:
                return handler(call, *match.groups())
            except Refused as refused:
                return refusal(refused)
        status = self.engine.state.dialect.unknown_path_status
        message = f"URI not found: {call.path}" if status == 404 else "URI not found"
        return Response(status=status, body={"message": message})

    # Tasks.

    def tasks(self, call: Call) -> Response:
        """Return the tasks of all deployed apps; ``status=running`` or ``staging`` selects by state."""
        state = self.engine.state
        statuses = {*call.args.get("status", ()), *call.args.get("status[]", ())}
        tasks = [task for app in state.apps() for task in state.tasks(app.id) if _has_status(task, statuses)]
        if "text/plain" in call.accept:
            return Response(body=_task_lines(tasks), content_type="text/plain;charset=utf-8")
        return Response(body={"tasks": [task_json(task, state.dialect) for task in tasks]})

    def kill(self, call: Call) -> Response:
        """Kill the tasks of ``{"ids": […]}`` (POST); unknown ids are ignored."""
        ids = call.mapping().get("ids")
        if not isinstance(ids, list) or not all(isinstance(task_id, str) for task_id in ids):
            raise malformed([{"path": "/ids", "errors": ["error.expected.jsarray"]}])
        state = self.engine.state
        tasks = [task for app in state.apps() for task in state.tasks(app.id) if task.id in set(ids)]
        deployment = self.engine.kill([task.id for task in tasks], call.flag("scale"), call.flag("force"))
        if deployment is not None:
            return started(deployment)
        return Response(body={"tasks": [task_json(task, state.dialect) for task in tasks]})

    # Groups, deployments, queue.

    def group(self, call: Call, path: str = "") -> Response:
        """Return a group with its apps and groups."""
        return Response(body=self._group(path))

    def group_versions(self, call: Call, path: str) -> Response:
        """Return the current version of a group; minimarathon keeps no history of groups."""
        return Response(body=[self._group(path)["version"]])

    def _group(self, path: str) -> dict[str, Any]:
        state, group_id = self.engine.state, absolute_id(path)
        body = group_json(group_id, state.apps(), state.version, state.dialect)
        if group_id != "/" and not body["apps"] and not body["groups"]:
            raise Refused(404, f"Group '{group_id}' does not exist")
        return body

    def deployments(self, call: Call) -> Response:
        """Return the deployments in progress."""
        return Response(
            body=[deployment_json(active.deployment) for active in self.engine.state.underway.values()]
        )

    def cancel(self, call: Call, deployment_id: str) -> Response:
        """Cancel a deployment (DELETE): roll it back, or with ``force`` leave it incomplete."""
        deployment = self.engine.cancel(deployment_id, call.flag("force"))
        return Response(status=202) if deployment is None else started(deployment)

    def queue(self, call: Call) -> Response:
        """Return the delayed launches: apps whose tasks failed, or that need a free port."""
        state = self.engine.state
        rows = []
        for app, record in state.delayed():
            left = max(0.0, record.not_before - state.now())
            rows.append(
                {
                    "app": app_json(app, state.dialect),
                    "count": record.waiting,
                    "delay": {"timeLeftSeconds": round(left), "overdue": left == 0},
                    "since": iso(state.now() if record.last_failure is None else record.last_failure.at),
                    "processedOffersSummary": {"processedOffersCount": 0, "unusedOffersCount": 0},
                }
            )
        return Response(body={"queue": rows})

    def reset_delay(self, call: Call, path: str) -> Response:
        """Launch a delayed app now (DELETE)."""
        self.engine.reset_delay(absolute_id(path))
        return Response(status=204)

    # Info.

    def info(self, call: Call) -> Response:
        """Return ``/v2/info``, with the settings that apply to minimarathon."""
        dialect = self.engine.state.dialect
        host, _, port = self.leader.rpartition(":")
        body: dict[str, Any] = {
            "name": "marathon",
            "version": dialect.release,
            "buildref": "minimarathon",
            "elected": True,
            "leader": self.leader,
            "frameworkId": "6d696e69-6d61-4172-b174-686f6e000000-0000",
            "marathon_config": {
                "master": "",
                "hostname": host,
                "ha": False,
                "checkpoint": False,
                "framework_name": "marathon",
                "local_port_min": 10000,
                "local_port_max": 20000,
                "leader_proxy_connection_timeout_ms": 5000,
                "leader_proxy_read_timeout_ms": 10000,
                "features": [],
            },
            "zookeeper_config": {},
            "http_config": {"http_port": int(port), "https_port": 8443},
        }
        if dialect.subscriptions:
            body["event_subscriber"] = {
                "type": "http_callback",
                "http_endpoints": self.subscribers.urls() or None,
            }
        return Response(body=body)

    # HTTP callbacks, until 1.4.

    def subscriptions(self, call: Call) -> Response:
        """Return the subscribers."""
        return Response(body={"callbackUrls": self.subscribers.urls()})

    def subscribe(self, call: Call) -> Response:
        """Add a subscriber (POST)."""
        url = self._callback_url(call)
        self.subscribers.add(url)
        return self._subscription("subscribe_event", call, url)

    def unsubscribe(self, call: Call) -> Response:
        """Remove a subscriber (DELETE)."""
        url = self._callback_url(call)
        self.subscribers.remove(url)
        return self._subscription("unsubscribe_event", call, url)

    def _callback_url(self, call: Call) -> str:
        url = call.arg("callbackUrl") or ""
        if not re.match(r"https?://[^/]+", url):
            raise Refused(
                422, "Object is not valid", {"details": [{"path": "/", "errors": [f"url not valid: {url}"]}]}
            )
        return url

    def _subscription(self, kind: str, call: Call, url: str) -> Response:
        fields = {"clientIp": call.client, "callbackUrl": url}
        event = self.engine.state.announce.event(kind, plan=None, **fields)
        self.engine.bus.publish([event])
        return Response(body={**fields, "eventType": kind, "timestamp": iso(event.at)})


def _has_status(task: Task, statuses: set[str]) -> bool:
    running = task.state == "TASK_RUNNING"
    return not statuses or ("running" if running else "staging") in statuses


def _task_lines(tasks: list[Task]) -> str:
    """Return the plain text format: one line per app and service port, with the addresses of the tasks."""
    rows: dict[tuple[str, str], list[str]] = {}
    for task in tasks:
        for service_port, port in zip(task.service_ports, task.ports, strict=False):
            key = (task.app_id.strip("/").replace("/", "_"), str(service_port))
            rows.setdefault(key, []).append(f"{task.host}:{port}")
    return "".join("\t".join((*key, *addresses)) + "\n" for key, addresses in rows.items())
