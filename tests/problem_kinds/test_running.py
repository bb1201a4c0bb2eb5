"""Kinds of problems of what runs: the quarantine, the pin and failures of the controller."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from marathonlb.problem_kinds import running
from marathonlb.problem_kinds.kind import Category


class RunningTests(SynchronousTestCase):
    """`marathonlb.problem_kinds.running`."""

    def test_categories(self) -> None:
        """MLB-7.. is the quarantine; of MLB-9.. the pin is a problem, and the others are failures."""
        for kind in running.KINDS:
            if kind.code.startswith("MLB-7"):
                self.assertIs(Category.QUARANTINE, kind.category, kind.code)
            elif kind is running.PINNED:
                self.assertIs(Category.PIN, kind.category)
            else:
                self.assertTrue(kind.code.startswith("MLB-9"), kind.code)
                self.assertIs(Category.FAILURE, kind.category, kind.code)

    def test_pin_is_released(self) -> None:
        """The remedy of a pin names the option that releases it."""
        self.assertIn("--rollback 0", running.PINNED.remedy)
