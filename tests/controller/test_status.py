"""The status of the controller."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from marathonlb.controller.status import RED_AFTER, ConvergenceStatus, CurrentStatus
from marathonlb.errors import HAProxyUnavailable, SourceError

MARATHON = SourceError(url="http://m1", reason="no answer")
HAPROXY = HAProxyUnavailable(reason="HAProxy is gone")


class ConvergenceStatusTests(SynchronousTestCase):
    """What failures do to the status."""

    def test_failures_of_haproxy_block(self) -> None:
        """Failures in a row are counted from the first one on, and readiness turns red after some of them."""
        status = ConvergenceStatus()
        for attempt in range(1, RED_AFTER + 1):
            status = status.failed(HAPROXY, 10.0 * attempt)
            assert status.blocked is not None
            self.assertEqual((status.blocked.since, status.blocked.attempts), (10.0, attempt))
            self.assertEqual(status.blocked.red, attempt == RED_AFTER)
        self.assertEqual(status.failures, RED_AFTER)
        self.assertIn("HAProxy is gone", status.failure)
        self.assertEqual(status.blocked.reason, status.failure)

    def test_failures_of_marathon_do_not_block(self) -> None:
        """A failure of Marathon counts as a failure, and leaves it open whether the plan can be applied."""
        status = ConvergenceStatus().failed(MARATHON, 1.0)
        self.assertEqual((status.failures, status.blocked), (1, None))
        blocked = ConvergenceStatus().failed(HAPROXY, 1.0)
        self.assertEqual(blocked.failed(MARATHON, 2.0).blocked, blocked.blocked)

    def test_update(self) -> None:
        """An update replaces the named fields and no others."""
        current = CurrentStatus()
        current.update(generation=3)
        current.update(reloads=1)
        self.assertEqual((current.now.generation, current.now.reloads), (3, 1))
