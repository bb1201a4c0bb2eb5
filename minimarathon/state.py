"""
What Marathon knows: apps, their versions, tasks, deployments. Operations change it and return what happened, as events.

Nothing here waits, starts or asks: `minimarathon.engine` does, and tells this what came of it.
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

#: A task that lived this long, in seconds, did not fail at its start: the next delay is the first one again.
LIVED = 60.0


@define
class Record:
    """
    Everything about one app id.

    :param app: what is wanted; None while the tasks of a deleted app end.
    :param history: every version, oldest first.
    :param failures: launches that failed in a row.
    :param not_before: when the next launch may be, seconds since the epoch.
    :param waiting: tasks that wait for it.
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
    """A deployment, and the apps that its present step still waits for."""

    deployment: Deployment
    waits: set[str] = field(factory=set)


@define
class State:
    """
    The state of one Marathon.

    :param now: seconds since the epoch.
    :param new_id: makes a unique text, as ``uuid.uuid1`` writes it.
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

    # The present state.

    def app(self, app_id: str) -> App:
        """Return the app as it is wanted; raises `Refused` (404) where there is none."""
        record = self.records.get(app_id)
        if record is None or record.app is None:
            raise unknown_app(app_id)
        return record.app

    def apps(self) -> tuple[App, ...]:
        """Every app that is wanted."""
        return tuple(record.app for record in self.records.values() if record.app is not None)

    def tasks(self, app_id: str) -> tuple[Task, ...]:
        """Return the tasks of an app that have not ended."""
        record = self.records.get(app_id)
        return () if record is None else tuple(record.tasks.values())

    def task(self, task_id: str) -> Task:
        """One task, by its own id or its instance's; `Refused` (404) where there is none."""
        app_id = self._apps_by_task.get(task_id)
        if app_id is None:
            raise unknown_task(task_id)
        return self.records[app_id].tasks[task_id]

    def versions(self, app_id: str) -> list[App]:
        """Every version of an app, the newest first."""
        self.app(app_id)
        return self.records[app_id].history[::-1]

    def deployments_of(self, app_id: str) -> list[Deployment]:
        """Return the deployments that hold an app."""
        return [one.deployment for one in self.underway.values() if app_id in one.deployment.apps]

    def delayed(self) -> Iterator[tuple[App, Record]]:
        """Return the apps with tasks that wait to be launched."""
        for record in self.records.values():
            if record.app is not None and record.waiting:
                yield record.app, record

    # Changes of what is wanted.

    def deploy(
        self, changes: Mapping[str, App | None], force: bool = False, restart: bool = False
    ) -> tuple[Deployment, list[Event]]:
        """
        Want these apps as they are given; None takes an app away.

        :param force: cancel the deployments that hold them.
        :param restart: replace the tasks though nothing differs.
        :raise Refused: 409 where a deployment holds one of them.
        """
        holders = [key for key, one in self.underway.items() if one.deployment.apps & changes.keys()]
        if holders and not force:
            raise locked(holders)
        events = [
            event for key in holders for event in self.cancel(key, "cancelled by a deployment with force")
        ]
        self.version = self._stamp()
        before = self.apps()
        starts: list[Action] = []
        rest: list[Action] = []
        ports = self._free_service_ports(changes)
        for app_id, app in changes.items():
            had = app_id in self.records and self.records[app_id].app is not None
            kind = self._want(app_id, app, restart, ports)
            if kind and app is not None and not had:
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
        """Return a version that is later than every one before."""
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
        """Service ports nobody has, from 10000 upward."""
        used = {port for app in self.apps() for port in app.service_ports}
        used |= {port for app in changes.values() if app is not None for port in app.service_ports}
        return free_service_ports(used)

    def _want(self, app_id: str, app: App | None, restart: bool, ports: Iterator[int]) -> str | None:
        """Write down what is wanted of one id; the action that it takes, None where nothing differs."""
        record = self.records.setdefault(app_id, Record())
        had = record.app
        if app is None:
            record.app = None
            return "StopApplication"
        app = evolve(app, ports=with_service_ports(app.ports, () if had is None else had.ports, ports))
        kind, app = versioned(had, app, self.version, restart)
        if kind is None:
            return None
        if had is None or app.config_version != had.config_version:
            record.failures, record.not_before = 0, 0
        record.app = app
        record.history.append(app)
        return kind

    # Deployments.

    def cancel(self, deployment_id: str, reason: str) -> list[Event]:
        """Forget a deployment; what it wanted stays wanted."""
        one = self.underway.pop(deployment_id, None)
        if one is None:
            raise Refused(404, f"DeploymentPlan {deployment_id} does not exist")
        return [self.announce.undeployed(one.deployment, reason)]

    def undo(self, deployment_id: str) -> dict[str, App | None]:
        """Return the changes that would roll a deployment back."""
        if deployment_id not in self.underway:
            raise Refused(404, f"DeploymentPlan {deployment_id} does not exist")
        deployment = self.underway[deployment_id].deployment
        before = {app.id: app for app in deployment.before}
        return {app_id: before.get(app_id) for app_id in sorted(deployment.apps)}

    def begin(self, deployment_id: str) -> list[Event]:
        """
        Go on with a deployment: through every step that waits for nothing.

        :return: what happened; nothing where it still waits or is over.
        """
        one = self.underway.get(deployment_id)
        events: list[Event] = []
        while one is not None and not one.waits:
            deployment = one.deployment
            if deployment.step < len(deployment.steps):
                one.waits = {action.app_id for action in deployment.steps[deployment.step]
                             if action.kind != "StartApplication" and not self._settled(action.app_id)}  # fmt: skip
            if one.waits:
                break
            events.extend(self._step_done(one))
            one = self.underway.get(deployment_id)
        return events

    def settle(self, app_id: str) -> list[Event]:
        """Go on with the deployments that waited for an app, which may have come to rest."""
        events: list[Event] = []
        if not self._settled(app_id):
            return events
        for key, one in tuple(self.underway.items()):
            if app_id in one.waits:
                one.waits.discard(app_id)
                if not one.waits:
                    events.extend(self._step_done(one))
                    events.extend(self.begin(key))
        record = self.records.get(app_id)
        if record is not None and record.app is None and not record.tasks and not self.deployments_of(app_id):
            del self.records[app_id]
        return events

    def _settled(self, app_id: str) -> bool:
        record = self.records.get(app_id)
        return record is None or plan(record.app, record.tasks.values()).done

    def _step_done(self, one: Underway) -> Iterator[Event]:
        deployment = one.deployment
        if deployment.step < len(deployment.steps):
            yield self.announce.step("deployment_step_success", deployment)
            one.deployment = deployment = evolve(deployment, step=deployment.step + 1)
        if deployment.step < len(deployment.steps):
            yield self.announce.step("deployment_info", deployment)
            return
        del self.underway[deployment.id]
        yield self.announce.deployed(deployment)
        stopped = [a.app_id for step in deployment.steps for a in step if a.kind == "StopApplication"]
        for app_id in stopped:
            yield self.announce.event("app_terminated_event", appId=app_id)

    # Tasks as they start and end.

    def stage(self, app: App, host: str, address: str, ports: tuple[int, ...]) -> tuple[Task, list[Event]]:
        """Add a new task of an app, which is about to be started."""
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
        """Note that a task's process has started; nothing where it is already being killed."""
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

        :param state: ``TASK_KILLED``, ``TASK_FAILED`` or ``TASK_FINISHED``; what was not killed delays the next launch.
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
        """One of a task's checks has a result."""
        task = self.task(task_id)
        had = task.health[index]
        check = task.checks[index]
        results = (*task.health[:index], health, *task.health[index + 1 :])
        fresh = self._put(evolve(task, health=results))
        events = []
        if not health.alive and health.failures:
            events.append(self.announce.check_failed(fresh, check))
        if (had is None or had.alive != health.alive) and not check.by_mesos:
            events.append(self.announce.checked(fresh, check, health.alive))
        if fresh.healthy is not task.healthy:
            events.append(self.announce.healthy(fresh))
        return events

    def _put(self, task: Task) -> Task:
        self.records[task.app_id].tasks[task.id] = task
        self._apps_by_task[task.id] = task.app_id
        return task

    def _delay(self, record: Record, task: Task) -> None:
        app = record.app
        if app is None:
            return
        lived = self.now() - (task.started_at if task.started_at is not None else self.now())
        record.failures = 1 if lived >= LIVED else record.failures + 1
        delay = min(app.max_delay, app.backoff * app.backoff_factor ** (record.failures - 1))
        record.not_before = self.now() + delay
