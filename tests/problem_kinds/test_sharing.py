"""Kinds of problems between apps."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from marathonlb.problem_kinds import sharing
from marathonlb.problem_kinds.kind import Category


class SharingTests(SynchronousTestCase):
    """`marathonlb.problem_kinds.sharing`."""

    def test_categories(self) -> None:
        """Each topic has one category: collisions, labels of deployment groups, and the policy."""
        topics = {(kind.code[:5], kind.category) for kind in sharing.KINDS}
        self.assertEqual(
            {("MLB-3", Category.COLLISION), ("MLB-4", Category.LABEL), ("MLB-8", Category.POLICY)}, topics
        )

    def test_policy_stops_the_service(self) -> None:
        """Whatever the policy forbids is not served, and the operator may allow it."""
        for kind in sharing.KINDS:
            if kind.category is Category.POLICY:
                self.assertIn("is not served", kind.meanwhile, kind.code)
                self.assertIn("allow", kind.remedy, kind.code)
