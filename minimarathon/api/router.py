"""The API but for apps: tasks, groups, deployments, queue, info; and the way from a path to what answers it."""

from __future__ import annotations

import re
from typing import Any, Protocol

from attrs import define, field

from minimarathon.api.apps import AppApi, absolute_id, started
from minimarathon.api.calls import Answer, Call, Handler, html_error, refusal
from minimarathon.definitions.shapes import app_json, deployment_json, group_json, task_json
from minimarathon.engine import Engine
from minimarathon.errors import Refused, malformed
from minimarathon.model import Task, iso


class Subscribers(Protocol):
    """The subscribers of HTTP callbacks (`minimarathon.api.callbacks`)."""

    def urls(self) -> list[str]:
        """Return the subscribers' addresses."""

    def add(self, url: str) -> None:
        """One more; one that is there stays."""

    def remove(self, url: str) -> None:
        """One less, if it is there."""


@define(eq=False)
class Api:
    """
    Answers calls.

    :param leader: ``host:port`` of this Marathon; known when it listens.
    """

    engine: Engine
    subscribers: Subscribers
    leader: str = "127.0.0.1:8080"
    _routes: tuple[tuple[re.Pattern[str], dict[str, Handler]], ...] = field(init=False)

    def __attrs_post_init__(self) -> None:
        routes = (*AppApi(self.engine).routes(), *self.routes())
        self._routes = tuple((re.compile(pattern), methods) for pattern, methods in routes)

    def routes(self) -> tuple[tuple[str, dict[str, Handler]], ...]:
        """Patterns of paths and what answers each method."""
        old: tuple[tuple[str, dict[str, Handler]], ...] = (
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
            (r"/v2/pods::status/*|/v2/pods/*", {"GET": lambda call: Answer(body=[])}),
            (r"/v2/info/*", {"GET": self.info}),
            (r"/v2/leader/*", {"GET": lambda call: Answer(body={"leader": self.leader})}),
            (
                r"/ping/*",
                {"GET": lambda call: Answer(body="pong\n", content_type="text/plain;charset=utf-8")},
            ),
            *(old if self.engine.state.dialect.subscriptions else ()),
        )

    def answer(self, call: Call) -> Answer:
        """Return the response to a call, refusals included."""
        for pattern, methods in self._routes:
            found = pattern.fullmatch(call.path)
            if found is None:
                continue
            handler = methods.get("GET" if call.method == "HEAD" else call.method)
            if handler is None:
                allowed = {"Allow": ", ".join(sorted(methods))}
                return html_error(405, "Method Not Allowed", "HTTP 405 Method Not Allowed", allowed)
            try:
                return handler(call, *found.groups())
            except Refused as refused:
                return refusal(refused)
        status = self.engine.state.dialect.unknown_path_status
        message = f"URI not found: {call.path}" if status == 404 else "URI not found"
        return Answer(status=status, body={"message": message})

    # Tasks.

    def tasks(self, call: Call) -> Answer:
        """Every task of an app that is wanted; ``status=running`` or ``staging`` picks some."""
        state = self.engine.state
        wanted = {*call.args.get("status", ()), *call.args.get("status[]", ())}
        tasks = [task for app in state.apps() for task in state.tasks(app.id) if _has_status(task, wanted)]
        if "text/plain" in call.accept:
            return Answer(body=_task_lines(tasks), content_type="text/plain;charset=utf-8")
        return Answer(body={"tasks": [task_json(task, state.dialect) for task in tasks]})

    def kill(self, call: Call) -> Answer:
        """POST of ``{"ids": […]}``: end these tasks; unknown ones are passed over."""
        ids = call.mapping().get("ids")
        if not isinstance(ids, list) or not all(isinstance(one, str) for one in ids):
            raise malformed([{"path": "/ids", "errors": ["error.expected.jsarray"]}])
        state = self.engine.state
        there = [task for app in state.apps() for task in state.tasks(app.id) if task.id in set(ids)]
        deployment = self.engine.kill([task.id for task in there], call.flag("scale"), call.flag("force"))
        if deployment is not None:
            return started(deployment)
        return Answer(body={"tasks": [task_json(task, state.dialect) for task in there]})

    # Groups, deployments, queue.

    def group(self, call: Call, path: str = "") -> Answer:
        """Return a group with everything in it."""
        return Answer(body=self._group(path))

    def group_versions(self, call: Call, path: str) -> Answer:
        """Return the present version of a group: groups keep no history here."""
        return Answer(body=[self._group(path)["version"]])

    def _group(self, path: str) -> dict[str, Any]:
        state, group_id = self.engine.state, absolute_id(path)
        body = group_json(group_id, state.apps(), state.version, state.dialect)
        if group_id != "/" and not body["apps"] and not body["groups"]:
            raise Refused(404, f"Group '{group_id}' does not exist")
        return body

    def deployments(self, call: Call) -> Answer:
        """Return the deployments in progress."""
        return Answer(body=[deployment_json(one.deployment) for one in self.engine.state.underway.values()])

    def cancel(self, call: Call, deployment_id: str) -> Answer:
        """DELETE: take a deployment back, or with ``force`` leave it half done."""
        deployment = self.engine.cancel(deployment_id, call.flag("force"))
        return Answer(status=202) if deployment is None else started(deployment)

    def queue(self, call: Call) -> Answer:
        """Return the launches that wait, after failures or for a port."""
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
        return Answer(body={"queue": rows})

    def reset_delay(self, call: Call, path: str) -> Answer:
        """DELETE: launch now."""
        self.engine.reset_delay(absolute_id(path))
        return Answer(status=204)

    # Who we are.

    def info(self, call: Call) -> Answer:
        """``/v2/info``, with the few settings that mean anything here."""
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
        return Answer(body=body)

    # HTTP callbacks, until 1.4.

    def subscriptions(self, call: Call) -> Answer:
        """Return the subscribers."""
        return Answer(body={"callbackUrls": self.subscribers.urls()})

    def subscribe(self, call: Call) -> Answer:
        """Call one more back."""
        url = self._callback_url(call)
        self.subscribers.add(url)
        return self._subscription("subscribe_event", call, url)

    def unsubscribe(self, call: Call) -> Answer:
        """Call one back no more."""
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

    def _subscription(self, kind: str, call: Call, url: str) -> Answer:
        fields = {"clientIp": call.client, "callbackUrl": url}
        event = self.engine.state.announce.event(kind, plan=None, **fields)
        self.engine.bus.publish([event])
        return Answer(body={**fields, "eventType": kind, "timestamp": iso(event.at)})


def _has_status(task: Task, wanted: set[str]) -> bool:
    running = task.state == "TASK_RUNNING"
    return not wanted or (running and "running" in wanted) or (not running and "staging" in wanted)


def _task_lines(tasks: list[Task]) -> str:
    """Return the old text format: one line per app and service port, with the addresses of its tasks."""
    rows: dict[tuple[str, str], list[str]] = {}
    for task in tasks:
        for service_port, port in zip(task.service_ports, task.ports, strict=False):
            key = (task.app_id.strip("/").replace("/", "_"), str(service_port))
            rows.setdefault(key, []).append(f"{task.host}:{port}")
    return "".join("\t".join((*key, *places)) + "\n" for key, places in rows.items())
