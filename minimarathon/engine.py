"""
Converges the running tasks to the app definitions, with the state, the runner and the health checks.

Each change marks its app; in the next iteration of the reactor each marked app gets one step of
`minimarathon.deployments`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from attrs import define, evolve, field
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from minimarathon.deployments import plan
from minimarathon.errors import Refused
from minimarathon.events import Bus
from minimarathon.model import App, Deployment, Health, Task
from minimarathon.state import State
from minimarathon.tasks.addresses import Addresses, NoPort
from minimarathon.tasks.health import IHealth
from minimarathon.tasks.processes import Exit, IRunner

#: Seconds until the next attempt to launch a task for which there was no free port.
NO_PORT_DELAY = 5.0


@define(eq=False)
class Engine:
    """
    The Marathon behind the API.

    :param clock: for timers; `State.now` provides the time since the epoch.
    """

    state: State
    bus: Bus
    runner: IRunner
    health: IHealth
    addresses: Addresses
    clock: IReactorTime
    _marked: dict[str, None] = field(factory=dict)
    _turn: IDelayedCall | None = None
    _timers: dict[str, IDelayedCall] = field(factory=dict)
    _stopped: bool = False
    _log = Logger()

    # Changes of definitions.

    def deploy(
        self,
        changes: Mapping[str, App | None],
        force: bool = False,
        restart: bool = False,
        posted: tuple[str, str] | None = None,
    ) -> Deployment:
        """
        Set the definitions of apps and start a deployment; None deletes an app.

        :param force: cancel the deployments that lock them.
        :param restart: replace the tasks even if nothing differs.
        :param posted: the client's address and the request's path, for ``api_post_event``.
        :raise Refused: 409 if a deployment locks one of them.
        """
        deployment, events = self.state.deploy(changes, force, restart)
        self.bus.publish(events)
        if posted is not None:
            self.bus.publish(
                self.state.announce.posted(self.state.app(app_id), *posted)
                for app_id, app in changes.items()
                if app is not None
            )
        self.bus.publish(self.state.begin(deployment.id))
        for app_id in changes:
            self._mark(app_id)
        return deployment

    def kill(self, task_ids: list[str], scale: bool = False, force: bool = False) -> Deployment | None:
        """
        Kill tasks. They are replaced, unless `scale` reduces the instances of their apps.

        :param force: with `scale`, cancel the deployments that lock their apps.
        :return: the deployment, if `scale` started one.
        :raise Refused: 404 for an unknown task, 409 if an app is locked.
        """
        tasks = [self.state.task(task_id) for task_id in task_ids]
        apps = {app_id: self.state.app(app_id) for app_id in dict.fromkeys(task.app_id for task in tasks)}
        deployment = None
        if scale and tasks:
            changes = {
                app_id: _scaled_down(app, sum(task.app_id == app_id for task in tasks))
                for app_id, app in apps.items()
            }
            deployment = self.deploy(changes, force)
        for task in tasks:
            self._kill(task)
        return deployment

    def cancel(self, deployment_id: str, force: bool) -> Deployment | None:
        """
        Cancel a deployment.

        :param force: keep the current state; otherwise a new deployment rolls it back, and is returned.
        :raise Refused: 404 for an unknown deployment.
        """
        undo = self.state.undo(deployment_id)
        if force:
            self.bus.publish(self.state.cancel(deployment_id, "cancelled by the user with force"))
            return None
        return self.deploy(undo, force=True)

    def reset_delay(self, app_id: str) -> None:
        """Launch the delayed tasks of an app now; raises `Refused` (404) if there are none."""
        record = self.state.records.get(app_id)
        if record is None or not record.waiting:
            raise Refused(404, f"Application {app_id} not found in tasks queue.")
        record.failures, record.not_before = 0, 0
        self._mark(app_id)

    def stop(self) -> Deferred[None]:
        """End every task and timer; the Deferred fires when no task is left."""
        self._stopped = True
        for timer in (self._turn, *self._timers.values()):
            if timer is not None and timer.active():
                timer.cancel()
        self.health.stop()
        return self.runner.stop()

    # Convergence.

    def _mark(self, app_id: str) -> None:
        self._marked[app_id] = None
        if self._turn is None and not self._stopped:
            self._turn = self.clock.callLater(0, self._converge)

    def _converge(self) -> None:
        self._turn = None
        marked, self._marked = self._marked, {}
        for app_id in marked:
            self._step(app_id)
            self.bus.publish(self.state.settle(app_id))

    def _step(self, app_id: str) -> None:
        record = self.state.records.get(app_id)
        if record is None:
            return
        move = plan(record.app, record.tasks.values())
        for task_id in move.kill:
            self._kill(self.state.task(task_id))
        record.waiting = move.start
        delay = record.not_before - self.state.now()
        if record.app is None or not move.start:
            return
        if delay > 0:
            self._later(app_id, delay)
            return
        for _ in range(move.start):
            if not self._launch(record.app):
                self._later(app_id, NO_PORT_DELAY)
                return
            record.waiting -= 1

    def _later(self, app_id: str, seconds: float) -> None:
        timer = self._timers.get(app_id)
        if timer is None or not timer.active():
            self._timers[app_id] = self.clock.callLater(seconds, self._due, app_id)

    def _due(self, app_id: str) -> None:
        del self._timers[app_id]
        self._mark(app_id)

    # Tasks.

    def _launch(self, app: App) -> bool:
        try:
            address, ports = self.addresses.take(app)
        except NoPort as error:
            self._log.warn(
                "{appId}: cannot start a task: {reason}; trying again in {seconds} s",
                appId=app.id, reason=str(error), seconds=NO_PORT_DELAY,
            )  # fmt: skip
            return False
        task, events = self.state.stage(app, self.addresses.host, address, ports)
        self.bus.publish(events)
        self.runner.start(
            task, app, lambda: self._running(task, app), lambda outcome: self._ended(task, app, outcome)
        )
        return True

    def _running(self, staged: Task, app: App) -> None:
        if self._stopped or not self._known(staged):
            return
        self.bus.publish(self.state.running(staged.id))
        task = self.state.task(staged.id)
        if not task.killing:
            self.health.watch(task, app, self._on_health(task.id))
        self._mark(task.app_id)

    def _ended(self, staged: Task, app: App, outcome: Exit) -> None:
        self.addresses.give_back(staged.ports)
        self.health.forget(staged.id)
        if self._stopped or not self._known(staged):
            return
        killed = self.state.task(staged.id).killing
        state = "TASK_KILLED" if killed else "TASK_FINISHED" if outcome.code == 0 else "TASK_FAILED"
        if state == "TASK_FAILED":
            self._log.warn(
                "{appId}: task {taskId} failed: {reason}; replacing it after a delay; see its output in the work-dir",
                appId=app.id, taskId=staged.id, reason=outcome.reason,
            )  # fmt: skip
        self.bus.publish(self.state.ended(staged.id, state, outcome.reason))
        self._mark(staged.app_id)

    def _known(self, task: Task) -> bool:
        record = self.state.records.get(task.app_id)
        return record is not None and task.id in record.tasks

    def _kill(self, task: Task) -> None:
        self.health.forget(task.id)
        self.bus.publish(self.state.killing(task.id))
        record = self.state.records[task.app_id]
        self.runner.kill(task.id, None if record.app is None else record.app.kill_grace)

    def _on_health(self, task_id: str) -> Callable[[int, Health, bool], None]:
        def report(index: int, health: Health, kill: bool) -> None:
            task = self.state.task(task_id)
            self.bus.publish(self.state.checked(task_id, index, health))
            if kill:
                self._log.warn(
                    "{appId}: killing task {taskId}: its health check failed {failures} times: {reason}; check the app",
                    appId=task.app_id, taskId=task_id, failures=health.failures, reason=health.cause,
                )  # fmt: skip
                self.bus.publish([self.state.announce.unhealthy_kill(task, health.cause or "")])
                self._kill(self.state.task(task_id))
            self._mark(task.app_id)

        return report


def _scaled_down(app: App, by: int) -> App:
    return evolve(app, instances=max(0, app.instances - by))
