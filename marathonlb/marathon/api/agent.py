"""
The agent that talks to Marathon: TLS with verified host names, and connections that are kept for a while.

``--marathon-ca-cert`` replaces the system's authorities; only ``--marathon-insecure`` turns verification off.
``--marathon-client-cert`` shows Marathon who we are, and is shown to nobody whom no listed Marathon vouches for.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from OpenSSL import SSL, crypto
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator, IReactorTime
from twisted.internet.ssl import (
    Certificate,
    CertificateOptions,
    optionsForClientTLS,
    trustRootFromCertificates,
)
from twisted.logger import Logger
from twisted.web.client import Agent, HTTPConnectionPool
from twisted.web.iweb import IAgent, IPolicyForHTTPS
from zope.interface import implementer

from marathonlb.errors import UsageError
from marathonlb.files import ChangedFile
from marathonlb.settings import Settings

CONNECT_TIMEOUT = 5.0
"""Seconds; Marathon's own proxy gives its leader as long."""

IDLE_TIMEOUT = 20
"""Seconds that an idle connection is kept; Marathon closes them after 30."""

_PEM = re.compile(rb"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----\r?\n?", re.DOTALL)

_UNUSABLE = (OSError, crypto.Error, SSL.Error, ValueError)
_PAIR = "a readable PEM file with a certificate and its private key, without a passphrase"


class Identity:
    """
    What shows Marathon who we are: ``--marathon-client-cert``, a PEM file with a certificate, its key and its chain.

    It is read again when it changes, since such certificates are often replaced every few days. While it holds nothing
    that can be used, what it held before is.

    :raises UsageError: the file cannot be read, or does not hold what it should.
    """

    _log = Logger()

    def __init__(self, path: str) -> None:
        self._path = path
        self._file = ChangedFile(path)
        try:
            self._options = self._read()
        except _UNUSABLE:
            raise UsageError(option="--marathon-client-cert", value=path, expected=_PAIR) from None

    def options(self) -> dict[str, Any]:
        """As `CertificateOptions` takes them."""
        try:
            self._options = self._read()
        except _UNUSABLE:
            self._log.warn(
                "{path}: --marathon-client-cert is not {expected}; the certificate that it held before is shown",
                path=self._path,
                expected=_PAIR,
            )
        return dict(self._options)

    def _read(self) -> dict[str, Any]:
        version = self._file.changed()
        if version is None:
            return self._options
        self._file.accept(version)
        text = Path(self._path).read_bytes()
        own, *chain = (Certificate.loadPEM(block).original for block in _PEM.findall(text))
        found = {
            # Without a passphrase of ours OpenSSL would ask for one on the terminal.
            "privateKey": crypto.load_privatekey(crypto.FILETYPE_PEM, text, lambda *_: b""),
            "certificate": own,
            "extraCertChain": chain,
        }
        CertificateOptions(**found).getContext()  # raises where the key is another one's
        return found


@implementer(IOpenSSLClientConnectionCreator)
class _Unverified:
    """Starts TLS with anyone who answers."""

    def __init__(self, hostname: bytes, options: dict[str, Any]) -> None:
        self._hostname = hostname
        self._context = CertificateOptions(verify=False, **options).getContext()

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

    def __init__(self, identity: Identity | None = None) -> None:
        self._identity = identity

    def warn(self) -> None:
        """Say what that means."""
        self._log.warn(
            "--marathon-insecure: Marathon's certificate and host name are not verified, so anyone on the way can "
            "read its credentials and change what is served; give --marathon-ca-cert instead"
        )

    def creatorForNetloc(self, hostname: bytes, port: int) -> IOpenSSLClientConnectionCreator:
        """How TLS is started with this host."""
        return _Unverified(hostname, self._identity.options() if self._identity else {})


@implementer(IPolicyForHTTPS)
class VerifiedPolicy:
    """
    Marathon is who shows a certificate for its host name, or its address, that an authority vouches for.

    :param trust: the authorities; None for the system's.
    """

    def __init__(self, trust: Any = None, identity: Identity | None = None) -> None:
        self._trust = trust
        self._identity = identity

    def creatorForNetloc(self, hostname: bytes, port: int) -> IOpenSSLClientConnectionCreator:
        """How TLS is started with this host."""
        options = self._identity.options() if self._identity else {}
        creator: IOpenSSLClientConnectionCreator = optionsForClientTLS(
            hostname.decode("ascii"), trustRoot=self._trust, extraCertificateOptions=dict(options)
        )
        return creator


def policy_for(settings: Settings, identity: Identity | None = None) -> IPolicyForHTTPS:
    """
    Whom to believe that it is Marathon.

    :param identity: who we are; None shows nobody.
    :raises UsageError: the bundle cannot be read, or holds no certificate.
    """
    if settings.marathon_insecure:
        return UnverifiedPolicy(identity)
    path = settings.marathon_ca_cert
    if path is None:
        return VerifiedPolicy(None, identity)
    try:
        blocks = _PEM.findall(Path(path).read_bytes())
        certificates = [Certificate.loadPEM(block) for block in blocks]
    except _UNUSABLE:
        certificates = []
    if not certificates:
        raise UsageError(
            option="--marathon-ca-cert", value=path, expected="a readable file with PEM certificates"
        )
    return VerifiedPolicy(trustRootFromCertificates(certificates), identity)


def make_agent(
    settings: Settings,
    reactor: IReactorTime,
    pool: HTTPConnectionPool | None = None,
    connect_timeout: float = CONNECT_TIMEOUT,
    *,
    anonymous: bool = False,
) -> IAgent:
    """
    An agent for `marathonlb.marathon.api.client.MarathonClient`.

    :param pool: whose owner closes it at the end; without one no connection outlives its request.
    :param anonymous: it shows nobody who we are.
    :raises UsageError: ``--marathon-ca-cert`` or ``--marathon-client-cert`` is not what it should be.
    """
    if pool is not None:
        pool.cachedConnectionTimeout = IDLE_TIMEOUT
    path = None if anonymous else settings.marathon_client_cert
    policy = policy_for(settings, Identity(path) if path else None)
    if isinstance(policy, UnverifiedPolicy) and not anonymous:
        policy.warn()
    agent: IAgent = Agent(reactor, policy, connectTimeout=connect_timeout, pool=pool)
    return agent
