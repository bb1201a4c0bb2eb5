"""The settings of named clusters, and HAProxy's account."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from marathonlb.settings import Account, NamedCluster, Settings


class ClusterTests(SynchronousTestCase):
    """`NamedCluster` and `Settings.clusters`."""

    def test_alone(self) -> None:
        """The cluster without a name is the only one by default."""
        self.assertEqual({"": Settings()}, Settings().clusters)

    def test_named(self) -> None:
        """Clusters with names stand beside the one without, and each has its own URLs and callback."""
        east = NamedCluster(name="east & west", marathon=("http://east:8080",))
        clusters = Settings(named_clusters=(east,), callback_url="http://lb/cb?x=1").clusters
        self.assertEqual(["", "east & west"], list(clusters))
        self.assertEqual((), clusters[""].named_clusters)
        own = clusters["east & west"]
        self.assertEqual((("http://east:8080",), ()), (own.marathon, own.named_clusters))
        self.assertEqual("http://lb/cb?x=1&cluster=east%20%26%20west", own.callback_url)
        plain = east.among(Settings(callback_url="http://lb/cb"))
        self.assertEqual("http://lb/cb?cluster=east%20%26%20west", plain.callback_url)

    def test_only_named(self) -> None:
        """Without URLs there is no cluster without a name."""
        west = NamedCluster(name="west", marathon=("http://west",))
        self.assertEqual(["west"], list(Settings(marathon=(), named_clusters=(west,)).clusters))

    def test_credentials(self) -> None:
        """A cluster with credentials of its own uses none of the common ones; one without uses all of these."""
        common = Settings(auth_credentials=("user", "secret"), dcos_auth_credentials="account")
        without = NamedCluster(name="a", marathon=("http://a",)).among(common)
        self.assertEqual(
            (("user", "secret"), "account"), (without.auth_credentials, without.dcos_auth_credentials)
        )
        own = NamedCluster(name="a", marathon=("http://a",), marathon_auth_credential_file="/file").among(
            common
        )
        self.assertEqual(
            (None, None, "/file"),
            (own.auth_credentials, own.dcos_auth_credentials, own.marathon_auth_credential_file),
        )

    def test_certificates(self) -> None:
        """A cluster's certificates replace the common ones."""
        common = Settings(marathon_ca_cert="/ca", marathon_client_cert="/client")
        own = NamedCluster(name="a", marathon=("http://a",), marathon_ca_cert="/own").among(common)
        self.assertEqual(("/own", "/client"), (own.marathon_ca_cert, own.marathon_client_cert))

    def test_secrets_stay_hidden(self) -> None:
        """No representation of settings shows a secret."""
        secret = ("user", "hunter2")
        cluster = NamedCluster(
            name="a", marathon=(), auth_credentials=secret, dcos_auth_credentials="hunter2"
        )
        settings = Settings(
            auth_credentials=secret, dcos_auth_credentials="hunter2", admin_token="hunter2",
            environment={"HAPROXY_X": "hunter2"}, named_clusters=(cluster,),
        )  # fmt: skip
        self.assertNotIn("hunter2", repr(settings))


class AccountTests(SynchronousTestCase):
    """`Account`."""

    def test_directives(self) -> None:
        """HAProxy has different keywords for names and for numbers."""
        named = Account(user="haproxy", group="haproxy", uid=99, gid=99)
        self.assertEqual(("user haproxy", "group haproxy"), named.directives)
        numbers = Account(user="64999", group="64999", uid=64999, gid=64999)
        self.assertEqual(("uid 64999", "gid 64999"), numbers.directives)
