"""
The client of Marathon's API: it asks the listed Marathons in turn until one gives a usable answer.

If none does, a `SourceError` names each Marathon and its fault. An answer that is empty, cut off, an HTML page or
without its tasks is such a fault, too: only an empty list of apps means that there are no apps.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable, Sequence
from typing import Any, TypeVar
from urllib.parse import quote, urlencode

import msgspec
from attrs import evolve
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.iweb import IAgent
from zope.interface import implementer

from marathonlb.errors import SourceError
from marathonlb.marathon.api.answer import (
    MarathonAnswer,
    MarathonRefusal,
    event_stream_refused,
    subscriptions_refused,
)
from marathonlb.marathon.api.auth import IAuthorization, NoAuthorization
from marathonlb.marathon.api.body import BodyReader
from marathonlb.marathon.api.failures import FAILURES, failure
from marathonlb.marathon.api.request import Fetcher, Observe, origin
from marathonlb.marathon.events.hints import EVENT_TYPES
from marathonlb.marathon.interfaces import AppsAnswer, IMarathon
from marathonlb.marathon.parsing.apps import Body, Parsed, UnusableAnswer, parse_app, parse_apps
from marathonlb.marathon.parsing.pods import parse_pod, parse_pods

T = TypeVar("T")

APPS = "/v2/apps?embed=apps.tasks&embed=apps.readiness"
APPS_UP_TO_0_9 = "/v2/apps?embed=apps.tasks"
"""The same for Marathon up to 0.9, which compares ``embed`` as a whole."""

PODS = "/v2/pods::status"
ASK_FOR_PODS_AGAIN = 3600.0
"""Seconds after which a Marathon without pods is asked for them again: it may have been upgraded."""


class _Info(msgspec.Struct):
    """The answer of ``/v2/info``."""

    elected: bool | None = None
    leader: str | None = None


class _Subscriptions(msgspec.Struct, rename="camel"):
    """The answer of ``/v2/eventSubscriptions``."""

    callback_urls: tuple[str, ...]


@implementer(IMarathon)
class MarathonClient:
    """
    A cluster, asked through any of its Marathons.

    :param endpoints: base URLs without credentials or trailing slash.
    :param timeout: maximum number of seconds for one Marathon's answer, and for the head of its event stream.
    :param max_body: maximum number of bytes of an answer, unpacked; 100,000 tasks make 100 MB.
    :param observe: see `marathonlb.marathon.api.request.Fetcher`; ``anonymous``, too.
    """

    _log = Logger()

    def __init__(
        self,
        endpoints: Sequence[str],
        agent: IAgent,
        clock: IReactorTime,
        authorization: IAuthorization | None = None,
        *,
        timeout: float = 120.0,
        max_body: int = 512 << 20,
        observe: Observe = lambda endpoint, code, size: None,
        anonymous: IAgent | None = None,
    ) -> None:
        self.endpoints = tuple(endpoints)
        self.preferred = self.endpoints[0]
        """The base URL of the Marathon that answered last; it is asked first."""
        self._clock = clock
        self._timeout = timeout
        self._fetcher = Fetcher(
            endpoints, agent, authorization or NoAuthorization(), max_body, observe, anonymous
        )
        self._pods: frozenset[str] = frozenset()
        self._without_pods: dict[str, float] = {}

    def leader(self) -> str | None:
        """Return the base URL of the Marathon named as leader last; the named address if it is not a listed one."""
        named = self._fetcher.leader()
        return next((listed for listed in self.endpoints if origin(listed) == named), named)

    def apps(self, avoid: str | None = None) -> Deferred[AppsAnswer]:
        """See `marathonlb.marathon.interfaces.IMarathon.apps`."""
        return Deferred.fromCoroutine(self._in_turn(self._apps, avoid))

    def app(self, app_id: str) -> Deferred[AppsAnswer]:
        """See `marathonlb.marathon.interfaces.IMarathon.app`."""

        async def ask(endpoint: str) -> AppsAnswer:
            return await self._app(endpoint, app_id)

        return Deferred.fromCoroutine(self._in_turn(ask))

    def elected(self) -> Deferred[bool]:
        """See `marathonlb.marathon.interfaces.IMarathon.elected`."""
        return Deferred.fromCoroutine(self._in_turn(self._elected))

    def event_stream(
        self,
        endpoint: str,
        opened: Callable[[str], object],
        received: Callable[[bytes], object],
        event_types: Iterable[str] = EVENT_TYPES,
    ) -> Deferred[None]:
        """
        Open ``/v2/events`` of one Marathon and follow it.

        :param opened: called once with the URL of the Marathon that streams, before the first bytes.
        :param received: called with the bytes as they come.
        :return: fires when Marathon ends the stream, fails with `SourceError` if it cannot be opened or breaks off;
            cancelling ends it at once.
        """
        return Deferred.fromCoroutine(self._event_stream(endpoint, opened, received, event_types))

    def subscriptions(self) -> Deferred[tuple[str, ...]]:
        """Return the callback URLs that are registered at ``/v2/eventSubscriptions``."""

        async def ask(endpoint: str) -> tuple[str, ...]:
            answer = await self._fetcher.fetch(endpoint, "/v2/eventSubscriptions")
            if answer.status != 200:
                raise subscriptions_refused(answer)
            try:
                return msgspec.json.decode(answer.body, type=_Subscriptions).callback_urls
            except (msgspec.DecodeError, UnicodeDecodeError):
                raise answer.unusable("the answer is no list of callbacks") from None

        return Deferred.fromCoroutine(self._in_turn(ask))

    def subscribe(self, callback_url: str) -> Deferred[None]:
        """Register a URL that events are posted to; repeating it is harmless."""
        return Deferred.fromCoroutine(self._change_subscription("POST", callback_url))

    def unsubscribe(self, callback_url: str) -> Deferred[None]:
        """Remove the registration of a URL."""
        return Deferred.fromCoroutine(self._change_subscription("DELETE", callback_url))

    # asking one Marathon

    async def _apps(self, endpoint: str) -> AppsAnswer:
        answer = await self._page(endpoint, APPS)
        parsed = _read(parse_apps, answer)
        if parsed.without_tasks:
            answer = await self._page(endpoint, APPS_UP_TO_0_9)
            parsed = _read(parse_apps, answer)
            if parsed.without_tasks:
                raise answer.unusable("the apps come without their tasks, though some run")
        pods, size = await self._all_pods(endpoint)
        self._pods = frozenset(app.id for app in pods.apps) | frozenset(pod.app_id for pod in pods.unreadable)
        return AppsAnswer(
            apps=parsed.apps + pods.apps,
            unreadable=parsed.unreadable + pods.unreadable,
            left_out=parsed.left_out + pods.left_out,
            size=len(answer.body) + size,
            url=endpoint,
        )

    async def _all_pods(self, endpoint: str) -> tuple[Parsed, int]:
        if not self._may_have_pods(endpoint):
            return Parsed(), 0
        answer = await self._fetcher.fetch(endpoint, PODS)
        if answer.status == 200:
            return _read(parse_pods, answer), len(answer.body)
        unknown = answer.refusal is MarathonRefusal.UNKNOWN_PAGE
        if unknown or (answer.status in (404, 405) and not self._pods):
            self._without_pods[endpoint] = self._clock.seconds()
            return Parsed(), 0
        raise answer.error()

    def _may_have_pods(self, endpoint: str) -> bool:
        since = self._without_pods.get(endpoint)
        return since is None or self._clock.seconds() - since >= ASK_FOR_PODS_AGAIN

    async def _app(self, endpoint: str, app_id: str) -> AppsAnswer:
        path = quote(app_id.strip("/"), safe="/")
        if app_id in self._pods:
            pod = await self._pod(endpoint, app_id, path)
            if pod.apps or pod.unreadable:
                return pod
        answer = await self._fetcher.fetch(endpoint, f"/v2/apps/{path}?embed=app.tasks&embed=app.readiness")
        if answer.status == 200:
            return _one(_read(parse_app, answer), app_id, answer, endpoint)
        if answer.refusal is not MarathonRefusal.UNKNOWN_APP:
            raise answer.error()
        if app_id not in self._pods and self._may_have_pods(endpoint):
            return await self._pod(endpoint, app_id, path)
        return AppsAnswer(apps=(), size=len(answer.body), url=endpoint)

    async def _pod(self, endpoint: str, app_id: str, path: str) -> AppsAnswer:
        """Return an answer with one pod; with none if there is no such pod, or this Marathon has no pods at all."""
        answer = await self._fetcher.fetch(endpoint, f"/v2/pods/{path}::status")
        if answer.status == 200:
            self._pods |= {app_id}
            return _one(_read(parse_pod, answer), app_id, answer, endpoint)
        if answer.refusal is MarathonRefusal.UNKNOWN_PAGE or (answer.status == 404 and answer.message):
            return AppsAnswer(apps=(), size=len(answer.body), url=endpoint)
        raise answer.error()

    async def _elected(self, endpoint: str) -> bool:
        answer = await self._page(endpoint, "/v2/info")
        try:
            info = msgspec.json.decode(answer.body, type=_Info)
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise answer.unusable("the answer says nothing about a leader") from None
        return bool(info.elected or info.leader)

    async def _event_stream(
        self,
        endpoint: str,
        opened: Callable[[str], object],
        received: Callable[[bytes], object],
        event_types: Iterable[str],
    ) -> None:
        query = urlencode([("plan-format", "light"), *(("event_type", kind) for kind in event_types)])
        opening = Deferred.fromCoroutine(
            self._fetcher.open(endpoint, f"/v2/events?{query}", "text/event-stream", event_stream_refused)
        )
        response, url = await self._limited(endpoint, opening)
        kind = (response.headers.getRawHeaders("Content-Type") or [""])[0]
        reader = BodyReader(received)
        if not kind.lower().startswith("text/event-stream"):
            reader.refuse(response)
            raise SourceError(
                url=url, reason=f"it answers {kind or 'something'!r} instead of an event stream"
            )
        opened(url.partition("/v2/events")[0])
        try:
            await reader.read(response)
        except FAILURES as error:
            raise failure(url, error, "the event stream broke off: ") from None

    async def _change_subscription(self, method: str, callback_url: str) -> None:
        async def ask(endpoint: str) -> None:
            path = "/v2/eventSubscriptions?" + urlencode({"callbackUrl": callback_url})
            answer = await self._fetcher.fetch(endpoint, path, method)
            if answer.status != 200:
                raise subscriptions_refused(answer)

        await self._in_turn(ask)

    async def _page(self, endpoint: str, path: str) -> MarathonAnswer:
        answer = await self._fetcher.fetch(endpoint, path)
        if answer.status != 200:
            raise answer.error()
        return answer

    # asking the Marathons in turn

    async def _in_turn(
        self, ask: Callable[[str], Coroutine[Deferred[Any], Any, T]], avoid: str | None = None
    ) -> T:
        """Ask the preferred Marathon first and ``avoid`` last; return the first usable answer. Raises `SourceError`."""
        problems: list[SourceError] = []
        first = self.preferred
        for endpoint in sorted(self.endpoints, key=lambda listed: (listed == avoid, listed != first)):
            try:
                result = await self._limited(endpoint, Deferred.fromCoroutine(ask(endpoint)))
            except SourceError as problem:
                problems.append(problem)
                continue
            if problems:
                self._log.info(
                    "{url} answered after other Marathons had failed, and is asked first from now on: {problems}",
                    url=endpoint,
                    problems="; ".join(map(str, problems)),
                )
            self.preferred = endpoint
            return result
        if len(problems) == 1:
            raise problems[0]
        raise SourceError(
            url="no Marathon gives an answer",
            reason="; ".join(map(str, problems)),
            status=problems[0].status,
        )

    async def _limited(self, endpoint: str, asked: Deferred[T]) -> T:
        """Return the result, or fail with a `SourceError` if it takes too long."""

        def too_late(result: object, timeout: float) -> Failure:
            reason = f"no complete answer within {timeout:g} seconds"
            return Failure(SourceError(url=endpoint, reason=reason))

        return await asked.addTimeout(self._timeout, self._clock, onTimeoutCancel=too_late)


def _read(parse: Callable[[Body], Parsed], answer: MarathonAnswer) -> Parsed:
    try:
        return parse(answer.body)
    except UnusableAnswer as error:
        raise answer.unusable(str(error)) from None


def _one(parsed: Parsed, app_id: str, answer: MarathonAnswer, endpoint: str) -> AppsAnswer:
    """Return the answer about one app; raise `SourceError` if it is about another app, or lacks the tasks."""
    for app in parsed.apps:
        if app.id != app_id:
            raise answer.unusable(f"asked about {app_id}, the answer is about {app.id}")
    if parsed.without_tasks:
        raise answer.unusable(f"{app_id} comes without its tasks, though some run")
    return AppsAnswer(
        apps=parsed.apps,
        unreadable=tuple(evolve(app, app_id=app_id) for app in parsed.unreadable),
        left_out=parsed.left_out,
        size=len(answer.body),
        url=endpoint,
    )
