"""The controller's parts for a single run."""

from __future__ import annotations

from collections import Counter

from twisted.trial.unittest import SynchronousTestCase

from marathonlb.base.causes import Cause, CauseKind
from marathonlb.script.parts import RunLog


class RunLogTests(SynchronousTestCase):
    """The log of a single run."""

    def test_stages(self) -> None:
        """Each stage is reported when it begins, and errors in it pass through."""
        stages: list[str] = []
        log = RunLog(stages.append)
        with log.stage("gather"):
            self.assertEqual(stages, ["gather"])
        with self.assertRaises(KeyError), log.stage("render"):
            raise KeyError
        self.assertEqual(stages, ["gather", "render"])

    def test_cause(self) -> None:
        """The archive learns the causes of the convergence under way."""
        log = RunLog(lambda stage: None)
        self.assertEqual(log.cause(), "")
        log.begins(None, Counter([Cause(CauseKind.ADDRESS, "agent1")]))
        self.assertEqual(log.cause(), "the address of agent1 changed")
