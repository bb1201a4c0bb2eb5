"""Kinds of problems with certificates and the operator's templates."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from marathonlb.problem_kinds import operators
from marathonlb.problem_kinds.kind import Category


class OperatorsTests(SynchronousTestCase):
    """`marathonlb.problem_kinds.operators`."""

    def test_topics(self) -> None:
        """The kinds are about certificates (MLB-5..) and templates (MLB-6..), and no others."""
        self.assertEqual({"MLB-5", "MLB-6"}, {kind.code[:5] for kind in operators.KINDS})

    def test_categories(self) -> None:
        """A file of a label is its label's, one that HAProxy refuses is quarantined, all else is the operator's."""
        labels = {kind.code for kind in operators.KINDS if kind.category is Category.LABEL}
        self.assertEqual({"MLB-501", "MLB-502", "MLB-503", "MLB-505"}, labels)
        held = {kind.code for kind in operators.KINDS if kind.category is Category.QUARANTINE}
        self.assertEqual({"MLB-504"}, held)
        others = [kind for kind in operators.KINDS if kind.code not in labels | held]
        self.assertEqual({Category.TEMPLATE}, {kind.category for kind in others})

    def test_remedies(self) -> None:
        """A template that is refused or cannot be read is read again at SIGHUP, as its remedy says."""
        for kind in (operators.TEMPLATE_REFUSED, operators.TEMPLATE_ERROR, operators.TEMPLATES_UNREADABLE):
            self.assertIn("SIGHUP", kind.remedy)
