"""Make and join the parts of the controller that the daemon and a single run of the script have in common."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from attrs import evolve, fields
from msgspec import Struct
from twisted.application.service import IService
from twisted.logger import Logger
from twisted.web.client import HTTPConnectionPool

from marathonlb.config.render import Renderer
from marathonlb.config.templates.loader import Templates, load_templates, require_directory
from marathonlb.config.templates.table import PER_APP_NAMES
from marathonlb.controller.certificates.admission import CertificateAdmission
from marathonlb.controller.event_log import EventLog
from marathonlb.controller.hold import Hold
from marathonlb.controller.planner import Planner
from marathonlb.controller.reconciler import Reconciler
from marathonlb.haproxy.applier import Applier
from marathonlb.haproxy.certificates.loaded import LoadedCertificates
from marathonlb.haproxy.factory import make_applier, make_binary, make_certificates, version_of
from marathonlb.haproxy.files.accepted_templates import AcceptedTemplates
from marathonlb.haproxy.files.state_directory import StateDirectory, state_directory_beside
from marathonlb.haproxy.process.account import with_account
from marathonlb.haproxy.process.binary import Binary
from marathonlb.haproxy.rollback.pin import Pins
from marathonlb.marathon.api.request import Observe
from marathonlb.marathon.dns import AgentHosts
from marathonlb.marathon.factory import ClusterMember, make_members
from marathonlb.marathon.gatherer import AppGatherer
from marathonlb.routing.names import cluster_of_backend
from marathonlb.routing.offers import Offers
from marathonlb.routing.policy.prefixes import OPEN, Policy
from marathonlb.settings import Settings

if TYPE_CHECKING:
    from marathonlb.marathon.federation import Federation

_log = Logger()


class Parts(Struct, frozen=True):
    """
    The objects that a daemon and a single run have in common.

    :param federation: the gatherer of a daemon that follows named clusters; else None.
    """

    settings: Settings
    members: tuple[ClusterMember, ...]
    pool: HTTPConnectionPool
    binary: Binary
    applier: Applier
    hosts: AgentHosts
    reconciler: Reconciler
    gatherer: AppGatherer
    federation: Federation | None
    planner: Planner
    hold: Hold
    loaded: LoadedCertificates

    @property
    def services(self) -> tuple[IService, ...]:
        """The services of the daemon in the order in which they start; the sources of hints start after them."""
        gathering = () if self.federation is None else (self.federation,)
        return (self.applier.service, self.hosts, *gathering, self.reconciler)


def make_parts(
    settings: Settings,
    reactor: Any,
    event_log: EventLog,
    observe: Observe = lambda endpoint, code, size: None,
    *,
    once: bool = False,
) -> Parts:
    """
    Make the objects that the daemon and a single run need. Only the files of the templates and the policy are read.

    :param event_log: logs what is done.
    :param observe: see `marathonlb.marathon.api.request.Fetcher`.
    :param once: True for a single run.
    :raises TemplateError: a template cannot be used.
    :raises UsageError: the policy, a certificate or an account cannot be used.
    """
    settings, templates, accepted = _with_templates(with_system_ca(with_state_directory(settings)))
    pool = HTTPConnectionPool(reactor)
    policy = _policy(settings)
    certificates, loaded = make_certificates(settings, reactor)
    admission = CertificateAdmission(certificates, settings, policy)
    binary = make_binary(settings, reactor)
    applier = make_applier(settings, reactor, loaded, binary=binary, cause=event_log.cause)
    hosts = AgentHosts(reactor.nameResolver, reactor)
    offers = Offers(settings, PER_APP_NAMES, hosts.address, policy)
    members = make_members(settings, reactor, pool, observe, offers.count)
    federation = None if once else _federation(members, settings, reactor, applier.served)
    gatherer = _gatherer(members, settings) if federation is None else federation
    directory = os.path.dirname(os.path.abspath(settings.haproxy_config))
    hold = Hold(Pins(settings.state_dir), directory, hosts.address)
    planner = Planner(offers, Renderer(settings, templates), admission, hold, accepted)
    reconciler = Reconciler(settings, gatherer, planner, applier, hosts, reactor, event_log=event_log)
    hosts.changed = reconciler.poke
    if federation is not None:
        federation.poke = reconciler.poke
    return Parts(
        settings,
        members,
        pool,
        binary,
        applier,
        hosts,
        reconciler,
        gatherer,
        federation,
        planner,
        hold,
        loaded,
    )


def _with_templates(settings: Settings) -> tuple[Settings, Templates, AcceptedTemplates]:
    """Read the templates; return them, those that HAProxy accepted last, and the settings with HAProxy's account."""
    templates = load_templates(settings.templates, settings.environment)
    accepted = AcceptedTemplates(StateDirectory.of(settings))
    require_directory(settings.templates, accepted.read())
    settings, remark = with_account(settings, templates)
    report(*templates.warnings, remark)
    return settings, templates, accepted


def _policy(settings: Settings) -> Policy:
    """Return the rules of the policy file; without one every label is allowed."""
    if not settings.policy:
        return OPEN
    from marathonlb.routing.policy.file import read_policy

    return read_policy(settings.policy, PER_APP_NAMES)


def _gatherer(members: tuple[ClusterMember, ...], settings: Settings) -> AppGatherer:
    """Return the gatherer of the cluster without a name, or one that asks all named clusters."""
    if not settings.named_clusters:
        return members[0].gatherer
    from marathonlb.marathon.federation import AllClusters

    return AllClusters(member.gatherer for member in members)


def _federation(
    members: tuple[ClusterMember, ...], settings: Settings, reactor: Any, served: Callable[[], Iterable[str]]
) -> Federation | None:
    """
    Return the gatherer that follows several clusters separately; None for a cluster without a name.

    :param served: returns the names of the backends that HAProxy serves.
    """
    if not settings.named_clusters:
        return None
    from marathonlb.marathon.federation import Federation
    from marathonlb.marathon.snapshot import ClusterSnapshots

    names = {member.name for member in members}

    def serves(cluster: str) -> bool:
        return any(cluster_of_backend(backend, names) == cluster for backend in served())

    return Federation(
        {member.name: member.gatherer for member in members},
        reactor,
        serves,
        max_backoff=settings.max_backoff,
        snapshots=ClusterSnapshots(StateDirectory.of(settings).file),
    )


async def learn(parts: Parts) -> None:
    """Ask for HAProxy's version and adapt the text to it, before any is written."""
    parts.planner.suit(await version_of(parts.binary))


def _can_write(directory: str) -> bool:
    while not os.path.isdir(directory):
        directory = os.path.dirname(directory)
    return os.access(directory, os.W_OK | os.X_OK)


def with_state_directory(settings: Settings, can_write: Callable[[str], bool] = _can_write) -> Settings:
    """
    Return the settings with a state directory that this user can write to.

    The default belongs to root; if this user cannot write to it and no option names another, the directory is next to
    the configuration.

    :param can_write: returns whether this user can make a directory or write to it.
    """
    if settings.state_dir != fields(Settings).state_dir.default or can_write(settings.state_dir):
        return settings
    return evolve(settings, state_dir=state_directory_beside(settings))


SYSTEM_CAS = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
)
"""The paths in Debian and Alpine, Red Hat, its older releases, SUSE."""


def with_system_ca(settings: Settings, paths: Iterable[str] = SYSTEM_CAS) -> Settings:
    """
    Return the settings with the file of the authorities that this system trusts, if it is in one of these paths.

    HAProxy's own ``@system-ca`` is the path that its OpenSSL was built with; a binary from elsewhere does not find it.
    """
    path = next(filter(os.path.isfile, paths), None)
    return settings if path is None else evolve(settings, system_ca=path)


def report(*warnings: str) -> None:
    """Log these warnings; empty ones are left out."""
    for warning in filter(None, warnings):
        _log.warn("{warning}", warning=warning)
