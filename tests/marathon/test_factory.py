"""The clients and gatherers that the settings make."""

from __future__ import annotations

from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.client import HTTPConnectionPool

from marathonlb.errors import UsageError
from marathonlb.marathon.api.agent import make_agent
from marathonlb.marathon.api.auth import BasicAuthorization, FileAuthorization, NoAuthorization
from marathonlb.marathon.factory import (
    ClusterMember,
    authorization_for,
    check_access,
    make_client,
    make_members,
)
from marathonlb.settings import NamedCluster, Settings


class FactoryTests(SynchronousTestCase):
    """`marathonlb.marathon.factory`."""

    def setUp(self) -> None:
        self.reactor = MemoryReactorClock()

    def members(self, settings: Settings) -> tuple[ClusterMember, ...]:
        """Return the clusters of these settings."""
        pool = HTTPConnectionPool(self.reactor)
        return make_members(settings, self.reactor, pool, lambda endpoint, code, size: None, lambda app: 1)

    def test_credentials(self) -> None:
        """The file wins over the password, and without either there are no credentials."""
        for settings, kind in (
            (Settings(), NoAuthorization),
            (Settings(auth_credentials=("u", "p")), BasicAuthorization),
            (Settings(auth_credentials=("u", "p"), marathon_auth_credential_file="x"), FileAuthorization),
        ):
            agent = make_agent(settings, self.reactor)
            self.assertIsInstance(authorization_for(settings, agent, self.reactor), kind)

    def test_one_cluster(self) -> None:
        """Without names there is one cluster, with the addresses of ``--marathon``."""
        (member,) = self.members(Settings(marathon=("http://m1:8080", "http://m2:8080")))
        self.assertEqual(("", ("http://m1:8080", "http://m2:8080")), (member.name, member.client.endpoints))
        self.assertFalse(member.gatherer.complete)

    def test_several_clusters(self) -> None:
        """Each named cluster has a client of its own addresses, and a gatherer of its own."""
        settings = Settings(
            named_clusters=(
                NamedCluster(name="east", marathon=("http://e1:8080",)),
                NamedCluster(name="west", marathon=("http://w1:8080",)),
            ),
            marathon=(),
        )
        east, west = self.members(settings)
        self.assertEqual(("east", ("http://e1:8080",)), (east.name, east.client.endpoints))
        self.assertEqual(("west", ("http://w1:8080",)), (west.name, west.client.endpoints))
        self.assertIsNot(east.gatherer, west.gatherer)

    def test_unusable(self) -> None:
        """Certificates and accounts that cannot be used end the start, and are found by the check as well."""
        for settings, option in (
            (Settings(marathon_client_cert="/nowhere"), "--marathon-client-cert"),
            (Settings(marathon_ca_cert="/nowhere"), "--marathon-ca-cert"),
            (Settings(dcos_auth_credentials="/nowhere"), "--dcos-auth-credentials"),
        ):
            pool = HTTPConnectionPool(self.reactor)
            for make in (
                lambda settings=settings: check_access(settings),
                lambda settings=settings, pool=pool: make_client(
                    settings, self.reactor, pool, lambda endpoint, code, size: None
                ),
            ):
                self.assertEqual(option, self.assertRaises(UsageError, make).option)
        check_access(Settings())
