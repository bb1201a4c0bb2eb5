"""
The HTTP agent for Marathon: TLS with verified host names, and persistent connections.

``--marathon-ca-cert`` replaces the system's authorities; only ``--marathon-insecure`` turns verification off. The
certificate of ``--marathon-client-cert`` is shown only to listed Marathons and to the leader that one of them names.
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

from marathonlb.base.files import ChangedFile
from marathonlb.errors import UsageError
from marathonlb.settings import Settings

CONNECT_TIMEOUT = 5.0
"""Maximum number of seconds to connect; Marathon's own proxy gives its leader the same."""

IDLE_TIMEOUT = 20
"""Seconds that an idle connection is kept; Marathon closes it after 30."""

_PEM = re.compile(rb"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----\r?\n?", re.DOTALL)

_UNUSABLE = (OSError, crypto.Error, SSL.Error, ValueError)
_PAIR = "a readable PEM file with a certificate and its private key, without a passphrase"


class ClientCertificate:
    """
    The client certificate (``--marathon-client-cert``): a PEM file with the certificate, its key and its chain.

    It is read again when it changes, since such certificates are often replaced every few days. While the file cannot
    be used, the certificate read before is used.

    :raises UsageError: the file cannot be read, or does not hold a certificate with its key.
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
        """Return the arguments of `CertificateOptions`."""
        try:
            self._options = self._read()
        except _UNUSABLE:
            self._log.warn(
                "--marathon-client-cert {path} has changed and is not {expected}; the certificate read before stays in "
                "use, correct the file",
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
        options = {
            # Without this function OpenSSL would ask for a passphrase on the terminal.
            "privateKey": crypto.load_privatekey(crypto.FILETYPE_PEM, text, lambda *_: b""),
            "certificate": own,
            "extraCertChain": chain,
        }
        CertificateOptions(**options).getContext()  # raises if the key does not belong to the certificate
        return options


@implementer(IOpenSSLClientConnectionCreator)
class _UnverifiedConnectionCreator:
    """Starts TLS without verifying the other side."""

    def __init__(self, hostname: bytes, options: dict[str, Any]) -> None:
        self._hostname = hostname
        self._context = CertificateOptions(verify=False, **options).getContext()

    def clientConnectionForTLS(self, tlsProtocol: object) -> SSL.Connection:
        """Return a connection that sends the host name and accepts every certificate."""
        connection = SSL.Connection(self._context, None)
        if not re.fullmatch(rb"[0-9.]+|.*:.*", self._hostname):
            connection.set_tlsext_host_name(self._hostname)
        return connection


@implementer(IPolicyForHTTPS)
class UnverifiedPolicy:
    """The TLS policy of ``--marathon-insecure``: every certificate is accepted."""

    _log = Logger()

    def __init__(self, client_certificate: ClientCertificate | None = None) -> None:
        self._client_certificate = client_certificate

    def warn(self) -> None:
        """Log the risk."""
        self._log.warn(
            "--marathon-insecure is set: Marathon's certificate and host name are not verified, so anyone on the "
            "network path can read the credentials and change the configuration; use --marathon-ca-cert instead"
        )

    def creatorForNetloc(self, hostname: bytes, port: int) -> IOpenSSLClientConnectionCreator:
        """Return the object that starts TLS with this host."""
        return _UnverifiedConnectionCreator(
            hostname, self._client_certificate.options() if self._client_certificate else {}
        )


@implementer(IPolicyForHTTPS)
class VerifiedPolicy:
    """
    The usual TLS policy: Marathon's certificate must be valid for its host name or address.

    :param trust: the trusted authorities; None for the system's.
    """

    def __init__(self, trust: Any = None, client_certificate: ClientCertificate | None = None) -> None:
        self._trust = trust
        self._client_certificate = client_certificate

    def creatorForNetloc(self, hostname: bytes, port: int) -> IOpenSSLClientConnectionCreator:
        """Return the object that starts TLS with this host."""
        options = self._client_certificate.options() if self._client_certificate else {}
        creator: IOpenSSLClientConnectionCreator = optionsForClientTLS(
            hostname.decode("ascii"), trustRoot=self._trust, extraCertificateOptions=dict(options)
        )
        return creator


def policy_for(settings: Settings, client_certificate: ClientCertificate | None = None) -> IPolicyForHTTPS:
    """
    Return the TLS policy that the settings ask for.

    :param client_certificate: the client certificate; None for none.
    :raises UsageError: the bundle of authorities cannot be read, or holds no certificate.
    """
    if settings.marathon_insecure:
        return UnverifiedPolicy(client_certificate)
    path = settings.marathon_ca_cert
    if path is None:
        return VerifiedPolicy(None, client_certificate)
    try:
        blocks = _PEM.findall(Path(path).read_bytes())
        certificates = [Certificate.loadPEM(block) for block in blocks]
    except _UNUSABLE:
        certificates = []
    if not certificates:
        raise UsageError(
            option="--marathon-ca-cert", value=path, expected="a readable file with PEM certificates"
        )
    return VerifiedPolicy(trustRootFromCertificates(certificates), client_certificate)


def make_agent(
    settings: Settings,
    reactor: IReactorTime,
    pool: HTTPConnectionPool | None = None,
    connect_timeout: float = CONNECT_TIMEOUT,
    *,
    anonymous: bool = False,
) -> IAgent:
    """
    Return an agent for `marathonlb.marathon.api.client.MarathonClient`.

    :param pool: keeps the connections, and is closed by its owner; without one each request has its own connection.
    :param anonymous: do not use the client certificate.
    :raises UsageError: ``--marathon-ca-cert`` or ``--marathon-client-cert`` cannot be used.
    """
    if pool is not None:
        pool.cachedConnectionTimeout = IDLE_TIMEOUT
    path = None if anonymous else settings.marathon_client_cert
    policy = policy_for(settings, ClientCertificate(path) if path else None)
    if isinstance(policy, UnverifiedPolicy) and not anonymous:
        policy.warn()
    agent: IAgent = Agent(reactor, policy, connectTimeout=connect_timeout, pool=pool)
    return agent
