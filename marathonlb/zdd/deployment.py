"""
Carries out a deployment: reads the state, takes the next step, waits, and goes back if it cannot continue.

Cancelling makes it go back; cancelling again leaves everything as it is.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from enum import IntEnum

from attrs import evolve, frozen
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime

from marathonlb.errors import MarathonLBError, SourceError
from marathonlb.timers import pause
from marathonlb.zdd.clients.balancers import IBalancers
from marathonlb.zdd.clients.hook import IHook
from marathonlb.zdd.clients.marathon import ICluster
from marathonlb.zdd.clients.statistics import View, drain_state, lag, shown
from marathonlb.zdd.course import Course, DeploymentRequest, course_for
from marathonlb.zdd.definition import AppFile
from marathonlb.zdd.errors import Busy, Failed, Refused
from marathonlb.zdd.pair import PairApp, pair_of, target
from marathonlb.zdd.plan import Done, End, Goal, PairState, Remove, Scale, Step, Wait, goes_back, next_step
from marathonlb.zdd.progress import DeploymentProgress


class Ending(IntEnum):
    """The exit status."""

    DONE = 0
    ROLLED_BACK = 1
    REFUSED = 2
    LEFT = 3
    INTERRUPTED = 130


@frozen
class Collaborators:
    """
    The services that a deployment uses.

    :param now: returns the time of day.
    :param confirm: asks the user to confirm a summary; returns False to stop before anything is changed.
    """

    cluster: ICluster
    balancers: IBalancers
    hook: IHook
    clock: IReactorTime
    progress: DeploymentProgress
    now: Callable[[], datetime]
    confirm: Callable[[str], bool]


class Deployment:
    """One run of a deployment."""

    def __init__(self, file: AppFile, request: DeploymentRequest, use: Collaborators) -> None:
        self._file = file
        self._request = request
        self._use = use
        self._ended: frozenset[str] = frozenset()
        self._going_back = False
        self._older_removed = False
        """Set before the older app is removed, when it has no task any more: from then on there is no way back."""

    async def plan(self) -> Course:
        """
        Return the course of the deployment; nothing is changed.

        :raises Refused: the deployment cannot be done.
        :raises SourceError: Marathon or the load balancers cannot be reached.
        """
        pair = pair_of(self._file.group, await self._use.cluster.group(self._file.group_id))
        course = course_for(self._file, self._request, pair, self._use.now())
        if pair.older is not None:
            for view in await self._use.balancers.look():
                self._check(view, pair.older)
        return course

    def _check(self, view: View, older: PairApp) -> None:
        """Raise `Refused` if a load balancer cannot be read, or does not serve the older app."""
        if view.problem:
            raise Refused(f"{view.problem}; every load balancer has to answer before a task is ended")
        if older.healthy and not shown(view, older.tasks_at(older.tasks)):
            raise Refused(f"{view.address} has no server of {older.id}; does it serve its HAPROXY_GROUP?")

    async def run(self) -> Ending:
        """Deploy, and go back if that fails or is cancelled."""
        progress = self._use.progress
        course = await self.plan()
        progress.say("planned", course.words, older=course.older, newer=course.newer)
        if not self._use.confirm(course.words):
            progress.say("refused", "nothing was changed")
            return Ending.REFUSED
        try:
            await self._prepare(course)
            await self._reach(course, course.goal)
        except CancelledError:
            return await self._go_back(course, "interrupted", Ending.INTERRUPTED)
        except MarathonLBError as problem:
            return await self._go_back(course, str(problem), Ending.ROLLED_BACK)
        progress.say("done", f"done: {course.words}", older=course.older, newer=course.newer)
        return Ending.DONE

    async def _prepare(self, course: Course) -> None:
        """Create or relabel the newer app, if the course needs that."""
        cluster, progress = self._use.cluster, self._use.progress
        if course.create is not None:
            body = course.create
            await self._retry(lambda: cluster.create(body))
            count = course.create["instances"]
            progress.say(
                "created", f"{course.newer}: created with {count}", app=course.newer, instances=count
            )
        if course.relabel is not None:
            labels = course.relabel
            await self._retry(lambda: cluster.relabel(course.newer, labels))
            progress.say("relabelled", f"{course.newer}: the split is over", app=course.newer)

    async def _retry(self, request: Callable[[], Deferred[None]]) -> None:
        """Send a request to Marathon until it succeeds, for at most ``--max-wait``."""
        clock = self._use.clock
        since = clock.seconds()
        while True:
            try:
                return await request()
            except (SourceError, Busy) as problem:
                if clock.seconds() - since >= self._request.max_wait:
                    raise
                self._use.progress.wait(str(problem))
            await pause(clock, self._request.step_interval)

    async def _go_back(self, course: Course, cause: str, ending: Ending) -> Ending:
        """Restore what was found. Return the ending, or that everything was left as it is."""
        progress = self._use.progress
        if self._older_removed:
            left = f"{course.newer} serves alone; the removal of {course.older}, which has no task, was not seen to end"
            progress.say("left", f"{cause}; {left}", reason=cause)
            return Ending.LEFT
        progress.say("rolling-back", f"{cause}; going back", reason=cause)
        self._going_back = True
        try:
            await self._reach(course, course.back)
        except (CancelledError, MarathonLBError) as problem:
            reason = "interrupted again" if isinstance(problem, CancelledError) else str(problem)
            advice = f"look at {course.newer}" + (f" and {course.older}" if course.older else "")
            progress.say(
                "left",
                f"{reason}; everything is left as it is: {advice}; --complete-prev goes back",
                reason=reason,
            )
            return Ending.LEFT
        progress.say("rolled-back", "everything is as it was found", reason=cause)
        return ending

    async def _reach(self, course: Course, goal: Goal) -> None:
        """
        Take steps until a goal is reached.

        :raises Failed: it cannot be reached, or there was no progress for ``--max-wait``.
        """
        clock, request = self._use.clock, self._request
        since, best = clock.seconds(), 0
        while True:
            step, healthy = await self._try_step(course, goal)
            if isinstance(step, Done):
                return
            if not isinstance(step, Wait):
                since, best = clock.seconds(), 0
            elif healthy > best:
                since, best = clock.seconds(), healthy
            elif clock.seconds() - since >= request.max_wait:
                raise Failed(f"no progress for {request.max_wait:g} seconds (--max-wait): {step.reason}")
            else:
                self._use.progress.wait(step.reason)
            await pause(clock, request.step_interval)

    async def _try_step(self, course: Course, goal: Goal) -> tuple[Step, int]:
        """Read the state and take the next step; return the step and the number of healthy new tasks."""
        healthy = 0
        try:
            older, newer = await self._apps(course)
            if newer is None and goal.newer:
                raise Failed(f"{course.newer} does not exist any more")
            if older is None and course.older is not None and not self._older_removed:
                raise Failed(f"{course.older} does not exist any more")
            healthy = len(newer.healthy) if newer else 0
            step = next_step(await self._state(older, newer, goal), goal)
            await self._take(step, older, newer)
        except (SourceError, Busy) as problem:
            return Wait(str(problem)), healthy
        return step, healthy

    async def _apps(self, course: Course) -> tuple[PairApp | None, PairApp | None]:
        """Return the older and the newer app, as Marathon has them now."""
        group = await self._use.cluster.group(self._file.group_id)
        apps = {app.id: evolve(app, ended=self._ended) for app in group}
        return apps.get(course.older or ""), apps.get(course.newer)

    async def _state(self, older: PairApp | None, newer: PairApp | None, goal: Goal) -> PairState:
        """Return the state of the pair, in Marathon and in the load balancers."""
        if older is None or newer is None:
            return PairState(older.count() if older else None, newer.count() if newer else None)
        views = await self._use.balancers.look()
        draining = drain_state(views, older.tasks_at(older.tasks))
        total = target(older, newer)
        if goes_back(newer.count(), goal):
            keep = min(len(older.healthy), max(0, total - len(newer.healthy)))
            old = older.tasks_at(older.healthy)
            if (
                self._going_back
            ):  # a load balancer that does not answer, or does not serve it, must not prevent it
                views = tuple(view for view in views if not view.problem and shown(view, old))
            behind = lag(views, {}, old, keep)
        else:
            behind = lag(views, newer.tasks_at(newer.healthy), {}, 0)
        return PairState(older.count(), newer.count(), total, draining.idle, draining.busy, behind)

    async def _take(self, step: Step, older: PairApp | None, newer: PairApp | None) -> None:
        """Carry out one step."""
        if isinstance(step, Wait | Done):
            return
        cluster, progress, force = self._use.cluster, self._use.progress, self._going_back
        app, other = (newer, older) if step.newer else (older, newer)
        assert app is not None
        match step:
            case Scale():
                await cluster.scale(app.id, step.instances, force)
                message = f"{app.id}: from {app.instances} to {step.instances} instances"
                progress.say("scaled", message, app=app.id, instances=step.instances)
            case End():
                if other is not None and not self._going_back:
                    await self._use.hook.ask(app.body, step.tasks, other.body)
                await cluster.end(step.tasks, force)
                self._ended |= frozenset(step.tasks)
                progress.say("ended", _ended_message(step, app), app=app.id, tasks=list(step.tasks))
            case Remove():
                self._older_removed = self._older_removed or not step.newer
                await cluster.remove(app.id, force)
                progress.say("removed", f"{app.id}: removed", app=app.id)


def _ended_message(step: End, app: PairApp) -> str:
    """Return the message about ended tasks of an app."""
    state = "" if step.newer else ", drained and idle everywhere"
    return f"{app.id}: {len(step.tasks)} of {len(app.tasks)} tasks end{state}: {', '.join(step.tasks)}"
