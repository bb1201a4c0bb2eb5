"""Marathon's events as values, with the fields of each version, and the bus that distributes them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import msgspec
from attrs import define, field, frozen

from minimarathon.definitions.shapes import AGENT, addresses, app_json, check_json, plan_json, step_json
from minimarathon.dialect import Dialect
from minimarathon.model import App, Deployment, HealthCheck, Task, iso

Listener = Callable[["Event"], None]


@frozen(eq=False)
class Event:
    """
    One event.

    :param kind: Marathon's ``eventType``.
    :param at: seconds since the epoch.
    :param plan: the deployment of a deployment event; encoded only if a client receives the event.
    """

    kind: str
    at: float
    fields: dict[str, Any]
    dialect: Dialect
    plan: Deployment | None = None
    _rendered: dict[bool, bytes] = field(factory=dict, init=False, repr=False)

    def json(self, light: bool = False) -> bytes:
        """
        Return the event as one line of JSON.

        :param light: omit the whole cluster from a deployment's plan.
        """
        if light not in self._rendered:
            plan = {} if self.plan is None else {"plan": plan_json(self.plan, self.dialect, light)}
            common = {"eventType": self.kind, "timestamp": iso(self.at)}
            self._rendered[light] = msgspec.json.encode({**plan, **self.fields, **common})
        return self._rendered[light]


@define
class Bus:
    """Passes each event to all listeners, in order; a listener must not raise."""

    _listeners: list[Listener] = field(factory=list)

    def listen(self, listener: Listener) -> Callable[[], None]:
        """
        Add a listener for all following events.

        :return: a function that removes it; calling it again has no effect.
        """
        self._listeners.append(listener)

        def stop() -> None:
            if listener in self._listeners:
                self._listeners.remove(listener)

        return stop

    def publish(self, events: Iterable[Event]) -> None:
        """Pass events to the listeners."""
        for event in events:
            for listener in tuple(self._listeners):
                listener(event)


@frozen
class Announcer:
    """
    Creates events.

    :param now: seconds since the epoch.
    """

    dialect: Dialect
    now: Callable[[], float]

    def event(self, kind: str, plan: Deployment | None = None, **fields: Any) -> Event:
        """Return an event with the current time."""
        return Event(kind, self.now(), fields, self.dialect, plan)

    def posted(self, app: App, client: str, uri: str) -> Event:
        """Announce that a client posted an app definition."""
        definition = app_json(app, self.dialect)
        return self.event("api_post_event", clientIp=client, uri=uri, appDefinition=definition)

    def status(self, task: Task, message: str = "") -> tuple[Event, ...]:
        """Announce a task's new state: the status update, and the change of the instance."""
        status_update = self.event(
            "status_update_event",
            slaveId=AGENT,
            taskId=task.id,
            taskStatus=task.state,
            message=message,
            appId=task.app_id,
            host=task.host,
            ipAddresses=addresses(task),
            ports=list(task.ports),
            version=task.version,
        )
        return (status_update, self.instance(task, task.state.removeprefix("TASK_").capitalize()))

    def instance(self, task: Task, condition: str) -> Event:
        """Announce an instance's new condition."""
        return self.event(
            "instance_changed_event",
            instanceId=task.instance_id,
            condition=condition,
            runSpecId=task.app_id,
            agentId=AGENT,
            host=task.host,
            runSpecVersion=task.version,
        )

    def checked(self, task: Task, check: HealthCheck, alive: bool) -> Event:
        """Announce that the result of one of Marathon's own checks changed."""
        return self.event(
            "health_status_changed_event",
            appId=task.app_id,
            instanceId=task.instance_id,
            version=task.version,
            alive=alive,
        )

    def healthy(self, task: Task) -> Event:
        """Announce that the health of a whole instance changed."""
        return self.event(
            "instance_health_changed_event",
            instanceId=task.instance_id,
            runSpecId=task.app_id,
            healthy=task.healthy,
            runSpecVersion=task.version,
        )

    def check_failed(self, task: Task, check: HealthCheck) -> Event:
        """Announce a failed check. From 1.5 on ``taskId`` holds the instance's id."""
        instance: dict[str, Any] = {"instanceId" if self.dialect.old_ports else "taskId": task.instance_id}
        return self.event(
            "failed_health_check_event", appId=task.app_id, **instance, healthCheck=check_json(check)
        )

    def unhealthy_kill(self, task: Task, reason: str) -> Event:
        """Announce that a task is killed because its health checks fail."""
        return self.event(
            "unhealthy_instance_kill_event",
            appId=task.app_id,
            taskId=task.id,
            instanceId=task.instance_id,
            version=task.version,
            reason=reason,
            host=task.host,
            slaveId=AGENT,
        )

    def step(self, kind: str, deployment: Deployment) -> Event:
        """Announce the current step of a deployment: ``deployment_info`` or ``deployment_step_success``."""
        index = deployment.step
        step = step_json(deployment, index) if index < len(deployment.steps) else {"actions": []}
        return self.event(kind, deployment, currentStep=step)

    def deployed(self, deployment: Deployment) -> Event:
        """Announce that a deployment is complete."""
        return self.event("deployment_success", deployment, id=deployment.id)

    def undeployed(self, deployment: Deployment, reason: str) -> Event:
        """Announce that a deployment was cancelled."""
        reasons: dict[str, Any] = {"reason": reason} if self.dialect.failure_reasons else {}
        return self.event("deployment_failed", deployment, id=deployment.id, **reasons)
