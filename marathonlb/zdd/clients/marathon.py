"""Marathon as a deployment needs it: the apps of a group with their tasks, and what changes them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any
from urllib.parse import quote

import msgspec
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure
from zope.interface import Interface, implementer

from marathonlb.errors import SourceError
from marathonlb.marathon.api.answer import MarathonAnswer, MarathonRefusal
from marathonlb.marathon.api.request import Fetcher
from marathonlb.marathon.parsing.apps import UnusableAnswer, absolute, parse_apps
from marathonlb.routing.labels.values import deployment_group
from marathonlb.routing.names import group_id
from marathonlb.zdd.definition import GROUP, Json, member
from marathonlb.zdd.errors import Busy, Failed
from marathonlb.zdd.pair import Side

TIMEOUT = 30.0
"""Seconds that one Marathon may take for an answer."""

_AWAY = frozenset({502, 503, 504})


class ICluster(Interface):
    """
    A Marathon that apps are deployed on.

    Each failure is a `marathonlb.errors.SourceError` where Marathon may be well a moment later, a `Busy` where another
    deployment holds the app, and a `Failed` where it refuses. Everything can be said twice.
    """

    def group(group: str) -> Deferred[tuple[Side, ...]]:
        """The apps of a deployment group, by its id (`AppFile.group_id`)."""

    def create(body: Json) -> Deferred[None]:
        """A new app; one that is there already is as good."""

    def scale(app_id: str, instances: int, force: bool) -> Deferred[None]:
        """
        Have so many instances of an app.

        :param force: whatever deployment of it is under way; the others likewise.
        """

    def end(tasks: Sequence[str], force: bool) -> Deferred[None]:
        """End these tasks and make their app smaller by them; one that is gone is as good."""

    def remove(app_id: str, force: bool) -> Deferred[None]:
        """Take an app away; one that is gone is as good."""

    def relabel(app_id: str, labels: dict[str, str]) -> Deferred[None]:
        """Give an app these labels and no others; Marathon replaces its tasks for that."""


@implementer(ICluster)
class Cluster:
    """
    The Marathons of one cluster, asked in turn until one gives an answer.

    :param endpoints: base URLs.
    """

    def __init__(self, fetcher: Fetcher, endpoints: Sequence[str], clock: IReactorTime) -> None:
        self._fetcher = fetcher
        self._endpoints = list(endpoints)
        self._clock = clock

    def group(self, group: str) -> Deferred[tuple[Side, ...]]:
        """See `ICluster.group`."""
        return Deferred.fromCoroutine(self._group(group))

    def create(self, body: Json) -> Deferred[None]:
        """See `ICluster.create`."""
        return self._change("POST", "/v2/apps", body["id"], body, fine=(409,))

    def scale(self, app_id: str, instances: int, force: bool) -> Deferred[None]:
        """See `ICluster.scale`."""
        return self._change("PUT", _app(app_id, force), app_id, {"instances": instances})

    def end(self, tasks: Sequence[str], force: bool) -> Deferred[None]:
        """See `ICluster.end`."""
        path = "/v2/tasks/delete?scale=true" + ("&force=true" if force else "")
        return self._change("POST", path, "their app", {"ids": list(tasks)}, fine=(404,))

    def remove(self, app_id: str, force: bool) -> Deferred[None]:
        """See `ICluster.remove`."""
        return self._change("DELETE", _app(app_id, force), app_id, fine=(404,))

    def relabel(self, app_id: str, labels: dict[str, str]) -> Deferred[None]:
        """See `ICluster.relabel`."""
        return self._change("PUT", _app(app_id, False), app_id, {"labels": labels})

    async def _group(self, group: str) -> tuple[Side, ...]:
        # What has the label at all: a value may hold anything, and selectors quote in ways of their own.
        answer = await self._ask("GET", f"/v2/apps?embed=apps.tasks&embed=apps.readiness&label={GROUP}")
        if answer.status != 200:
            raise answer.error()
        try:
            parsed = parse_apps(answer.body)
        except UnusableAnswer as error:
            raise SourceError(url=answer.url, reason=str(error)) from None
        if parsed.without_tasks:
            raise SourceError(url=answer.url, reason="the apps come without their tasks, though some run")
        bodies = {_id(body): body for body in msgspec.json.decode(answer.body)["apps"]}
        unreadable = [
            each for each in parsed.unreadable if _group_of(bodies.get(each.app_id)) in (group, None)
        ]
        if unreadable:
            raise Failed(f"{unreadable[0].app_id} cannot be read: {unreadable[0].reason}")
        return tuple(
            Side(member(app), bodies[app.id]) for app in parsed.apps if _group_of(bodies[app.id]) == group
        )

    def _change(
        self, method: str, path: str, app_id: str, body: Any = None, fine: Iterable[int] = ()
    ) -> Deferred[None]:
        async def change() -> None:
            answer = await self._ask(method, path, body)
            if answer.refusal is MarathonRefusal.LOCKED:
                raise Busy(app_id)
            if answer.status not in (200, 201, *fine):
                raise Failed(f"{method} of {app_id}: {answer.error()}{_details(answer)}")

        return Deferred.fromCoroutine(change())

    async def _ask(self, method: str, path: str, body: Any = None) -> MarathonAnswer:
        problems: list[SourceError] = []
        content = b"" if body is None else json.dumps(body).encode()
        for endpoint in tuple(self._endpoints):

            def too_late(result: object, timeout: float, endpoint: str = endpoint) -> Failure:
                return Failure(SourceError(url=endpoint, reason=f"no answer within {timeout:g} seconds"))

            asked = Deferred.fromCoroutine(self._fetcher.fetch(endpoint, path, method, content))
            try:
                answer = await asked.addTimeout(TIMEOUT, self._clock, onTimeoutCancel=too_late)
            except SourceError as problem:
                problems.append(problem)
                continue
            if answer.status in _AWAY:
                problems.append(answer.error())
                continue
            self._endpoints.remove(endpoint)
            self._endpoints.insert(0, endpoint)  # who has answered is asked first
            return answer
        if len(problems) == 1:
            raise problems[0]
        raise SourceError(url="no Marathon gives an answer", reason="; ".join(map(str, problems)))


def _app(app_id: str, force: bool) -> str:
    return f"/v2/apps/{quote(app_id.strip('/'), safe='/')}" + ("?force=true" if force else "")


def _id(body: Any) -> str:
    return str(body.get("id")) if isinstance(body, dict) else ""


def _group_of(body: Any) -> str | None:
    """The id of the group that an app is of; None where that cannot be known, and empty where it is of none."""
    if not isinstance(body, dict):
        return None
    name = (body.get("labels") or {}).get(GROUP)
    try:
        return group_id(absolute(_id(body)), deployment_group(str(name))) or "" if name else ""
    except ValueError:
        return ""


def _details(answer: MarathonAnswer) -> str:
    """What Marathon says of a definition that it refuses; its shape has changed with the years."""
    try:
        details = json.loads(bytes(answer.body)).get("details")
    except (ValueError, AttributeError):
        return ""
    return f" {json.dumps(details)[:500]}" if details else ""
