"""Who listens on a port."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from marathonlb.marathon.model import Port
from tests.routing.apps import app
from tests.routing.explain.clusters import Cluster, shop


class PortTests(SynchronousTestCase):
    """Ports."""

    def test_bound(self) -> None:
        """A service port leads to its service."""
        said = Cluster([shop("x", "x.example", 10000)]).explain(":10000")
        self.assertEqual(("/x", "x_10000"), (said.services[0].app_id, said.services[0].backend))
        self.assertIn("the frontend x_10000_in listens there for /x port 0", said.verdict)

    def test_lost(self) -> None:
        """Who lost the port to an older app is told beside the one that has it."""
        late = app("/late", ports=(Port(10000),), config_changed_at="2024")
        said = Cluster([app("/early"), late]).explain("10000")
        self.assertEqual(["/early"], [service.app_id for service in said.services])
        self.assertEqual(["/late"], [reason.app_id for reason in said.reasons])
        self.assertIn("/early is older and keeps it", said.reasons[0].words)

    def test_own(self) -> None:
        """The load balancer's own ports are told as such, with who would have liked them."""
        said = Cluster([app("/x", ports=(Port(9090),))]).explain("9090")
        self.assertIn("--bind-stats", said.verdict)
        self.assertEqual(["/x"], [reason.app_id for reason in said.reasons])

    def test_not_served(self) -> None:
        """A port of a service that is not served brings up the reason."""
        said = Cluster(
            [
                app("/x", {"0_ENABLED": "no"}),
                app("/y", {"0_PORT": "10000", "0_STICKY": "?"}, ports=(Port(1),)),
            ]
        )
        reasons = {(reason.kind, reason.app_id) for reason in said.explain("10000").reasons}
        self.assertEqual({("selection", "/x"), ("problem", "/y")}, reasons)

    def test_nobody(self) -> None:
        """A port that nobody wants brings up the nearest ones."""
        cluster = Cluster([shop("x", "x.example", 10000), shop("y", "y.example", 10009)])
        self.assertEqual(("10009", "10000"), cluster.explain("10007").near)

    def test_name_of_backend(self) -> None:
        """A younger app with the port is told of the port alone, not of the name of its backend."""
        cluster = Cluster(
            (
                shop("a/b", "one.test", 10001),
                shop("a_b", "two.test", 10001, config_changed_at="2024-01-01T00:00:00.000Z"),
            )
        )
        answer = cluster.explain("10001")
        lost = [reason.words for reason in answer.reasons if reason.app_id == "/a_b"]
        self.assertEqual(1, len(lost), lost)
        self.assertIn("is claimed by /a_b and /a/b", lost[0])
