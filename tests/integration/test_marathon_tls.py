"""The TLS verification of Marathon, and the client certificate."""

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
from twisted.internet.ssl import Certificate, CertificateOptions, PrivateCertificate
from twisted.logger import LogLevel, globalLogPublisher
from twisted.trial.unittest import TestCase
from twisted.web.client import HTTPConnectionPool

from marathonlb.errors import SourceError, UsageError
from marathonlb.marathon.api.agent import make_agent
from marathonlb.marathon.api.auth import (
    BasicAuthorization,
    IAuthorization,
)
from marathonlb.marathon.api.client import MarathonClient
from marathonlb.marathon.factory import make_client, make_members
from marathonlb.settings import NamedCluster, Settings
from tests.fakes import http_marathon as http
from tests.fakes.http_marathon import HTTPMarathon
from tests.integration.authorities import Authority, key_text


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

    timeout = 80

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
        """A certificate of an unknown authority is refused, with the option that helps."""
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
        reason = await self.refused(self.ask("127.0.0.1", marathon_ca_cert=self.bundle(self.pem)))
        self.assertIn("not for this name or address", reason)

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
        """Without verification every certificate is accepted, by name and by address, with a warning at each start."""
        warnings: list[str] = []

        def observe(event: Any) -> None:
            if event["log_level"] is LogLevel.warn:
                warnings.append(event["log_format"])

        globalLogPublisher.addObserver(observe)
        self.addCleanup(globalLogPublisher.removeObserver, observe)
        for host in ("localhost", "127.0.0.1"):
            self.assertEqual((await self.ask(host, marathon_insecure=True)).apps, ())
        self.assertEqual(len([text for text in warnings if "--marathon-insecure" in text]), 2)


class Mutual(TestCase):
    """A Marathon that wants to see a certificate of ours."""

    timeout = 80

    async def setUp(self) -> None:
        self.directory = Path(self.mktemp())
        self.directory.mkdir()
        self.theirs, self.ours = Authority(self.directory), Authority(self.directory, "ours.test")
        self.mine = self.ours.issue("mine.pem", "load-balancer")
        self.server = await self.marathon(required=True)

    async def marathon(self, *, required: bool) -> HTTPMarathon:
        """A server that asks for a certificate, and notes whose it was shown."""
        server = HTTPMarathon()
        server.shown = []  # type: ignore[attr-defined]

        def apps(connection: http.Connection, request: http.Request) -> None:
            held = connection.transport.getPeerCertificate()  # type: ignore[union-attr]
            server.shown.append(held and held.get_subject().CN)  # type: ignore[attr-defined]
            http.json_body({"apps": []})(connection, request)

        server.scripts["/v2/apps"] = apps
        pair = PrivateCertificate.loadPEM(
            Path(self.theirs.issue("marathon.pem", "localhost", "127.0.0.1")).read_bytes()
        )
        authority = Certificate.loadPEM(Path(self.ours.path).read_bytes())
        options = CertificateOptions(
            privateKey=pair.privateKey.original,
            certificate=pair.original,
            verify=True,
            requireCertificate=required,
            caCerts=[authority.original],
        )
        await server.start(reactor, options)
        self.addCleanup(lambda: Deferred.fromCoroutine(server.stop()))
        return server

    def client(self, server: HTTPMarathon, host: str = "localhost", **settings: Any) -> MarathonClient:
        """The client as the settings make it."""
        pool = HTTPConnectionPool(reactor, persistent=False)
        made = Settings(
            marathon=(f"https://{host}:{server.port}",), marathon_ca_cert=self.theirs.path, **settings
        )
        return make_client(made, reactor, pool, lambda endpoint, code, size: None)

    async def refused(self, client: MarathonClient) -> str:
        """Why there is no answer."""
        with self.assertRaises(SourceError) as caught:
            await client.apps()
        return str(caught.exception)

    async def test_shown(self) -> None:
        """The certificate of --marathon-client-cert lets us in, by name and by address."""
        for host in ("localhost", "127.0.0.1"):
            await self.client(self.server, host, marathon_client_cert=self.mine).apps()
        self.assertEqual(self.server.shown, ["load-balancer"] * 2)  # type: ignore[attr-defined]

    async def test_without(self) -> None:
        """Without one, or with one of others, the reason names the option in one line."""
        other = Authority(self.directory, "other.test").issue("other.pem", "load-balancer")
        for path in (None, other):
            reason = await self.refused(self.client(self.server, marathon_client_cert=path))
            self.assertIn("--marathon-client-cert", reason)
            self.assertNotIn("\n", reason)

    async def test_insecure(self) -> None:
        """It is shown to an unverified Marathon, too, with --marathon-insecure."""
        client = self.client(self.server, marathon_client_cert=self.mine, marathon_insecure=True)
        await client.apps()
        self.assertEqual(self.server.shown, ["load-balancer"])  # type: ignore[attr-defined]

    async def test_replaced(self) -> None:
        """A new certificate in the file is shown at once; while the file is broken the last one is."""
        client = self.client(self.server, marathon_client_cert=self.mine)
        await client.apps()
        self.ours.issue("mine.pem", "successor")
        await client.apps()
        Path(self.mine).write_text("half a file")
        await client.apps()
        self.assertEqual(
            self.server.shown,  # type: ignore[attr-defined]
            ["load-balancer", "successor", "successor"],
        )

    async def test_redirect(self) -> None:
        """A redirect to a host that is neither listed nor named as the leader is followed without it."""
        foreign = await self.marathon(required=False)
        for name, expected in (("another:1", None), (f"localhost:{foreign.port}", "load-balancer")):
            self.server.scripts["/v2/leader"] = http.json_body({"leader": name})
            self.server.scripts["/v2/apps"] = http.redirect(307, f"https://localhost:{foreign.port}/v2/apps")
            await self.client(self.server, marathon_client_cert=self.mine).apps()
            self.assertEqual(foreign.shown.pop(), expected)  # type: ignore[attr-defined]

    def test_unusable(self) -> None:
        """A file without a certificate and its own key ends the start with the option's name."""
        alone = self.ours.issue("alone.pem", "x", mode="certificate")
        mixed = self.directory / "mixed.pem"
        mixed.write_bytes(Path(alone).read_bytes() + Path(self.ours.issue("k", "y", mode="key")).read_bytes())
        locked = self.directory / "locked.pem"
        key = key_text(ec.generate_private_key(ec.SECP256R1()), b"passphrase")
        locked.write_bytes(Path(alone).read_bytes() + key)
        for path in ("/nowhere", "/", alone, str(mixed), str(locked)):
            error = self.assertRaises(UsageError, make_agent, Settings(marathon_client_cert=path), reactor)
            self.assertEqual(error.option, "--marathon-client-cert")


class Clusters(TestCase):
    """Several clusters, each with credentials of its own."""

    timeout = 80

    async def marathon(self) -> HTTPMarathon:
        """A server without apps."""
        server = HTTPMarathon()
        server.scripts["/v2/apps"] = http.json_body({"apps": []})
        await server.start(reactor)
        self.addCleanup(lambda: Deferred.fromCoroutine(server.stop()))
        return server

    async def test_apart(self) -> None:
        """A cluster's credentials go to its own Marathons, and not along a redirect to another cluster's."""
        east, west = await self.marathon(), await self.marathon()
        clusters = (
            NamedCluster(name="east", marathon=(east.url,), auth_credentials=("east", "s3cret")),
            NamedCluster(name="west", marathon=(west.url,), auth_credentials=("west", "s3cret")),
        )
        settings = Settings(marathon=(), named_clusters=clusters)
        pool = HTTPConnectionPool(reactor, persistent=False)
        members = make_members(settings, reactor, pool, lambda endpoint, code, size: None, lambda app: 1)
        for member in members:
            await member.gatherer.gather(None)
        given = [server.requests[0].headers["authorization"] for server in (east, west)]
        self.assertEqual(given, [["Basic ZWFzdDpzM2NyZXQ="], ["Basic d2VzdDpzM2NyZXQ="]])
        west.requests.clear()
        east.scripts["/v2/apps"] = http.redirect(307, west.url + "/v2/apps")
        await members[0].client.apps()
        self.assertNotIn("authorization", west.requests[0].headers)
