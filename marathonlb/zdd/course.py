"""What a run is to do, from what was asked for and what is there; refused before anything is changed."""

from __future__ import annotations

from datetime import datetime

from attrs import field, frozen

from marathonlb.zdd.definition import AppFile, Json, build, check
from marathonlb.zdd.errors import Refused
from marathonlb.zdd.pair import Pair, Side, next_build, target
from marathonlb.zdd.plan import Goal


@frozen(kw_only=True)
class Wish:
    """
    What was asked for. Durations are seconds.

    :param new_instances: stop when so many of the newer app serve; 0 replaces the older app.
    :param max_wait: without any step forward.
    :param step_interval: between two looks, and so between two steps.
    """

    new_instances: int = 0
    complete_cur: bool = False
    complete_prev: bool = False
    resume: bool = False
    initial_instances: int = 1
    max_wait: float = 300
    step_interval: float = 5


@frozen
class Course:
    """
    What to do.

    :param older: the id of the app that is to go, or to come back; None in a first deployment.
    :param newer: the other one's.
    :param create: the newer app, where it has to be made.
    :param relabel: its labels without a split, where they hold one that is to end.
    :param goal: what to come to.
    :param back: what to come back to where that fails: what was found.
    :param words: all of it for people.
    """

    older: str | None
    newer: str
    goal: Goal
    back: Goal
    words: str
    create: Json | None = field(default=None, repr=False)
    relabel: dict[str, str] | None = None


def course_for(file: AppFile, wish: Wish, found: Pair, now: datetime) -> Course:
    """
    What to do.

    :raises Refused: what was asked for does not fit what is there.
    """
    if found.older is not None and found.newer is not None:
        return _go_on(wish, found.older, found.newer)
    for name, wanted in (
        ("--resume", wish.resume),
        ("--complete-cur", wish.complete_cur),
        ("--complete-prev", wish.complete_prev),
    ):
        if wanted:
            there = f"{found.older.id} alone is there" if found.older else "none of its apps is there"
            raise Refused(f"{name}: no deployment of {file.group} is under way: {there}")
    return _begin(file, wish, found.older, now)


def _begin(file: AppFile, wish: Wish, older: Side | None, now: datetime) -> Course:
    total, share = file.instances, wish.new_instances
    if share and older is None:
        raise Refused(f"--new-instances: no app of {file.group} is there yet that could have the rest")
    if share >= total:
        raise Refused(f"--new-instances: {share} is not less than the app's {total} instances")
    goal = Goal(min(older.instances, total - share) if share and older else 0, share or total)
    first = goal.newer if older is None else min(max(1, wish.initial_instances), goal.newer)
    body = build(file, next_build(file, older, first, now))
    check(body)
    new_id = str(body["id"])
    if older is None:
        words = f"{new_id}: a first deployment with {_instances(total)}"
        return Course(None, new_id, goal, Goal(0, 0), words, create=body)
    words = f"{new_id}: {_instances(goal.newer)}" + (
        f" beside {goal.older} of {older.id}" if share else f" in place of {older.instances} of {older.id}"
    )
    return Course(older.id, new_id, goal, _as_found(older, 0), words, create=body)


def _go_on(wish: Wish, older: Side, newer: Side) -> Course:
    total = target(older, newer)
    where = f"{newer.id} has {newer.instances} and {older.id} {older.instances} instances"
    if not (wish.resume or wish.complete_cur or wish.complete_prev):
        raise Refused(
            f"a deployment is under way: {where}; --resume or --complete-cur goes on with it, --complete-prev goes back"
        )
    back = _as_found(older, newer.instances)
    if wish.complete_prev:
        all_of_it = older.target or total
        goal = Goal(all_of_it, 0, well=all_of_it)
        return Course(older.id, newer.id, goal, back, f"{where}; back to {older.id} alone")
    share = wish.new_instances
    if share >= total:
        raise Refused(f"--new-instances: {share} is not less than the {total} instances of both")
    goal = Goal(min(older.instances, total - share) if share else 0, share or total)
    if goal.newer < newer.instances:
        raise Refused(f"--new-instances: {newer.id} has {newer.instances} instances already")
    words = f"{where}; on to {goal.newer} of {newer.id}" + (f" beside {goal.older}" if share else " alone")
    relabel = None
    if 0 < newer.split < goal.newer:
        relabel = {
            name: text
            for name, text in (newer.body.get("labels") or {}).items()
            if name != "HAPROXY_DEPLOYMENT_NEW_INSTANCES"
        }
        words += "; its label HAPROXY_DEPLOYMENT_NEW_INSTANCES goes, for which Marathon replaces its tasks"
    return Course(older.id, newer.id, goal, back, words, relabel=relabel)


def _instances(count: int) -> str:
    return "1 instance" if count == 1 else f"{count} instances"


def _as_found(older: Side, new_instances: int) -> Goal:
    return Goal(older.instances, new_instances, well=len(older.healthy))
