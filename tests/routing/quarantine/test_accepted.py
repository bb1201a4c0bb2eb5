"""The services whose text HAProxy has read."""

from __future__ import annotations

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from marathonlb.routing.quarantine.accepted import Readings
from tests.routing.apps import app, offered, service, task

ONE, TWO = service("one", 1), service("two", 2)


class ReadingsTests(SynchronousTestCase):
    """`Readings`."""

    def setUp(self) -> None:
        self.readings = Readings()
        self.readings.took([ONE, TWO], {ONE.key: ONE, TWO.key: TWO}, read=True)

    def test_nothing_read(self) -> None:
        """Before HAProxy has read anything, every text is unread."""
        readings = Readings()
        self.assertFalse(readings.any)
        self.assertEqual([ONE], readings.unread([ONE], {ONE.key: ONE}))

    def test_unread(self) -> None:
        """A service with another text is unread, whether its owner or a collision has changed it."""
        self.assertEqual([], self.readings.unread([ONE, TWO], {ONE.key: ONE, TWO.key: TWO}))
        changed = evolve(ONE, balance="leastconn")
        self.assertEqual([changed], self.readings.unread([changed, TWO], {ONE.key: ONE, TWO.key: TWO}))
        self.assertEqual([ONE], self.readings.unread([ONE, TWO], {ONE.key: changed, TWO.key: TWO}))

    def test_tasks_do_not_count(self) -> None:
        """A service with other tasks has the text that HAProxy has read."""
        (served,) = offered(app("/one")).services
        (moved,) = offered(app("/one", tasks=(task(7), task(8)))).services
        self.assertNotEqual(served, moved)
        self.readings.took([served, TWO], {served.key: served, TWO.key: TWO}, read=True)
        self.assertEqual([], self.readings.unread([moved, TWO], {ONE.key: moved, TWO.key: TWO}))

    def test_steps_are_not_read(self) -> None:
        """What the runtime API has changed runs, but is not read."""
        changed = evolve(ONE, balance="leastconn")
        self.readings.took([changed, TWO], {ONE.key: changed, TWO.key: TWO}, read=False)
        self.assertEqual(ONE, self.readings.good[ONE.key])
        self.assertEqual([changed], self.readings.unread([changed, TWO], {ONE.key: changed, TWO.key: TWO}))
        self.assertEqual([], self.readings.new([changed, TWO], held=()))

    def test_new(self) -> None:
        """A service that has changed since HAProxy last accepted something is new, unless it is held."""
        changed = evolve(ONE, balance="leastconn")
        self.assertEqual([changed], self.readings.new([changed, TWO], held=()))
        self.assertEqual([], self.readings.new([changed, TWO], held={ONE.key}))
