"""Outcomes: their words and their facts."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from marathonlb.haproxy.outcome import (
    Outcome,
    Postponed,
    Reloaded,
    RuntimeChanges,
    Stepped,
    Unchanged,
    Written,
    action_word,
    changes_of,
    explanation,
    output_of,
    reasons_of,
)
from marathonlb.haproxy.reload_reason import NOT_RUNNING

CHANGES = RuntimeChanges({"added": 3, "drained": 1, "map": 2}, ("a.map", "b.map"))
WHY = (NOT_RUNNING,)

TABLE: tuple[tuple[Outcome, str, str], ...] = (
    (Unchanged(), "nothing", ""),
    (Stepped(changes=CHANGES), "steps", "3 servers added, 1 drained, a.map changed, b.map changed"),
    (Reloaded(reasons=WHY, changes=CHANGES), "reload", "HAProxy does not run"),
    (Written(reasons=WHY), "written", "HAProxy does not run"),
    (Postponed(reasons=WHY), "postponed", "HAProxy does not run"),
)


class OutcomeTests(SynchronousTestCase):
    """What a consumer reads of an outcome."""

    def test_words(self) -> None:
        """Each outcome has the word of the HTTP API and an explanation."""
        for outcome, word, text in TABLE:
            self.assertEqual((action_word(outcome), explanation(outcome)), (word, text))

    def test_facts(self) -> None:
        """Facts that an outcome does not have are empty."""
        self.assertEqual((reasons_of(Unchanged()), changes_of(Unchanged())), ((), RuntimeChanges()))
        self.assertEqual((reasons_of(Stepped(changes=CHANGES)), output_of(Stepped())), ((), ""))
        loud = Reloaded(reasons=WHY, changes=CHANGES, output="[WARNING] x")
        self.assertEqual((reasons_of(loud), changes_of(loud), output_of(loud)), (WHY, CHANGES, "[WARNING] x"))

    def test_changes(self) -> None:
        """Changes are counted by what was done to servers and to backends."""
        for counts, text in (
            ({}, ""),
            ({"added": 1}, "1 server added"),
            ({"added": 1, "removed": 2}, "1 server added, 2 removed"),
            ({"revived": 1, "readied": 1}, "2 servers put back"),
            ({"made": 1, "added": 2}, "1 backend added, 2 servers added"),
            ({"withdrawn": 2}, "2 backends removed"),
        ):
            self.assertEqual(str(RuntimeChanges(counts)), text)
            self.assertEqual(bool(RuntimeChanges(counts)), bool(counts))
