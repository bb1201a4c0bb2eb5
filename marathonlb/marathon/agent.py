"""
The agent that talks to Marathon: TLS with verified host names, and connections that are kept for a while.

``--marathon-ca-cert`` replaces the system's authorities; only ``--marathon-insecure`` turns verification off.
"""

from __future__ import annotations

import re
from pathlib import Path

from OpenSSL import SSL, crypto
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator, IReactorTime
from twisted.internet.ssl import Certificate, CertificateOptions, trustRootFromCertificates
from twisted.logger import Logger
from twisted.web.client import Agent, BrowserLikePolicyForHTTPS, HTTPConnectionPool
from twisted.web.iweb import IAgent, IPolicyForHTTPS
from zope.interface import implementer

from marathonlb.errors import UsageError
from marathonlb.settings import Settings

CONNECT_TIMEOUT = 5.0
"""Seconds; Marathon's own proxy gives its leader as long."""

IDLE_TIMEOUT = 20
"""Seconds that an idle connection is kept; Marathon closes them after 30."""

_PEM = re.compile(rb"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----\r?\n?", re.DOTALL)


@implementer(IOpenSSLClientConnectionCreator)
class _Unverified:
    """Starts TLS with anyone who answers."""

    def __init__(self, hostname: bytes) -> None:
        self._hostname = hostname
        self._context = CertificateOptions(verify=False).getContext()

    def clientConnectionForTLS(self, tlsProtocol: object) -> SSL.Connection:
        """A connection that names the host it wants, and believes every certificate."""
        connection = SSL.Connection(self._context, None)
        if not re.fullmatch(rb"[0-9.]+|.*:.*", self._hostname):
            connection.set_tlsext_host_name(self._hostname)
        return connection


@implementer(IPolicyForHTTPS)
class UnverifiedPolicy:
    """``--marathon-insecure``: whoever answers is Marathon."""

    _log = Logger()

    def __init__(self) -> None:
        self._log.warn(
            "--marathon-insecure: Marathon's certificate and host name are not verified, so anyone on the way can "
            "read its credentials and change what is served; give --marathon-ca-cert instead"
        )

    def creatorForNetloc(self, hostname: bytes, port: int) -> IOpenSSLClientConnectionCreator:
        """How TLS is started with this host."""
        return _Unverified(hostname)


def policy_for(settings: Settings) -> IPolicyForHTTPS:
    """
    Whom to believe that it is Marathon.

    :raises UsageError: the bundle cannot be read, or holds no certificate.
    """
    if settings.marathon_insecure:
        return UnverifiedPolicy()
    path = settings.marathon_ca_cert
    if path is None:
        return BrowserLikePolicyForHTTPS()
    try:
        blocks = _PEM.findall(Path(path).read_bytes())
        certificates = [Certificate.loadPEM(block) for block in blocks]
    except (OSError, crypto.Error, ValueError):
        certificates = []
    if not certificates:
        raise UsageError(
            option="--marathon-ca-cert", value=path, expected="a readable file with PEM certificates"
        )
    return BrowserLikePolicyForHTTPS(trustRootFromCertificates(certificates))


def make_agent(
    settings: Settings,
    reactor: IReactorTime,
    pool: HTTPConnectionPool | None = None,
    connect_timeout: float = CONNECT_TIMEOUT,
) -> IAgent:
    """
    An agent for `marathonlb.marathon.client.MarathonClient`.

    :param pool: whose owner closes it at the end; without one no connection outlives its request.
    :raises UsageError: ``--marathon-ca-cert`` is not what it should be.
    """
    if pool is not None:
        pool.cachedConnectionTimeout = IDLE_TIMEOUT
    agent: IAgent = Agent(reactor, policy_for(settings), connectTimeout=connect_timeout, pool=pool)
    return agent
