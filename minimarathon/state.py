"""
Marathon's state: apps, their versions, tasks and deployments. Each operation changes it and returns the events.

The state does no I/O and has no timers: `minimarathon.engine` has, and reports the results to it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping

from attrs import define, evolve, field

from minimarathon.definitions.changes import free_service_ports, versioned, with_service_ports
from minimarathon.deployments import plan
from minimarathon.dialect import Dialect
from minimarathon.errors import Refused, locked, unknown_app, unknown_task
from minimarathon.events import Announcer, Event
from minimarathon.model import Action, App, Deployment, Failure, Health, Task, iso

#: Seconds after which a task's failure does not count as a failed launch: the delay starts at the first one again.
STABLE_AFTER = 60.0


@define
class Record:
    """
    The state of one app id.

    :param app: the current definition; None while the tasks of a deleted app end.
    :param history: every version, oldest first.
    :param failures: consecutive failed launches.
    :param not_before: earliest time of the next launch, seconds since the epoch.
    :param waiting: number of tasks to launch then.
    """

    app: App | None = None
    history: list[App] = field(factory=list)
    tasks: dict[str, Task] = field(factory=dict)
    failures: int = 0
    not_before: float = 0
    waiting: int = 0
    last_failure: Failure | None = None


@define
class Underway:
    """An active deployment, and the apps that its current step waits for."""

    deployment: Deployment
    waits: set[str] = field(factory=set)


@define
class State:
    """
    The state of one Marathon.

    :param now: seconds since the epoch.
    :param new_id: returns a unique string in the format of ``uuid.uuid1``.
    """

    dialect: Dialect
    now: Callable[[], float]
    new_id: Callable[[], str]
    records: dict[str, Record] = field(factory=dict)
    underway: dict[str, Underway] = field(factory=dict)
    version: str = ""
    announce: Announcer = field(init=False)
    _apps_by_task: dict[str, str] = field(factory=dict)

    def __attrs_post_init__(self) -> None:
        self.announce = Announcer(self.dialect, self.now)
        self.version = iso(self.now())

    # Queries.

    def app(self, app_id: str) -> App:
        """Return the definition of an app; raises `Refused` (404) if it does not exist."""
        record = self.records.get(app_id)
        if record is None or record.app is None:
            raise unknown_app(app_id)
        return record.app

    def apps(self) -> tuple[App, ...]:
        """Return all deployed apps."""
        return tuple(record.app for record in self.records.values() if record.app is not None)

    def tasks(self, app_id: str) -> tuple[Task, ...]:
        """Return the tasks of an app that have not ended."""
        record = self.records.get(app_id)
        return () if record is None else tuple(record.tasks.values())

    def task(self, task_id: str) -> Task:
        """Return a task by its id; raises `Refused` (404) if it does not exist."""
        app_id = self._apps_by_task.get(task_id)
        if app_id is None:
            raise unknown_task(task_id)
        return self.records[app_id].tasks[task_id]

    def versions(self, app_id: str) -> list[App]:
        """Return all versions of an app, newest first."""
        self.app(app_id)
        return self.records[app_id].history[::-1]

    def deployments_of(self, app_id: str) -> list[Deployment]:
        """Return the deployments that lock an app."""
        return [active.deployment for active in self.underway.values() if app_id in active.deployment.apps]

    def delayed(self) -> Iterator[tuple[App, Record]]:
        """Return the apps with delayed launches."""
        for record in self.records.values():
            if record.app is not None and record.waiting:
                yield record.app, record

    # Changes of definitions.

    def deploy(
        self, changes: Mapping[str, App | None], force: bool = False, restart: bool = False
    ) -> tuple[Deployment, list[Event]]:
        """
        Set the definitions of apps and start a deployment; None deletes an app.

        :param force: cancel the deployments that lock them.
        :param restart: replace the tasks even if nothing differs.
        :raise Refused: 409 if a deployment locks one of them.
        """
        locking = [key for key, active in self.underway.items() if active.deployment.apps & changes.keys()]
        if locking and not force:
            raise locked(locking)
        events = [
            event for key in locking for event in self.cancel(key, "cancelled by a deployment with force")
        ]
        self.version = self._stamp()
        before = self.apps()
        starts: list[Action] = []
        rest: list[Action] = []
        ports = self._free_service_ports(changes)
        for app_id, app in changes.items():
            existed = app_id in self.records and self.records[app_id].app is not None
            kind = self._set_definition(app_id, app, restart, ports)
            if kind and app is not None and not existed:
                starts.append(Action(kind="StartApplication", app_id=app_id))
            if kind:
                rest.append(Action(kind=kind, app_id=app_id))
        steps = tuple(tuple(step) for step in (starts, rest) if step)
        deployment = Deployment(
            id=self.new_id(), version=self.version, steps=steps, before=before, after=self.apps()
        )
        self.underway[deployment.id] = Underway(deployment, set())
        events.append(self.announce.step("deployment_info", deployment))
        events.extend(self._group_changes(changes))
        return deployment, events

    def _stamp(self) -> str:
        """Return a version that is later than all previous ones."""
        stamp = iso(self.now())
        later = self.now()
        while stamp <= self.version:
            later += 0.001
            stamp = iso(later)
        return stamp

    def _group_changes(self, ids: Iterable[str]) -> Iterator[Event]:
        for group in dict.fromkeys(app_id.rpartition("/")[0] or "/" for app_id in ids):
            yield self.announce.event("group_change_success", groupId=group, version=self.version)

    def _free_service_ports(self, changes: Mapping[str, App | None]) -> Iterator[int]:
        """Return unused service ports, from 10000 upward."""
        used = {port for app in self.apps() for port in app.service_ports}
        used |= {port for app in changes.values() if app is not None for port in app.service_ports}
        return free_service_ports(used)

    def _set_definition(
        self, app_id: str, app: App | None, restart: bool, ports: Iterator[int]
    ) -> str | None:
        """Set the definition of one app; return the kind of action needed, None if nothing differs."""
        record = self.records.setdefault(app_id, Record())
        previous = record.app
        if app is None:
            record.app = None
            return "StopApplication"
        previous_ports = () if previous is None else previous.ports
        app = evolve(app, ports=with_service_ports(app.ports, previous_ports, ports))
        kind, app = versioned(previous, app, self.version, restart)
        if kind is None:
            return None
        if previous is None or app.config_version != previous.config_version:
            record.failures, record.not_before = 0, 0
        record.app = app
        record.history.append(app)
        return kind

    # Deployments.

    def cancel(self, deployment_id: str, reason: str) -> list[Event]:
        """Remove a deployment; the definitions that it set stay."""
        active = self.underway.pop(deployment_id, None)
        if active is None:
            raise Refused(404, f"DeploymentPlan {deployment_id} does not exist")
        return [self.announce.undeployed(active.deployment, reason)]

    def undo(self, deployment_id: str) -> dict[str, App | None]:
        """Return the changes that roll a deployment back."""
        if deployment_id not in self.underway:
            raise Refused(404, f"DeploymentPlan {deployment_id} does not exist")
        deployment = self.underway[deployment_id].deployment
        before = {app.id: app for app in deployment.before}
        return {app_id: before.get(app_id) for app_id in sorted(deployment.apps)}

    def begin(self, deployment_id: str) -> list[Event]:
        """
        Advance a deployment through every step that is complete.

        :return: the events; none if it still waits or has ended.
        """
        active = self.underway.get(deployment_id)
        events: list[Event] = []
        while active is not None and not active.waits:
            deployment = active.deployment
            if deployment.step < len(deployment.steps):
                active.waits = {action.app_id for action in deployment.steps[deployment.step]
                             if action.kind != "StartApplication" and not self._settled(action.app_id)}  # fmt: skip
            if active.waits:
                break
            events.extend(self._step_done(active))
            active = self.underway.get(deployment_id)
        return events

    def settle(self, app_id: str) -> list[Event]:
        """Advance the deployments that wait for an app, if the app has reached its target state."""
        events: list[Event] = []
        if not self._settled(app_id):
            return events
        for key, active in tuple(self.underway.items()):
            if app_id in active.waits:
                active.waits.discard(app_id)
                if not active.waits:
                    events.extend(self._step_done(active))
                    events.extend(self.begin(key))
        record = self.records.get(app_id)
        if record is not None and record.app is None and not record.tasks and not self.deployments_of(app_id):
            del self.records[app_id]
        return events

    def _settled(self, app_id: str) -> bool:
        record = self.records.get(app_id)
        return record is None or plan(record.app, record.tasks.values()).done

    def _step_done(self, active: Underway) -> Iterator[Event]:
        deployment = active.deployment
        if deployment.step < len(deployment.steps):
            yield self.announce.step("deployment_step_success", deployment)
            active.deployment = deployment = evolve(deployment, step=deployment.step + 1)
        if deployment.step < len(deployment.steps):
            yield self.announce.step("deployment_info", deployment)
            return
        del self.underway[deployment.id]
        yield self.announce.deployed(deployment)
        stopped = [a.app_id for step in deployment.steps for a in step if a.kind == "StopApplication"]
        for app_id in stopped:
            yield self.announce.event("app_terminated_event", appId=app_id)

    # Task state changes.

    def stage(self, app: App, host: str, address: str, ports: tuple[int, ...]) -> tuple[Task, list[Event]]:
        """Add a new task of an app, before it is started."""
        unique = self.new_id()
        name = app.id.strip("/").replace("/", "_")
        goals = self.dialect.goals
        task = Task(
            id=f"{name}.instance-{unique}._app.1" if goals else f"{name}.{unique}",
            instance_id=f"{name}.instance-{unique}" if goals else f"{name}.marathon-{unique}",
            app_id=app.id,
            version=app.version,
            host=host,
            address=address,
            ports=ports,
            service_ports=app.service_ports,
            state="TASK_STAGING" if self.dialect.old_ports else "TASK_STARTING",
            staged_at=self.now(),
            checks=app.health_checks,
            health=(None,) * len(app.health_checks),
        )
        conditions = ("Scheduled", "Provisioned") if goals else ("Created",)
        events = [self.announce.instance(task, condition) for condition in conditions]
        self._put(task)
        return task, [*events, *self.announce.status(task)]

    def running(self, task_id: str) -> list[Event]:
        """Note that a task's process has started; ignored if the task is being killed."""
        task = self.task(task_id)
        if task.killing:
            return []
        task = self._put(evolve(task, state="TASK_RUNNING", started_at=self.now()))
        return list(self.announce.status(task))

    def killing(self, task_id: str) -> list[Event]:
        """Note that a task is being killed."""
        task = self.task(task_id)
        if task.killing:
            return []
        return list(self.announce.status(self._put(evolve(task, state="TASK_KILLING"))))

    def ended(self, task_id: str, state: str, message: str) -> list[Event]:
        """
        Note that a task has ended.

        :param state: ``TASK_KILLED``, ``TASK_FAILED`` or ``TASK_FINISHED``; except after ``TASK_KILLED``, the next
            launch is delayed.
        """
        task = evolve(self.task(task_id), state=state)
        record = self.records[task.app_id]
        del record.tasks[task_id]
        del self._apps_by_task[task_id]
        if state != "TASK_KILLED":
            record.last_failure = Failure(task=task, state=state, message=message, at=self.now())
            self._delay(record, task)
        return list(self.announce.status(task, message))

    def checked(self, task_id: str, index: int, health: Health) -> list[Event]:
        """Note the result of a health check."""
        task = self.task(task_id)
        previous = task.health[index]
        check = task.checks[index]
        results = (*task.health[:index], health, *task.health[index + 1 :])
        changed = self._put(evolve(task, health=results))
        events = []
        if not health.alive and health.failures:
            events.append(self.announce.check_failed(changed, check))
        if (previous is None or previous.alive != health.alive) and not check.by_mesos:
            events.append(self.announce.checked(changed, check, health.alive))
        if changed.healthy is not task.healthy:
            events.append(self.announce.healthy(changed))
        return events

    def _put(self, task: Task) -> Task:
        self.records[task.app_id].tasks[task.id] = task
        self._apps_by_task[task.id] = task.app_id
        return task

    def _delay(self, record: Record, task: Task) -> None:
        app = record.app
        if app is None:
            return
        lifetime = self.now() - (task.started_at if task.started_at is not None else self.now())
        record.failures = 1 if lifetime >= STABLE_AFTER else record.failures + 1
        delay = min(app.max_delay, app.backoff * app.backoff_factor ** (record.failures - 1))
        record.not_before = self.now() + delay
