"""When HAProxy may be reloaded."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from marathonlb.controller.reload_limiter import ReloadLimiter


class FloorTests(SynchronousTestCase):
    """Two reloads are kept apart."""

    def test_apart(self) -> None:
        """The next one comes after the interval, and after twice what the last one took where that is longer."""
        floor = ReloadLimiter(10)
        self.assertTrue(floor.may_reload(0))
        for took, until in ((1, 110), (20, 140)):
            floor.reloaded(100, took)
            self.assertFalse(floor.may_reload(until - 0.1))
            self.assertTrue(floor.may_reload(until))
            self.assertEqual(floor.postponed(104), until - 104)

    def test_gathers(self) -> None:
        """One that waits for others waits from the first of them on, and no longer than the interval."""
        floor = ReloadLimiter(10)
        self.assertTrue(floor.may_gather(50))
        self.assertEqual([floor.postponed(now) for now in (50, 53)], [10, 7])
        self.assertTrue(floor.may_gather(59))
        self.assertFalse(floor.may_gather(60))
        floor.caught_up()
        self.assertTrue(floor.may_gather(60))
