"""The sentences that are made of facts."""

from __future__ import annotations

from collections import Counter

from twisted.trial.unittest import SynchronousTestCase

from marathonlb.base.causes import Cause, CauseKind
from marathonlb.controller.sentences import (
    MAX_CAUSES,
    cause_phrase,
    causes_sentence,
    outcome_sentence,
    some_of,
)
from marathonlb.haproxy.outcome import Postponed, Reloaded, RuntimeChanges, Stepped, Unchanged, Written
from marathonlb.haproxy.reload_reason import ADOPTED, FIRST_START, UNCONFIRMED, WHITE_SPACE_DIFFERS


class CauseSentenceTests(SynchronousTestCase):
    """Causes as the log, the timeline and the archive name them."""

    def test_every_kind_has_a_phrase(self) -> None:
        """Each kind of cause has a phrase of its own, without a placeholder."""
        phrases = [cause_phrase(Cause(kind, "thing")) for kind in CauseKind]
        self.assertNotIn("{", "".join(phrases))
        named = [phrase for phrase in phrases if phrase != "thing"]
        self.assertEqual(len(named), len(set(named)))
        self.assertEqual(len(phrases) - len(named), 2)

    def test_the_name_is_written_as_it_is(self) -> None:
        """A name with braces is no placeholder."""
        self.assertEqual(
            cause_phrase(Cause(CauseKind.ADDRESS, "{0}{name}")), "the address of {0}{name} changed"
        )
        self.assertEqual(cause_phrase(Cause(CauseKind.EVENT, "status_update_event")), "status_update_event")

    def test_a_cluster_without_a_name(self) -> None:
        """The cluster without a name is called so."""
        self.assertEqual(
            cause_phrase(Cause(CauseKind.CLUSTER_ANSWER)), "an answer of the cluster without a name"
        )
        self.assertEqual(cause_phrase(Cause(CauseKind.CLUSTER_ANSWER, "east")), "an answer of east")

    def test_the_most_frequent_come_first(self) -> None:
        """A sentence names the most frequent causes with their counts, and no more than the maximum."""
        causes = Counter({Cause(CauseKind.POLL): 1, Cause(CauseKind.EVENT, "b_event"): 3})
        self.assertEqual(causes_sentence(causes), "3 x b_event, poll")
        many = Counter({Cause(CauseKind.ADDRESS, str(number)): 1 for number in range(9)})
        self.assertEqual(causes_sentence(many).count("the address of"), MAX_CAUSES)
        self.assertEqual(causes_sentence({}), "")


class OutcomeSentenceTests(SynchronousTestCase):
    """Outcomes as the log and the timeline name them."""

    def test_each_outcome(self) -> None:
        """An outcome is told with its reason, and a postponed reload as pending."""
        changes = RuntimeChanges({"added": 2})
        for outcome, expected in (
            (Unchanged(), "no changes"),
            (Stepped(changes=changes), "runtime API: 2 servers added"),
            (Reloaded(reasons=(FIRST_START,)), "reloaded: there was no configuration"),
            (
                Reloaded(reasons=(ADOPTED, WHITE_SPACE_DIFFERS)),
                "reloaded after taking over HAProxy: white space",
            ),
            (
                Postponed(reasons=(UNCONFIRMED,)),
                "a reload is pending, since the last reload was not confirmed",
            ),
            (Written(), "files written"),
        ):
            self.assertEqual(outcome_sentence(outcome), expected)

    def test_some_of(self) -> None:
        """A long list is cut off with an ellipsis, a short one is whole."""
        self.assertEqual(some_of({"b", "a"}, 2), "a, b")
        self.assertEqual(some_of(["c", "b", "a"], 2), "a, b, …")
