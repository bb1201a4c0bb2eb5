"""Make the client and the gatherer of each cluster from the settings, with their agents and credentials."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from msgspec import Struct
from twisted.internet.interfaces import IReactorTime
from twisted.web.client import HTTPConnectionPool
from twisted.web.iweb import IAgent

from marathonlb.marathon.api.agent import ClientCertificate, make_agent, policy_for
from marathonlb.marathon.api.auth import (
    BasicAuthorization,
    FileAuthorization,
    IAuthorization,
    NoAuthorization,
)
from marathonlb.marathon.api.client import MarathonClient
from marathonlb.marathon.api.request import Observe
from marathonlb.marathon.gatherer import Gatherer
from marathonlb.marathon.model import App
from marathonlb.marathon.qualified import NamedMarathon
from marathonlb.settings import Settings


class ClusterMember(Struct, frozen=True):
    """
    One of the clusters.

    :param name: empty if it has none.
    :param settings: the settings for this cluster.
    """

    name: str
    settings: Settings
    client: MarathonClient
    gatherer: Gatherer


def make_members(
    settings: Settings,
    reactor: Any,
    pool: HTTPConnectionPool,
    observe: Observe,
    weigh: Callable[[App], int],
) -> tuple[ClusterMember, ...]:
    """
    Return the clusters that the settings name.

    :param pool: keeps the connections, and is closed by its owner.
    :param observe: see `marathonlb.marathon.api.request.Fetcher`.
    :param weigh: returns the number of services of an app.
    :raises UsageError: a certificate or an account cannot be used.
    """
    members = []
    for name, own in settings.clusters.items():
        client = make_client(own, reactor, pool, observe)
        marathon = NamedMarathon(name, client) if name else client
        gatherer = Gatherer(marathon, reactor, max_shrink=settings.max_shrink, weigh=weigh)
        members.append(ClusterMember(name, own, client, gatherer))
    return tuple(members)


def authorization_for(settings: Settings, agent: IAgent, clock: IReactorTime) -> IAuthorization:
    """
    Return the credentials that the settings name: a service account, else a file, else a password.

    :param agent: sends the login of a service account.
    :raises UsageError: the service account cannot be used.
    """
    if settings.dcos_auth_credentials:
        from marathonlb.marathon.api.dcos import ServiceAccount

        return ServiceAccount(settings.dcos_auth_credentials, settings.marathon[0], agent, clock)
    if settings.marathon_auth_credential_file:
        return FileAuthorization(settings.marathon_auth_credential_file)
    if settings.auth_credentials:
        return BasicAuthorization(*settings.auth_credentials)
    return NoAuthorization()


def check_access(settings: Settings) -> None:
    """
    Check a cluster's certificates and service account, without a request.

    :raises UsageError: one cannot be used.
    """
    path = settings.marathon_client_cert
    policy_for(settings, ClientCertificate(path) if path else None)
    if settings.dcos_auth_credentials:
        from marathonlb.marathon.api.dcos import check_account

        check_account(settings.dcos_auth_credentials)


def make_client(
    settings: Settings, reactor: Any, pool: HTTPConnectionPool, observe: Observe
) -> MarathonClient:
    """
    Return the client of a cluster.

    :param pool: keeps its connections, and is closed by its owner.
    :param observe: see `marathonlb.marathon.api.request.Fetcher`.
    :raises UsageError: a certificate or an account cannot be used.
    """
    agent = make_agent(settings, reactor, pool)
    anonymous = make_agent(settings, reactor, anonymous=True)
    return MarathonClient(
        settings.marathon,
        agent,
        reactor,
        authorization_for(settings, anonymous, reactor),
        observe=observe,
        anonymous=anonymous if settings.marathon_client_cert else None,
    )
