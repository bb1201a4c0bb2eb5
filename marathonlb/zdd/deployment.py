"""
Carries a deployment out: looks, takes the next step, waits, and goes back where it cannot go on.

Cancelling turns it back; cancelling once more leaves everything as it is.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from enum import IntEnum

from attrs import evolve, frozen
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater

from marathonlb.errors import MarathonLBError, SourceError
from marathonlb.zdd.clients.balancers import IBalancers
from marathonlb.zdd.clients.hook import IHook
from marathonlb.zdd.clients.marathon import ICluster
from marathonlb.zdd.clients.statistics import View, lag, shown, verdict
from marathonlb.zdd.course import Course, Wish, course_for
from marathonlb.zdd.definition import AppFile
from marathonlb.zdd.errors import Busy, Failed, Refused
from marathonlb.zdd.pair import Side, pair_of, target
from marathonlb.zdd.plan import Done, End, Goal, Remove, Scale, Seen, Step, Wait, goes_back, next_step
from marathonlb.zdd.progress import Progress


class Ending(IntEnum):
    """The exit status."""

    DONE = 0
    ROLLED_BACK = 1
    REFUSED = 2
    LEFT = 3
    INTERRUPTED = 130


@frozen
class Hands:
    """
    Whom a deployment works with.

    :param confirm: asks whoever started it; False stops before anything is changed.
    :param now: the time of day.
    """

    cluster: ICluster
    balancers: IBalancers
    hook: IHook
    clock: IReactorTime
    progress: Progress
    now: Callable[[], datetime]
    confirm: Callable[[str], bool]


class Deployment:
    """One run."""

    def __init__(self, file: AppFile, wish: Wish, hands: Hands) -> None:
        self._file = file
        self._wish = wish
        self._hands = hands
        self._told: frozenset[str] = frozenset()
        self._turning_back = False
        self._older_goes = False
        """Set before the older app is removed, when it has no task any more: from then on there is no way back."""

    async def plan(self) -> Course:
        """
        What it would do.

        :raises Refused: that cannot be done.
        :raises SourceError: Marathon or the load balancers cannot be asked.
        """
        found = pair_of(self._file.group, await self._hands.cluster.group(self._file.group_id))
        course = course_for(self._file, self._wish, found, self._hands.now())
        if found.older is not None:
            for view in await self._hands.balancers.look():
                self._check(view, found.older)
        return course

    def _check(self, view: View, older: Side) -> None:
        """Whether a load balancer is one that can be relied on."""
        if view.problem:
            raise Refused(f"{view.problem}; every load balancer has to be asked before a task is ended")
        if older.healthy and not shown(view, older.tasks_at(older.tasks)):
            raise Refused(f"{view.address} has no server of {older.id}; does it serve its HAPROXY_GROUP?")

    async def run(self) -> Ending:
        """Deploy, and go back where that fails or is cancelled."""
        progress = self._hands.progress
        course = await self.plan()
        progress.say("planned", course.words, older=course.older, newer=course.newer)
        if not self._hands.confirm(course.words):
            progress.say("refused", "nothing was changed")
            return Ending.REFUSED
        try:
            await self._set_out(course)
            await self._reach(course, course.goal)
        except CancelledError:
            return await self._turn_back(course, "interrupted", Ending.INTERRUPTED)
        except MarathonLBError as problem:
            return await self._turn_back(course, str(problem), Ending.ROLLED_BACK)
        progress.say("done", f"done: {course.words}", older=course.older, newer=course.newer)
        return Ending.DONE

    async def _set_out(self, course: Course) -> None:
        hands = self._hands
        if course.create is not None:
            body = course.create
            await self._persist(lambda: hands.cluster.create(body))
            count = course.create["instances"]
            hands.progress.say(
                "created", f"{course.newer}: created with {count}", app=course.newer, instances=count
            )
        if course.relabel is not None:
            labels = course.relabel
            await self._persist(lambda: hands.cluster.relabel(course.newer, labels))
            hands.progress.say("relabelled", f"{course.newer}: the split is over", app=course.newer)

    async def _persist(self, act: Callable[[], Deferred[None]]) -> None:
        """Do something that may work a moment later."""
        clock = self._hands.clock
        since = clock.seconds()
        while True:
            try:
                return await act()
            except (SourceError, Busy) as problem:
                if clock.seconds() - since >= self._wish.max_wait:
                    raise
                self._hands.progress.wait(str(problem))
            await deferLater(clock, self._wish.step_interval)

    async def _turn_back(self, course: Course, why: str, ending: Ending) -> Ending:
        progress = self._hands.progress
        if self._older_goes:
            left = f"{course.newer} serves alone; the removal of {course.older}, which has no task, was not seen to end"
            progress.say("left", f"{why}; {left}", reason=why)
            return Ending.LEFT
        progress.say("rolling-back", f"{why}; going back", reason=why)
        self._turning_back = True
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
        progress.say("rolled-back", "everything is as it was found", reason=why)
        return ending

    async def _reach(self, course: Course, goal: Goal) -> None:
        """
        Step by step to a goal.

        :raises Failed: it cannot be reached, or nothing has come nearer for too long.
        """
        clock, wish = self._hands.clock, self._wish
        since, best = clock.seconds(), 0
        while True:
            step, healthy = await self._try_step(course, goal)
            if isinstance(step, Done):
                return
            if not isinstance(step, Wait):
                since, best = clock.seconds(), 0
            elif healthy > best:
                since, best = clock.seconds(), healthy
            elif clock.seconds() - since >= wish.max_wait:
                raise Failed(f"nothing came nearer for {wish.max_wait:g} seconds (--max-wait): {step.why}")
            else:
                self._hands.progress.wait(step.why)
            await deferLater(clock, wish.step_interval)

    async def _try_step(self, course: Course, goal: Goal) -> tuple[Step, int]:
        """Look, and take the next step; what may work a moment later is to be waited for."""
        healthy = 0
        try:
            older, newer = await self._sides(course)
            if newer is None and goal.newer:
                raise Failed(f"{course.newer} is gone")
            if older is None and course.older is not None and not self._older_goes:
                raise Failed(f"{course.older} is gone")
            healthy = len(newer.healthy) if newer else 0
            step = next_step(await self._seen(older, newer, goal), goal)
            await self._take(step, older, newer)
        except (SourceError, Busy) as problem:
            return Wait(str(problem)), healthy
        return step, healthy

    async def _sides(self, course: Course) -> tuple[Side | None, Side | None]:
        sides = {
            side.id: evolve(side, told=self._told)
            for side in await self._hands.cluster.group(self._file.group_id)
        }
        return sides.get(course.older or ""), sides.get(course.newer)

    async def _seen(self, older: Side | None, newer: Side | None, goal: Goal) -> Seen:
        if older is None or newer is None:
            return Seen(older.count() if older else None, newer.count() if newer else None)
        views = await self._hands.balancers.look()
        judged = verdict(views, older.tasks_at(older.tasks))
        total = target(older, newer)
        if goes_back(newer.count(), goal):
            keep = min(len(older.healthy), max(0, total - len(newer.healthy)))
            old = older.tasks_at(older.healthy)
            if (
                self._turning_back
            ):  # who cannot be asked, or knows nothing of it, must not keep it from going back
                views = tuple(view for view in views if not view.problem and shown(view, old))
            behind = lag(views, {}, old, keep)
        else:
            behind = lag(views, newer.tasks_at(newer.healthy), {}, 0)
        return Seen(older.count(), newer.count(), total, judged.idle, judged.busy, behind)

    async def _take(self, step: Step, older: Side | None, newer: Side | None) -> None:
        """Carry out one step."""
        hands, force = self._hands, self._turning_back
        if isinstance(step, Wait | Done):
            return
        side, other = (newer, older) if step.newer else (older, newer)
        assert side is not None
        if isinstance(step, Scale):
            await hands.cluster.scale(side.id, step.instances, force)
            said = f"{side.id}: from {side.instances} to {step.instances} instances"
            hands.progress.say("scaled", said, app=side.id, instances=step.instances)
        elif isinstance(step, End):
            if other is not None and not self._turning_back:
                await hands.hook.ask(side.body, step.tasks, other.body)
            await hands.cluster.end(step.tasks, force)
            self._told |= frozenset(step.tasks)
            state = "" if step.newer else ", drained and idle everywhere"
            said = (
                f"{side.id}: {len(step.tasks)} of {len(side.tasks)} tasks end{state}: {', '.join(step.tasks)}"
            )
            hands.progress.say("ended", said, app=side.id, tasks=list(step.tasks))
        elif isinstance(step, Remove):
            self._older_goes = self._older_goes or not step.newer
            await hands.cluster.remove(side.id, force)
            hands.progress.say("removed", f"{side.id}: removed", app=side.id)
