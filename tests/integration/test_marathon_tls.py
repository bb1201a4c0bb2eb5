"""Whom the client believes that it is Marathon."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.ssl import PrivateCertificate
from twisted.logger import LogLevel, globalLogPublisher
from twisted.trial.unittest import TestCase

from marathonlb.errors import SourceError, UsageError
from marathonlb.marathon.auth import (
    BasicAuthorization,
    FileAuthorization,
    IAuthorization,
    NoAuthorization,
    authorization_for,
)
from marathonlb.marathon.client import MarathonClient, make_agent
from marathonlb.settings import Settings
from tests.fakes import http_marathon as http
from tests.fakes.http_marathon import HTTPMarathon


def certificate(name: str) -> tuple[bytes, bytes]:
    """A certificate for a host name that vouches for itself, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    secret = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return made.public_bytes(pem), secret


class TLS(TestCase):
    """The agent's ways of believing."""

    timeout = 20

    async def setUp(self) -> None:
        self.pem, key = certificate("localhost")
        self.server = HTTPMarathon()
        self.server.scripts["/v2/apps"] = http.json_body({"apps": []})
        await self.server.start(reactor, PrivateCertificate.loadPEM(self.pem + key).options())
        self.addCleanup(lambda: Deferred.fromCoroutine(self.server.stop()))

    def ask(
        self, host: str = "localhost", auth: IAuthorization | None = None, **settings: Any
    ) -> Deferred[Any]:
        """Ask for the apps."""
        agent = make_agent(Settings(**settings), reactor)  # type: ignore[arg-type]
        url = f"https://{host}:{self.server.port}"
        return MarathonClient([url], agent, reactor, auth, timeout=5).apps()  # type: ignore[arg-type]

    def bundle(self, *pems: bytes) -> str:
        """A file with these."""
        path = Path(self.mktemp())
        path.write_bytes(b"\n# a comment\n".join(pems))
        return str(path)

    async def refused(self, asked: Deferred[Any]) -> str:
        """The reason that a question ends with; no request may have been sent."""
        with self.assertRaises(SourceError) as caught:
            await asked
        self.assertEqual(self.server.requests, [])
        return str(caught.exception)

    async def test_unknown(self) -> None:
        """A certificate that nobody vouches for is refused, with the option that helps."""
        self.assertIn("--marathon-ca-cert", await self.refused(self.ask()))

    async def test_bundle(self) -> None:
        """A certificate out of the bundle is believed."""
        other, _ = certificate("other")
        self.assertEqual((await self.ask(marathon_ca_cert=self.bundle(other, self.pem))).apps, ())

    async def test_other_bundle(self) -> None:
        """A bundle of others vouches for others."""
        other, _ = certificate("localhost")
        self.assertIn("TLS failed", await self.refused(self.ask(marathon_ca_cert=self.bundle(other))))

    async def test_wrong_name(self) -> None:
        """A believed certificate of another name is refused."""
        await self.refused(self.ask("127.0.0.1", marathon_ca_cert=self.bundle(self.pem)))

    async def test_downgrade(self) -> None:
        """Credentials that were meant for TLS do not go to a leader without it, even one that is named."""
        leader = HTTPMarathon()
        leader.scripts["/v2/apps"] = http.json_body({"apps": []})
        await leader.start(reactor)
        self.addCleanup(lambda: Deferred.fromCoroutine(leader.stop()))
        named = f"X-Marathon-Leader: {leader.url}"
        self.server.scripts["/v2/apps"] = http.redirect(302, leader.url + "/v2/apps", named)
        bundle = self.bundle(self.pem)
        await self.ask(auth=BasicAuthorization("lb", "s3cret"), marathon_ca_cert=bundle)
        self.assertIn("authorization", self.server.requests[0].headers)
        self.assertNotIn("authorization", leader.requests[0].headers)

    async def test_insecure(self) -> None:
        """Without verification anybody is believed, by name and by address, with a warning at each start."""
        warnings: list[str] = []

        def observe(event: Any) -> None:
            if event["log_level"] is LogLevel.warn:
                warnings.append(event["log_format"])

        globalLogPublisher.addObserver(observe)
        self.addCleanup(globalLogPublisher.removeObserver, observe)
        for host in ("localhost", "127.0.0.1"):
            self.assertEqual((await self.ask(host, marathon_insecure=True)).apps, ())
        self.assertEqual(len([text for text in warnings if "--marathon-insecure" in text]), 2)

    def test_bad_bundle(self) -> None:
        """A bundle that cannot be used ends the start with the option's name."""
        broken = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
        for path in ("/nowhere", "/", self.bundle(b""), self.bundle(b"text"), self.bundle(broken)):
            with self.assertRaises(UsageError) as caught:
                make_agent(Settings(marathon_ca_cert=path), reactor)  # type: ignore[arg-type]
            self.assertIn("--marathon-ca-cert", str(caught.exception))


class Authorization(TestCase):
    """Which credentials the settings ask for."""

    def test_settings(self) -> None:
        """The file wins over the option, and without either there are none."""
        for settings, kind in (
            (Settings(), NoAuthorization),
            (Settings(auth_credentials=("u", "p")), BasicAuthorization),
            (Settings(auth_credentials=("u", "p"), marathon_auth_credential_file="x"), FileAuthorization),
        ):
            self.assertIsInstance(authorization_for(settings), kind)
