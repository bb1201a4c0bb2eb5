"""The daemon: the services of its parts, what triggers them, and its pages."""

from __future__ import annotations

import signal
from collections.abc import Mapping
from typing import Any

from twisted.application.service import IService, MultiService
from twisted.internet.defer import CancelledError, Deferred, maybeDeferred
from twisted.internet.endpoints import serverFromString
from twisted.logger import Logger
from twisted.python.failure import Failure

from marathonlb import __version__
from marathonlb.base.causes import Cause, CauseKind
from marathonlb.config.templates.loader import load_templates, require_directory
from marathonlb.controller.recorder import Recorder
from marathonlb.controller.timeline import EventTimeline
from marathonlb.errors import PublishFailed, TemplateError, UsageError
from marathonlb.exclusive import ExclusiveService
from marathonlb.haproxy.factory import make_certificate_watch
from marathonlb.haproxy.files.lock import occupy
from marathonlb.haproxy.files.state_directory import WEB_SOCKET
from marathonlb.marathon.events.base import Poke, ReconnectingEventSource
from marathonlb.marathon.events.hints import Hint
from marathonlb.marathon.events.poller import Poller
from marathonlb.marathon.events.stream import EventStream
from marathonlb.marathon.events.subscription import Subscription
from marathonlb.marathon.factory import ClusterMember
from marathonlb.marathon.qualified import hint_within, ids_within
from marathonlb.metrics import Metrics
from marathonlb.parts import Parts, learn, make_parts, report, with_state_directory
from marathonlb.settings import Settings
from marathonlb.web.callback.hint_limits import HintLimiter
from marathonlb.web.callback.listener import CallbackListener
from marathonlb.web.callback.resource import CallbackSite
from marathonlb.web.context import ClusterContext
from marathonlb.web.factory import make_web

_log = Logger()


def make_service(settings: Settings, reactor: Any) -> IService:
    """
    Make the daemon.

    :raises MarathonLBError: the settings or the templates cannot be used.
    """
    metrics = Metrics(__version__, settings.mode, started=reactor.seconds())
    recorder = Recorder(reactor, EventTimeline(), metrics)
    return Controller(make_parts(settings, reactor, recorder, metrics.fetched), recorder, reactor)


def make_daemon(settings: Settings, reactor: Any) -> IService:
    """
    Make the daemon with the locks of its state directory and its files.

    :raises MarathonLBError: another controller has them, or the settings or the templates cannot be used.
    """
    settings = with_state_directory(settings)
    held = occupy(settings, reactor.seconds(), [WEB_SOCKET])
    try:
        service = make_service(settings, reactor)
    except BaseException:
        held.release()
        raise
    return ExclusiveService(held, service)


class Controller(MultiService):
    """
    The daemon's services: HAProxy first, then the reconciler, then the sources of hints.

    They stop in the reverse order; HAProxy serves on.
    """

    _log = Logger()

    def __init__(self, parts: Parts, recorder: Recorder, reactor: Any) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.parts = parts
        self.recorder = recorder
        self._reactor = reactor
        self._followers = MultiService()
        self._starting: Deferred[None] | None = None
        self._certificate_watch = make_certificate_watch(
            parts.settings, reactor, parts.reconciler, parts.applier, parts.loaded
        )
        following = sources(parts, reactor)
        services: list[IService] = [*dict.fromkeys(following.values()), self._certificate_watch]
        if parts.settings.mode == "event":
            services = [*_listening(parts.settings, following, reactor), *services]
        for service in services:
            service.setServiceParent(self._followers)
        self._web = make_web(
            parts.settings,
            reactor,
            reconciler=parts.reconciler,
            planner=parts.planner,
            gatherer=parts.gatherer,
            clusters=tuple(
                ClusterContext(
                    name=member.name,
                    endpoints=member.client.endpoints,
                    marathons=member.client,
                    source=following[member.name],
                    gatherer=member.gatherer,
                )
                for member in parts.members
            ),
            applier=parts.applier,
            hold=parts.hold,
            resolve=parts.hosts.address,
            recorder=recorder,
        )

    def startService(self) -> None:
        """Recover from a crash, then start all services."""
        super().startService()  # type: ignore[no-untyped-call]
        self._starting = Deferred.fromCoroutine(self._start())
        self._starting.addErrback(self._cannot_start)

    async def _start(self) -> None:
        parts = self.parts
        self._web.setServiceParent(self)  # type: ignore[no-untyped-call]
        try:
            await parts.applier.recover()
        except PublishFailed as error:
            self._log.error(
                "Reading the published configuration failed: {error}. Retrying with the first convergence",
                error=str(error),
            )
        await learn(parts)
        for service in (*parts.services, self._followers):
            service.setServiceParent(self)
        self._signals()

    def _cannot_start(self, failure: Failure) -> None:
        if not failure.check(CancelledError):
            self._log.failure("marathon-lb cannot start because of a defect", failure)
            self._reactor.stop()

    def stopService(self) -> Deferred[None]:
        """Stop all services in order; return a Deferred that fires when all have stopped."""
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        if self._starting is not None:
            self._starting.cancel()
        parts = self.parts
        for service in (self._followers, self._web, *reversed(parts.services)):
            if service.parent is not None:
                await maybeDeferred(service.disownServiceParent)
        await self.parts.pool.closeCachedConnections()
        await maybeDeferred(super().stopService)

    def _signals(self) -> None:
        for number in (signal.SIGHUP, signal.SIGUSR1):
            signal.signal(number, lambda number, _: self._reactor.callFromThread(self._signalled, number))

    def _signalled(self, number: int) -> None:
        """SIGHUP compares everything and reads templates and certificates; SIGUSR1 reloads HAProxy."""
        name = signal.Signals(number).name
        cause = Cause(CauseKind.SIGNAL, name)
        self._log.info("Received {signal}", signal=name)
        if number == signal.SIGHUP:
            self._certificate_watch.look().addErrback(
                lambda failure: self._log.failure(
                    "Reading certificates failed because of a defect in marathon-lb", failure
                )
            )
            self._read_templates()
            self.parts.reconciler.plan_again(cause)
            self.parts.reconciler.poke(Hint.of(None, cause))
        else:
            self.parts.reconciler.reload(cause)

    def _read_templates(self) -> None:
        """Read the templates again; if that fails, those from before serve on."""
        settings, planner = self.parts.settings, self.parts.planner
        try:
            templates = load_templates(settings.templates, settings.environment)
            require_directory(settings.templates, planner.texts.overrides.good)
        except TemplateError as error:
            planner.texts.overrides.unreadable(error.source, error.reason)
            planner.take(None)
        else:
            report(*templates.warnings)
            planner.take(templates)


def sources(parts: Parts, reactor: Any) -> dict[str, ReconnectingEventSource | Poller]:
    """Return the sources of hints for ``--mode``, by the name of their cluster."""
    settings = parts.settings
    if settings.mode == "poll":
        poller = Poller(parts.reconciler.poke, reactor, settings.poll_interval, parts.reconciler.idle)
        return {member.name: poller for member in parts.members}
    make = _event_stream if settings.mode == "sse" else _subscription
    by_cluster: dict[str, ReconnectingEventSource | Poller] = {}
    for member in parts.members:
        source = by_cluster[member.name] = make(parts, member, reactor)
        if member.name:
            source.name = f"{source.name} of {member.name}"
    return by_cluster


def _event_stream(parts: Parts, member: ClusterMember, reactor: Any) -> EventStream:
    settings = parts.settings
    stream = EventStream(
        member.client,
        _poke(parts, member),
        reactor,
        stall_timeout=settings.stall_timeout,
        resync_interval=settings.resync_interval,
        max_backoff=settings.max_backoff,
    )
    stream.ended = lambda apps, tasks: parts.reconciler.ended(ids_within(member.name, apps), tasks)
    return stream


def _subscription(parts: Parts, member: ClusterMember, reactor: Any) -> Subscription:
    settings = parts.settings
    return Subscription(
        member.client,
        _poke(parts, member),
        reactor,
        member.settings.callback_url,
        resync_interval=settings.resync_interval,
        max_backoff=settings.max_backoff,
    )


def _poke(parts: Parts, member: ClusterMember) -> Poke:
    """Return how a cluster's sources give hints; of several clusters, everything means everything of that one."""
    poke = parts.reconciler.poke
    if not parts.settings.named_clusters:
        return poke
    return lambda hint: poke(hint_within(member.name, hint))


def _listening(
    settings: Settings, following: Mapping[str, ReconnectingEventSource | Poller], reactor: Any
) -> tuple[IService, ...]:
    """
    Return the services that receive Marathon's callbacks and limit their hints.

    :raises UsageError: ``--listening`` is no endpoint.
    """
    try:
        endpoint = serverFromString(reactor, settings.listening)
    except ValueError as error:
        raise UsageError(
            option="--listening", value=settings.listening, expected=f"an endpoint of Twisted's ({error})"
        ) from None
    limiters = {
        name: HintLimiter(source.heard, reactor)
        for name, source in following.items()
        if isinstance(source, Subscription)
    }
    listener = CallbackListener(
        endpoint,
        CallbackSite({name: limiter.hear for name, limiter in limiters.items()}, reactor=reactor),
        reactor,
        where=settings.listening,
        resync_interval=settings.resync_interval,
    )
    return (listener, *limiters.values())
