"""The problems of collisions, and the services that are contested."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from marathonlb.problem_kinds.sharing import HOST_TAKEN, WEIGHT_UNUSED
from marathonlb.routing.claims.collisions import Collisions
from tests.routing.apps import service


class CollisionTests(SynchronousTestCase):
    """What is collected."""

    def test_lose(self) -> None:
        """The loser's problem is fatal, names both apps and the winner's advantage, and both are contested."""
        for winner, advantage in (
            (service("a", since="2019"), "is older"),
            (service("a"), "goes first"),
            (service("z"), "has the larger weight"),
        ):
            collisions = Collisions()
            collisions.lose(service("b"), winner, "VHOST", "x.test", HOST_TAKEN)
            (problem,) = collisions.problems
            self.assertEqual(
                ("/b", 0, "HAPROXY_0_VHOST"), (problem.app_id, problem.port_index, problem.label)
            )
            self.assertEqual(
                f"is claimed by /b and {winner.app_id}; {winner.app_id} {advantage} and keeps it",
                problem.reason,
            )
            self.assertEqual((HOST_TAKEN, winner.app_id, True), (problem.kind, problem.rival, problem.fatal))
            self.assertEqual({("/b", 0), winner.key}, collisions.contested)

    def test_report(self) -> None:
        """A report is about the port of a service, and contests nothing."""
        collisions = Collisions()
        other = service("b", port_index=2)
        collisions.report(other, "BACKEND_WEIGHT", "9", "is not used", WEIGHT_UNUSED, fatal=False)
        (problem,) = collisions.problems
        self.assertEqual(("HAPROXY_2_BACKEND_WEIGHT", 2), (problem.label, problem.port_index))
        self.assertEqual((WEIGHT_UNUSED, "", False), (problem.kind, problem.rival, problem.fatal))
        self.assertEqual(set(), collisions.contested)
