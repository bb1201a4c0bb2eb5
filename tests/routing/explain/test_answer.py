"""Questions and answers."""

from __future__ import annotations

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from marathonlb.problem_kinds.running import PINNED
from marathonlb.routing.explain.answer import explain
from marathonlb.routing.explain.question import question_of
from marathonlb.routing.problems import PIN, Problem
from tests.routing.explain.clusters import SHOPS, Cluster


class AnswerTests(SynchronousTestCase):
    """`explain`."""

    def test_each_kind(self) -> None:
        """A URL, an app and a port are answered, each as what it is."""
        for text, kind in (("http://shop.example.com/", "url"), ("/shop/web", "app"), ("10001", "port")):
            self.assertEqual(kind, Cluster(SHOPS).explain(text).kind)

    def test_pinned(self) -> None:
        """While a configuration is pinned, the answer says that it is for the time after the pin."""
        state = Cluster(SHOPS).state()
        pin = Problem("", None, PIN, "", "configuration 1 is pinned: no change", fatal=False, kind=PINNED)
        answer = explain(question_of("/shop/web"), evolve(state, problems=(pin, *state.problems)))
        self.assertEqual("without the pin: its port is served", answer.verdict)
        self.assertEqual("pin", answer.reasons[0].kind)
        self.assertEqual(
            "configuration 1 is pinned: no change; this is the routing without the pin",
            answer.reasons[0].words,
        )
