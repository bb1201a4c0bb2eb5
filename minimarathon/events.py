"""Marathon's events as values, in the fields that each version gives them, and the bus that hands them on."""

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
    One thing that happened.

    :param kind: Marathon's ``eventType``.
    :param at: seconds since the epoch.
    :param plan: the deployment, for events that show one: its JSON is made only where somebody reads it.
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

        :param light: leave the whole cluster out of a deployment's plan.
        """
        if light not in self._rendered:
            shown = {} if self.plan is None else {"plan": plan_json(self.plan, self.dialect, light)}
            ends = {"eventType": self.kind, "timestamp": iso(self.at)}
            self._rendered[light] = msgspec.json.encode({**shown, **self.fields, **ends})
        return self._rendered[light]


@define
class Bus:
    """Hands each event to whoever listens, in order; a listener must not raise."""

    _listeners: list[Listener] = field(factory=list)

    def listen(self, listener: Listener) -> Callable[[], None]:
        """
        Hear every event from now on.

        :return: what ends it; calling it again does nothing.
        """
        self._listeners.append(listener)

        def stop() -> None:
            if listener in self._listeners:
                self._listeners.remove(listener)

        return stop

    def publish(self, events: Iterable[Event]) -> None:
        """Tell everybody."""
        for event in events:
            for listener in tuple(self._listeners):
                listener(event)


@frozen
class Announcer:
    """
    Makes events.

    :param now: seconds since the epoch.
    """

    dialect: Dialect
    now: Callable[[], float]

    def event(self, kind: str, plan: Deployment | None = None, **fields: Any) -> Event:
        """Return an event with the present time."""
        return Event(kind, self.now(), fields, self.dialect, plan)

    def posted(self, app: App, client: str, uri: str) -> Event:
        """Somebody gave an app a definition."""
        definition = app_json(app, self.dialect)
        return self.event("api_post_event", clientIp=client, uri=uri, appDefinition=definition)

    def status(self, task: Task, message: str = "") -> tuple[Event, ...]:
        """Announce a task's new state: Mesos's event about it, and Marathon's about the instance."""
        update = self.event(
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
        return (update, self.instance(task, task.state.removeprefix("TASK_").capitalize()))

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
        """One of Marathon's own checks changed its mind."""
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
        named: dict[str, Any] = {"instanceId" if self.dialect.old_ports else "taskId": task.instance_id}
        return self.event(
            "failed_health_check_event", appId=task.app_id, **named, healthCheck=check_json(check)
        )

    def unhealthy_kill(self, task: Task, reason: str) -> Event:
        """Announce that a task is killed because its checks fail."""
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
        """``deployment_info``, ``deployment_step_success``: the step that is under way."""
        index = deployment.step
        now = step_json(deployment, index) if index < len(deployment.steps) else {"actions": []}
        return self.event(kind, deployment, currentStep=now)

    def deployed(self, deployment: Deployment) -> Event:
        """Announce that a deployment is done."""
        return self.event("deployment_success", deployment, id=deployment.id)

    def undeployed(self, deployment: Deployment, reason: str) -> Event:
        """Announce that a deployment was cancelled."""
        named: dict[str, Any] = {"reason": reason} if self.dialect.failure_reasons else {}
        return self.event("deployment_failed", deployment, id=deployment.id, **named)
