"""Client of Marathon for a deployment: reads the apps of a group with their tasks, and changes them."""

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
from marathonlb.zdd.pair import PairApp

TIMEOUT = 30.0
"""Maximum seconds until one Marathon has answered."""

_AWAY = frozenset({502, 503, 504})


class ICluster(Interface):
    """
    A Marathon on which apps are deployed.

    Each failure is a `marathonlb.errors.SourceError` if a retry may succeed, a `Busy` if another deployment of the app
    is under way, and a `Failed` if Marathon refuses. Every request can be repeated.
    """

    def group(group: str) -> Deferred[tuple[PairApp, ...]]:
        """Return the apps of a deployment group, by its id (`AppFile.group_id`)."""

    def create(body: Json) -> Deferred[None]:
        """Create an app; an existing one counts as success."""

    def scale(app_id: str, instances: int, force: bool) -> Deferred[None]:
        """
        Scale an app.

        :param force: replace another deployment of the app; the same in the other methods.
        """

    def end(tasks: Sequence[str], force: bool) -> Deferred[None]:
        """End these tasks and scale their app down by them; a task that has ended counts as success."""

    def remove(app_id: str, force: bool) -> Deferred[None]:
        """Remove an app; a missing one counts as success."""

    def relabel(app_id: str, labels: dict[str, str]) -> Deferred[None]:
        """Replace an app's labels, for which Marathon replaces its tasks."""


@implementer(ICluster)
class DeploymentCluster:
    """
    The Marathons of one cluster, tried in turn until one answers.

    :param endpoints: base URLs.
    """

    def __init__(self, fetcher: Fetcher, endpoints: Sequence[str], clock: IReactorTime) -> None:
        self._fetcher = fetcher
        self._endpoints = list(endpoints)
        self._clock = clock

    def group(self, group: str) -> Deferred[tuple[PairApp, ...]]:
        """See `ICluster.group`."""
        return Deferred.fromCoroutine(self._group(group))

    def create(self, body: Json) -> Deferred[None]:
        """See `ICluster.create`."""
        return self._change("POST", "/v2/apps", body["id"], body, accepted=(409,))

    def scale(self, app_id: str, instances: int, force: bool) -> Deferred[None]:
        """See `ICluster.scale`."""
        return self._change("PUT", _app(app_id, force), app_id, {"instances": instances})

    def end(self, tasks: Sequence[str], force: bool) -> Deferred[None]:
        """See `ICluster.end`."""
        path = "/v2/tasks/delete?scale=true" + ("&force=true" if force else "")
        return self._change("POST", path, "their app", {"ids": list(tasks)}, accepted=(404,))

    def remove(self, app_id: str, force: bool) -> Deferred[None]:
        """See `ICluster.remove`."""
        return self._change("DELETE", _app(app_id, force), app_id, accepted=(404,))

    def relabel(self, app_id: str, labels: dict[str, str]) -> Deferred[None]:
        """See `ICluster.relabel`."""
        return self._change("PUT", _app(app_id, False), app_id, {"labels": labels})

    async def _group(self, group: str) -> tuple[PairApp, ...]:
        # Any value of the label: values may need quoting, which selectors do in their own way.
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
        unreadable = [app for app in parsed.unreadable if _group_of(bodies.get(app.app_id)) in (group, None)]
        if unreadable:
            raise Failed(f"{unreadable[0].app_id} cannot be read: {unreadable[0].reason}")
        return tuple(
            PairApp(member(app), bodies[app.id]) for app in parsed.apps if _group_of(bodies[app.id]) == group
        )

    def _change(
        self, method: str, path: str, app_id: str, body: Any = None, accepted: Iterable[int] = ()
    ) -> Deferred[None]:
        async def change() -> None:
            answer = await self._ask(method, path, body)
            if answer.refusal is MarathonRefusal.LOCKED:
                raise Busy(app_id)
            if answer.status not in (200, 201, *accepted):
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
            self._endpoints.insert(0, endpoint)  # the one that answered is tried first next time
            return answer
        if len(problems) == 1:
            raise problems[0]
        raise SourceError(url="no Marathon gives an answer", reason="; ".join(map(str, problems)))


def _app(app_id: str, force: bool) -> str:
    return f"/v2/apps/{quote(app_id.strip('/'), safe='/')}" + ("?force=true" if force else "")


def _id(body: Any) -> str:
    return str(body.get("id")) if isinstance(body, dict) else ""


def _group_of(body: Any) -> str | None:
    """Return the id of an app's deployment group; None if that is not known, and empty if it has none."""
    if not isinstance(body, dict):
        return None
    name = (body.get("labels") or {}).get(GROUP)
    try:
        return group_id(absolute(_id(body)), deployment_group(str(name))) or "" if name else ""
    except ValueError:
        return ""


def _details(answer: MarathonAnswer) -> str:
    """Return Marathon's details about a definition that it refuses, whose format differs between versions."""
    try:
        details = json.loads(bytes(answer.body)).get("details")
    except (ValueError, AttributeError):
        return ""
    return f" {json.dumps(details)[:500]}" if details else ""
