"""Problems as values."""

from __future__ import annotations

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from marathonlb.problem_kinds.apps import LABEL_VALUE, MORE_PROBLEMS
from marathonlb.problem_kinds.sharing import HOST_TAKEN
from marathonlb.routing.problems import Problem, gathered

PROBLEM = Problem("/shop", 0, "HAPROXY_0_MODE", "htpp", "is neither tcp nor http", kind=LABEL_VALUE)


class ProblemTests(SynchronousTestCase):
    """`Problem`."""

    def test_sentence(self) -> None:
        """Code, app, port, label, value and reason make one line; what is empty is left out."""
        for problem, line in (
            (PROBLEM, "MLB-101 /shop port 0: HAPROXY_0_MODE='htpp': is neither tcp nor http"),
            (
                evolve(PROBLEM, port_index=None, value=""),
                "MLB-101 /shop: HAPROXY_0_MODE: is neither tcp nor http",
            ),
            (evolve(PROBLEM, label="", value="x"), "MLB-101 /shop port 0: is neither tcp nor http"),
            (
                evolve(PROBLEM, app_id="", port_index=None),
                "MLB-101 HAPROXY_0_MODE='htpp': is neither tcp nor http",
            ),
        ):
            self.assertEqual(line, str(problem))

    def test_kind_is_part_of_it(self) -> None:
        """Two problems of different kinds differ, though they read alike."""
        self.assertNotEqual(PROBLEM, evolve(PROBLEM, kind=HOST_TAKEN))
        self.assertRaises(TypeError, Problem, "/shop", 0, "HAPROXY_0_MODE", "x", "y")

    def test_gathered(self) -> None:
        """Few problems are passed on as they are, and what is left out is counted for each app."""
        self.assertEqual([PROBLEM], list(gathered([PROBLEM])))
        many = [evolve(PROBLEM, port_index=index) for index in range(1000)]
        last = list(gathered([*many, evolve(PROBLEM, app_id="/zoo")]))[-2:]
        self.assertEqual([MORE_PROBLEMS, LABEL_VALUE], [problem.kind for problem in last])
        self.assertEqual(["/shop", "/zoo"], [problem.app_id for problem in last])
