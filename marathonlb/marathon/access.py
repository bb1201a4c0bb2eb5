"""How the settings let us in to one cluster: the agents, the credentials, and the client that has them."""

from __future__ import annotations

from typing import Any

from twisted.internet.interfaces import IReactorTime
from twisted.web.client import HTTPConnectionPool
from twisted.web.iweb import IAgent

from marathonlb.marathon.agent import make_agent
from marathonlb.marathon.auth import BasicAuthorization, FileAuthorization, IAuthorization, NoAuthorization
from marathonlb.marathon.client import MarathonClient
from marathonlb.marathon.dcos import ServiceAccount
from marathonlb.marathon.fetch import Observe
from marathonlb.settings import Settings


def authorization_for(settings: Settings, agent: IAgent, clock: IReactorTime) -> IAuthorization:
    """
    What the settings ask for: a service account before a file, a file, which may change, before a password.

    :param agent: signs in.
    :raises UsageError: the service account cannot be used.
    """
    if settings.dcos_auth_credentials:
        return ServiceAccount(settings.dcos_auth_credentials, settings.marathon[0], agent, clock)
    if settings.marathon_auth_credential_file:
        return FileAuthorization(settings.marathon_auth_credential_file)
    if settings.auth_credentials:
        return BasicAuthorization(*settings.auth_credentials)
    return NoAuthorization()


def make_client(
    settings: Settings, reactor: Any, pool: HTTPConnectionPool, observe: Observe
) -> MarathonClient:
    """
    The client of a cluster.

    :param pool: keeps its connections; whoever made it closes it.
    :param observe: as in `marathonlb.marathon.fetch.Fetcher`.
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
