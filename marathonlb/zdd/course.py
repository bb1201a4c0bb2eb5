"""Decides what a run does, from the request and the apps that exist; refuses before anything is changed. Pure."""

from __future__ import annotations

from datetime import datetime

from attrs import field, frozen

from marathonlb.zdd.definition import AppFile, Json, build, check
from marathonlb.zdd.errors import Refused
from marathonlb.zdd.pair import Pair, PairApp, next_build, target
from marathonlb.zdd.plan import Goal


@frozen(kw_only=True)
class DeploymentRequest:
    """
    The request of the command line.

    :param new_instances: stop when this number of the newer app's instances serve; 0 replaces the older app.
    :param complete_cur: finish a split: all traffic to the newer app.
    :param complete_prev: go back: all traffic to the older app.
    :param resume: continue an interrupted deployment.
    :param initial_instances: number of instances with which the newer app starts.
    :param max_wait: maximum seconds without progress.
    :param step_interval: seconds between two steps.
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
    The course of a run.

    :param older: the id of the app that is replaced, or restored; None in a first deployment.
    :param newer: the id of the other app.
    :param goal: the instances at the end.
    :param back: the instances to go back to if that fails: those that were found.
    :param words: a summary for people.
    :param create: the definition of the newer app; None if it exists.
    :param relabel: the newer app's labels without a split; None if no split has to end.
    """

    older: str | None
    newer: str
    goal: Goal
    back: Goal
    words: str
    create: Json | None = field(default=None, repr=False)
    relabel: dict[str, str] | None = None


def course_for(file: AppFile, request: DeploymentRequest, pair: Pair, now: datetime) -> Course:
    """
    Return the course of a run.

    :raises Refused: the request does not fit the apps that exist.
    """
    if pair.older is not None and pair.newer is not None:
        return _continue(request, pair.older, pair.newer)
    for name, requested in (
        ("--resume", request.resume),
        ("--complete-cur", request.complete_cur),
        ("--complete-prev", request.complete_prev),
    ):
        if requested:
            apps = f"only {pair.older.id} exists" if pair.older else "none of its apps exists"
            raise Refused(f"{name}: no deployment of {file.group} is under way: {apps}")
    return _begin(file, request, pair.older, now)


def _begin(file: AppFile, request: DeploymentRequest, older: PairApp | None, now: datetime) -> Course:
    """Return the course of a new deployment."""
    total, share = file.instances, request.new_instances
    if share and older is None:
        raise Refused(f"--new-instances: no app of {file.group} exists yet that could have the rest")
    if share >= total:
        raise Refused(f"--new-instances: {share} is not less than the app's {total} instances")
    goal = Goal(min(older.instances, total - share) if share and older else 0, share or total)
    first = goal.newer if older is None else min(max(1, request.initial_instances), goal.newer)
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


def _continue(request: DeploymentRequest, older: PairApp, newer: PairApp) -> Course:
    """Return the course of a deployment that is under way."""
    total = target(older, newer)
    where = f"{newer.id} has {newer.instances} and {older.id} {older.instances} instances"
    if not (request.resume or request.complete_cur or request.complete_prev):
        raise Refused(
            f"a deployment is under way: {where}; --resume or --complete-cur continues it, --complete-prev goes back"
        )
    back = _as_found(older, newer.instances)
    if request.complete_prev:
        all_instances = older.target or total
        goal = Goal(all_instances, 0, well=all_instances)
        return Course(older.id, newer.id, goal, back, f"{where}; back to {older.id} alone")
    share = request.new_instances
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
        words += (
            "; its label HAPROXY_DEPLOYMENT_NEW_INSTANCES is removed, for which Marathon replaces its tasks"
        )
    return Course(older.id, newer.id, goal, back, words, relabel=relabel)


def _instances(count: int) -> str:
    return "1 instance" if count == 1 else f"{count} instances"


def _as_found(older: PairApp, new_instances: int) -> Goal:
    return Goal(older.instances, new_instances, well=len(older.healthy))
