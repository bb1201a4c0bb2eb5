"""Comparisons and plans as values."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from marathonlb.config.text.diff import differences
from marathonlb.haproxy.dynamic.update import Comparison, UpdatePlan
from marathonlb.haproxy.reload_reason import ADOPTED, WHITE_SPACE_DIFFERS
from tests.haproxy.installation import S
from tests.haproxy.samples import backend, config

OLD, NEW = config(backend("shop", S[1])), config(backend("shop", S[2]))


class ComparisonTests(SynchronousTestCase):
    """`Comparison`."""

    def test_reasons(self) -> None:
        """The reasons name what differs; there is none where nothing does."""
        self.assertEqual((), Comparison(OLD, OLD).reasons)
        (reason,) = Comparison(OLD, NEW, differences(OLD, NEW)).reasons
        self.assertIn("shop", str(reason))

    def test_adopted(self) -> None:
        """Of a HAProxy that was taken over the reasons say that first, and a differing blank is a reason, too."""
        self.assertEqual((), Comparison(OLD, OLD, identical=True, adopted=True).reasons)
        self.assertEqual((ADOPTED, WHITE_SPACE_DIFFERS), Comparison(OLD, OLD, adopted=True).reasons)
        adopted = Comparison(OLD, NEW, differences(OLD, NEW), adopted=True)
        self.assertIs(ADOPTED, adopted.reasons[0])
        self.assertEqual((), adopted.explained(()))


class UpdatePlanTests(SynchronousTestCase):
    """`UpdatePlan`."""

    def test_empty(self) -> None:
        """A plan without steps, maps, withdrawals and looks is false."""
        comparison = Comparison(OLD, OLD)
        self.assertFalse(UpdatePlan(OLD, comparison))
        for plan in (
            UpdatePlan(OLD, comparison, withdrawn=("shop",)),
            UpdatePlan(OLD, comparison, unsure=("shop",)),
            UpdatePlan(OLD, comparison, look_for_backends=True),
        ):
            self.assertTrue(plan)

    def test_looks(self) -> None:
        """A plan that reads back does nothing else."""
        comparison = Comparison(OLD, OLD)
        self.assertTrue(UpdatePlan(OLD, comparison, unsure=("shop",)).looks)
        self.assertFalse(UpdatePlan(OLD, comparison, withdrawn=("shop",)).looks)

    def test_rest_of_untouched(self) -> None:
        """The rest of a backend that the plan does not touch is empty."""
        self.assertEqual("", UpdatePlan(OLD, Comparison(OLD, OLD)).rest_of("shop"))
