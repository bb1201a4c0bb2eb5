"""The agent for Marathon: what the settings make; with real TLS in ``integration/test_marathon_tls.py``."""

from __future__ import annotations

import os
from pathlib import Path

from twisted.internet.interfaces import IOpenSSLClientConnectionCreator
from twisted.internet.testing import MemoryReactorClock
from twisted.logger import LogEvent, formatEvent, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.client import HTTPConnectionPool
from twisted.web.iweb import IAgent, IPolicyForHTTPS
from zope.interface.verify import verifyObject

from marathonlb.errors import UsageError
from marathonlb.marathon.api.agent import (
    IDLE_TIMEOUT,
    ClientCertificate,
    UnverifiedPolicy,
    VerifiedPolicy,
    make_agent,
    policy_for,
)
from marathonlb.settings import Settings
from tests.integration.authorities import Authority


class Case(SynchronousTestCase):
    """A directory, and the log."""

    def setUp(self) -> None:
        self.directory = self.mktemp()
        os.mkdir(self.directory)
        self.log: list[str] = []
        globalLogPublisher.addObserver(self._observe)
        self.addCleanup(globalLogPublisher.removeObserver, self._observe)

    def _observe(self, event: LogEvent) -> None:
        self.log.append(formatEvent(event))

    def file(self, content: bytes, name: str = "file.pem") -> str:
        """Write a file, and return its path."""
        path = os.path.join(self.directory, name)
        with open(path + ".new", "wb") as file:
            file.write(content)
        os.replace(path + ".new", path)
        return path


class PolicyTests(Case):
    """`policy_for`."""

    def test_kinds(self) -> None:
        """Certificates are verified, unless ``--marathon-insecure`` is set."""
        self.assertIsInstance(policy_for(Settings()), VerifiedPolicy)
        self.assertIsInstance(policy_for(Settings(marathon_insecure=True)), UnverifiedPolicy)
        for policy in (policy_for(Settings()), policy_for(Settings(marathon_insecure=True))):
            self.assertTrue(verifyObject(IPolicyForHTTPS, policy))
            for host in (b"m1.test", b"10.0.0.1", b"::1"):
                creator = policy.creatorForNetloc(host, 443)
                self.assertTrue(verifyObject(IOpenSSLClientConnectionCreator, creator))

    def test_bundle(self) -> None:
        """A bundle of authorities is read at the start; one that cannot be used names its option."""
        authority = Authority(Path(self.directory))
        policy_for(Settings(marathon_ca_cert=authority.path))
        broken = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
        for path in ("/nowhere", "/", self.file(b"", "a"), self.file(b"text", "b"), self.file(broken, "c")):
            error = self.assertRaises(UsageError, policy_for, Settings(marathon_ca_cert=path))
            self.assertEqual(("--marathon-ca-cert", path), (error.option, error.value))


class ClientCertificateTests(Case):
    """`ClientCertificate`."""

    def setUp(self) -> None:
        super().setUp()
        self.authority = Authority(Path(self.directory))
        with open(self.authority.issue("issued.pem", "lb"), "rb") as file:
            self.pem = file.read()

    def test_replaced(self) -> None:
        """A replaced file is read again; while it cannot be used the last certificate is, and the log says so."""
        certificate = ClientCertificate(self.file(self.pem))
        first = certificate.options()["certificate"]
        self.file(b"half")
        self.assertEqual(first, certificate.options()["certificate"])
        self.assertIn("the certificate read before stays in use", "".join(self.log))
        with open(self.authority.issue("other.pem", "other"), "rb") as file:
            self.file(file.read())
        self.assertEqual("other", certificate.options()["certificate"].get_subject().CN)

    def test_unusable(self) -> None:
        """A file without a certificate and its key ends the start, with the option's name."""
        begin = self.pem.index(b"-----BEGIN CERTIFICATE")
        key = self.pem[self.pem.index(b"-----BEGIN PRIVATE") :].partition(b"-----BEGIN CERTIFICATE")[0]
        certificate = self.pem[begin:].partition(b"-----BEGIN PRIVATE")[0]
        ClientCertificate(self.file(key + certificate))
        for content in (b"", b"text", key, certificate):
            error = self.assertRaises(UsageError, ClientCertificate, self.file(content))
            self.assertEqual("--marathon-client-cert", error.option)
        self.assertRaises(UsageError, ClientCertificate, "/nowhere")


class AgentTests(Case):
    """`make_agent`."""

    def test_pool(self) -> None:
        """An agent closes idle connections before Marathon does."""
        reactor = MemoryReactorClock()
        pool = HTTPConnectionPool(reactor)
        self.assertTrue(verifyObject(IAgent, make_agent(Settings(), reactor, pool)))
        self.assertEqual(IDLE_TIMEOUT, pool.cachedConnectionTimeout)

    def test_insecure(self) -> None:
        """The log names the risk of ``--marathon-insecure``, once for both agents."""
        for anonymous in (True, False):
            make_agent(Settings(marathon_insecure=True), MemoryReactorClock(), anonymous=anonymous)
        self.assertEqual(1, len([line for line in self.log if "--marathon-insecure is set" in line]))

    def test_anonymous(self) -> None:
        """An anonymous agent does not read the client certificate."""
        settings = Settings(marathon_client_cert="/nowhere")
        make_agent(settings, MemoryReactorClock(), anonymous=True)
        self.assertRaises(UsageError, make_agent, settings, MemoryReactorClock())
