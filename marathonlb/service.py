"""The one place where objects are joined: the daemon's services, and the parts that a single run shares with it."""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping
from typing import Any

from attrs import evolve, fields, frozen
from twisted.application.service import IService, MultiService
from twisted.internet.defer import CancelledError, Deferred, maybeDeferred
from twisted.internet.endpoints import serverFromString
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.client import HTTPConnectionPool

from marathonlb import __version__
from marathonlb.causes import Cause, CauseKind
from marathonlb.config.render import Renderer
from marathonlb.config.templates.loader import load_templates, require_directory
from marathonlb.config.templates.table import PER_APP_NAMES
from marathonlb.controller.certificates.admission import CertificateAdmission
from marathonlb.controller.hold import Hold
from marathonlb.controller.planner import Planner
from marathonlb.controller.reconciler import Reconciler
from marathonlb.controller.recorder import Record
from marathonlb.controller.timeline import Timeline
from marathonlb.errors import PublishFailed, TemplateError, UsageError
from marathonlb.haproxy.applier import Applier
from marathonlb.haproxy.certificates.reload_watch import Loaded, Renewal
from marathonlb.haproxy.factory import make_applier, make_certificates, make_renewal, version_of
from marathonlb.haproxy.files.accepted_templates import AcceptedTemplates
from marathonlb.haproxy.files.state_directory import StateDirectory, beside
from marathonlb.haproxy.process.account import with_account
from marathonlb.haproxy.rollback.pin import Pins
from marathonlb.marathon.dns import AgentHosts
from marathonlb.marathon.events.base import Poke, Source
from marathonlb.marathon.events.hints import Hint
from marathonlb.marathon.events.poller import EventStream, Poller, Subscription
from marathonlb.marathon.factory import Member, make_members
from marathonlb.marathon.federation import Everyone, Federation
from marathonlb.marathon.gatherer import Gathers
from marathonlb.marathon.qualified import hint_within, ids_within
from marathonlb.marathon.snapshot import Memory
from marathonlb.metrics import Metrics
from marathonlb.routing.names import cluster_of_backend
from marathonlb.routing.offers import Offers
from marathonlb.routing.policy.file import read_policy
from marathonlb.routing.policy.prefixes import OPEN
from marathonlb.settings import Settings
from marathonlb.web.callback.hint_limits import HintLimiter
from marathonlb.web.callback.listener import Listener
from marathonlb.web.callback.resource import CallbackSite
from marathonlb.web.context import ClusterSight
from marathonlb.web.factory import make_web

_log = Logger()


@frozen
class Parts:
    """The objects that a daemon and a single run have in common."""

    settings: Settings
    members: tuple[Member, ...]
    pool: HTTPConnectionPool
    applier: Applier
    hosts: AgentHosts
    reconciler: Reconciler
    gatherer: Gathers
    planner: Planner
    hold: Hold
    record: Record
    loaded: Loaded
    renewal: Renewal

    @property
    def services(self) -> tuple[IService, ...]:
        """What runs as long as the daemon does, in the order in which it starts; what pokes comes after it."""
        gathering = (self.gatherer,) if isinstance(self.gatherer, Federation) else ()
        return (self.applier.service, self.hosts, *gathering, self.reconciler)


def make_parts(settings: Settings, reactor: Any, *, once: bool = False) -> Parts:
    """
    Join what both faces need. Nothing is touched but the files of the templates and the policy, which are read.

    :param once: they are for a single run.
    :raises TemplateError: a template cannot be used.
    :raises UsageError: the policy, a certificate or an account cannot be used.
    """
    settings = with_system_ca(with_state_directory(settings))
    templates = load_templates(settings.templates, settings.environment)
    accepted = AcceptedTemplates(StateDirectory.of(settings))
    require_directory(settings.templates, accepted.read())
    settings, remark = with_account(settings, templates)
    _report(*templates.warnings, remark)
    pool = HTTPConnectionPool(reactor)
    metrics = Metrics(__version__, settings.mode, started=reactor.seconds())
    record = Record(reactor, Timeline(), metrics)
    policy = read_policy(settings.policy, PER_APP_NAMES) if settings.policy else OPEN
    certificates, loaded = make_certificates(settings, reactor)
    admission = CertificateAdmission(certificates, settings, policy)
    applier = make_applier(settings, reactor, loaded, cause=record.cause)
    hosts = AgentHosts(reactor.nameResolver, reactor)
    offers = Offers(settings, PER_APP_NAMES, hosts.address, policy)
    members = make_members(settings, reactor, pool, metrics.fetched, offers.count)
    gatherer = _gatherer(members, settings, reactor, applier, once=once)
    hold = Hold(
        Pins(settings.state_dir), os.path.dirname(os.path.abspath(settings.haproxy_config)), hosts.address
    )
    planner = Planner(offers, Renderer(settings, templates), admission, hold, accepted)
    reconciler = Reconciler(settings, gatherer, planner, applier, hosts, reactor, journal=record)
    hosts.changed = reconciler.poke
    if isinstance(gatherer, Federation):
        gatherer.poke = reconciler.poke
    renewal = make_renewal(settings, reactor, reconciler, applier, loaded)
    return Parts(
        settings, members, pool, applier, hosts, reconciler, gatherer, planner, hold, record, loaded, renewal
    )


def _gatherer(
    members: tuple[Member, ...], settings: Settings, reactor: Any, applier: Applier, *, once: bool
) -> Gathers:
    """Who asks the clusters: of one without a name its own, of others each by itself."""
    if not settings.named_clusters:
        return members[0].gatherer
    if once:
        return Everyone(member.gatherer for member in members)
    names = {member.name for member in members}

    def serves(cluster: str) -> bool:
        return any(cluster_of_backend(backend, names) == cluster for backend in applier.served())

    return Federation(
        {member.name: member.gatherer for member in members},
        reactor,
        serves,
        max_backoff=settings.max_backoff,
        memory=Memory(StateDirectory.of(settings).file),
    )


def make_service(settings: Settings, reactor: Any) -> IService:
    """
    The daemon.

    :raises MarathonLBError: the settings or the templates cannot be used.
    """
    return Controller(make_parts(settings, reactor), reactor)


async def learn(parts: Parts, reactor: Any) -> None:
    """Find out what of the text HAProxy's version decides, before any is written."""
    parts.planner.suit(await version_of(parts.settings, reactor))


class Controller(MultiService):
    """
    The daemon's services: HAProxy first, then the reconciler, then what pokes it.

    They stop in the other order: what pokes, then the reconciler; HAProxy serves on.
    """

    _log = Logger()

    def __init__(self, parts: Parts, reactor: Any) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.parts = parts
        self._reactor = reactor
        self._followers = MultiService()
        self._starting: Deferred[None] | None = None
        following = sources(parts, reactor)
        services: list[IService] = [*dict.fromkeys(following.values()), parts.renewal]
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
                ClusterSight(
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
            record=parts.record,
        )

    def startService(self) -> None:
        """Put right what a crash left, then start everything."""
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
                "The files that are there cannot be looked at: {error}. It is tried again", error=str(error)
            )
        await learn(parts, self._reactor)
        for service in (*parts.services, self._followers):
            service.setServiceParent(self)
        self._signals()

    def _cannot_start(self, failure: Failure) -> None:
        if not failure.check(CancelledError):
            self._log.failure("The load balancer cannot start: a defect", failure)
            self._reactor.stop()

    def stopService(self) -> Deferred[None]:
        """Stop in order; fires when everything has."""
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
        """SIGHUP looks at everything and reads the templates, SIGUSR1 lets HAProxy read its configuration again."""
        name = signal.Signals(number).name
        cause = Cause(CauseKind.SIGNAL, name)
        self._log.info("{signal} has come", signal=name)
        if number == signal.SIGHUP:
            self.parts.renewal.look().addErrback(
                lambda failure: self._log.failure("Certificates could not be looked at: a defect", failure)
            )
            self._read_templates()
            self.parts.reconciler.plan_again(cause)
            self.parts.reconciler.poke(Hint.of(None, cause))
        else:
            self.parts.reconciler.reload(cause)

    def _read_templates(self) -> None:
        """Read the templates anew; where that cannot be done those of before serve on."""
        settings, planner = self.parts.settings, self.parts.planner
        try:
            templates = load_templates(settings.templates, settings.environment)
            require_directory(settings.templates, planner.texts.overrides.good)
        except TemplateError as error:
            planner.texts.overrides.unreadable(error.source, error.reason)
            planner.take(None)
        else:
            _report(*templates.warnings)
            planner.take(templates)


def sources(parts: Parts, reactor: Any) -> dict[str, Source | Poller]:
    """What pokes the reconciler, as ``--mode`` says, by the name of the cluster that it is about."""
    settings = parts.settings
    if settings.mode == "poll":
        poller = Poller(parts.reconciler.poke, reactor, settings.poll_interval, parts.reconciler.idle)
        return {member.name: poller for member in parts.members}
    make = _event_stream if settings.mode == "sse" else _subscription
    found: dict[str, Source | Poller] = {}
    for member in parts.members:
        source = found[member.name] = make(parts, member, reactor)
        if member.name:
            source.name = f"{source.name} of {member.name}"
    return found


def _event_stream(parts: Parts, member: Member, reactor: Any) -> EventStream:
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


def _subscription(parts: Parts, member: Member, reactor: Any) -> Subscription:
    settings = parts.settings
    return Subscription(
        member.client,
        _poke(parts, member),
        reactor,
        member.settings.callback_url,
        resync_interval=settings.resync_interval,
        max_backoff=settings.max_backoff,
    )


def _poke(parts: Parts, member: Member) -> Poke:
    """How a cluster's own Marathon pokes: where there are several, what it calls everything is its own alone."""
    poke = parts.reconciler.poke
    if not parts.settings.named_clusters:
        return poke
    return lambda hint: poke(hint_within(member.name, hint))


def _listening(
    settings: Settings, following: Mapping[str, Source | Poller], reactor: Any
) -> tuple[IService, ...]:
    """
    Where Marathon posts its events, and what bounds the hints that come of them.

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
    listener = Listener(
        endpoint,
        CallbackSite({name: limiter.hear for name, limiter in limiters.items()}, reactor=reactor),
        reactor,
        where=settings.listening,
        resync_interval=settings.resync_interval,
    )
    return (listener, *limiters.values())


def with_state_directory(settings: Settings) -> Settings:
    """
    The settings with a state directory that this user can write to.

    The default is root's; where it is not ours to write and nobody chose it, the place is beside the configuration.
    """
    if settings.state_dir != fields(Settings).state_dir.default or _could_write(settings.state_dir):
        return settings
    return evolve(settings, state_dir=beside(settings))


def _could_write(directory: str) -> bool:
    while not os.path.isdir(directory):
        directory = os.path.dirname(directory)
    return os.access(directory, os.W_OK | os.X_OK)


def with_system_ca(settings: Settings) -> Settings:
    """
    The settings with a file of the authorities that this system trusts, where one of the usual places has it.

    HAProxy's own ``@system-ca`` is where its OpenSSL was built to look, which a binary from elsewhere does not have.
    """
    found = next((path for path in SYSTEM_CAS if os.path.isfile(path)), None)
    return settings if found is None else evolve(settings, system_ca=found)


SYSTEM_CAS = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
)
"""Debian and Alpine, Red Hat, its older releases, SUSE."""


def _report(*warnings: str) -> None:
    for warning in filter(None, warnings):
        _log.warn("{warning}", warning=warning)
