"""The causes of a convergence."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from marathonlb.base.causes import Cause, CauseKind

VALUES = """
event
other event
unreadable event
oversized event
lost event
poll
resync
no events yet
stream attached
callback registered
second opinion
signal
pinned
released
pin failed
cluster answer
address
certificates
certificate
retry
quarantine
readiness
template
search
postponed reload
"""
"""The API and the metrics show these: lines are added here, and never changed."""


class CauseTests(SynchronousTestCase):
    """`Cause` and its kinds."""

    def test_stable(self) -> None:
        """The kinds' values are stable, and each is used once."""
        self.assertEqual(VALUES.split("\n")[1:-1], [kind.value for kind in CauseKind])

    def test_values(self) -> None:
        """Causes with the same kind and name are one cause in a set; a name is not required."""
        causes = {Cause(CauseKind.POLL), Cause(CauseKind.POLL), Cause(CauseKind.POLL, "x")}
        self.assertEqual(2, len(causes))
        self.assertEqual("", Cause(CauseKind.POLL).name)
