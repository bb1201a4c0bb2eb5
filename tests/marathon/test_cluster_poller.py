"""The polling of one cluster of several."""

from __future__ import annotations

import os

from twisted.internet.task import Clock
from twisted.logger import LogEvent, formatEvent, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from marathonlb.marathon.cluster_poller import NOTHING, ClusterPoller
from marathonlb.marathon.gatherer import Gatherer
from marathonlb.marathon.model import App
from marathonlb.marathon.snapshot import ClusterSnapshots
from tests.fakes.marathon import FakeMarathon


class ClusterPollerTests(SynchronousTestCase):
    """`ClusterPoller`."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(1000)
        self.marathon = FakeMarathon(App("/a"), App("/b"))
        self.arrivals = 0
        directory = self.mktemp()
        os.mkdir(directory)
        self.snapshots = ClusterSnapshots(lambda name: os.path.join(directory, name))
        self.log: list[str] = []
        globalLogPublisher.addObserver(self._observe)
        self.addCleanup(globalLogPublisher.removeObserver, self._observe)
        self.gatherer = Gatherer(self.marathon, self.clock, max_shrink=50, weigh=lambda app: 1)
        self.poller = ClusterPoller(
            "west", self.gatherer, self.clock, self._arrived, 300, lambda: 1.0, self.snapshots
        )

    def _observe(self, event: LogEvent) -> None:
        self.log.append(formatEvent(event))

    def _arrived(self) -> None:
        self.arrivals += 1

    def poll(self, *apps: str) -> None:
        """Ask for these apps, or everything, and wait for the answer."""
        self.poller.enqueue(frozenset(apps), everything=not apps)
        self.successResultOf(self.poller.poll())

    def test_nothing_due(self) -> None:
        """Without an enqueued app nothing is asked."""
        self.successResultOf(self.poller.poll())
        self.assertEqual([], self.marathon.asked)
        self.assertFalse(self.poller.attempted)

    def test_answer(self) -> None:
        """The changes of several answers are kept until they are taken, once."""
        self.poll()
        self.marathon.put(App("/c"))
        self.poll("/c")
        gathered = self.poller.take()
        self.assertEqual((frozenset({"/a", "/b", "/c"}), True), (gathered.change.added, gathered.full))
        self.assertFalse(self.poller.take().change)
        self.assertEqual((True, True, 0), (self.poller.attempted, self.poller.known, self.arrivals))

    def test_next_request(self) -> None:
        """Apps that are enqueued during a request are asked for together after it."""
        self.poll()
        self.marathon.hold()
        first, second = [], []
        for apps, waiting in ((("/a",), first), (("/b",), second), (("/c",), second)):
            self.poller.enqueue(frozenset(apps))
            waiting.append(self.poller.poll())
        self.assertEqual(["*", "/a"], self.marathon.asked)
        self.marathon.release()
        for deferred in first + second:
            self.successResultOf(deferred)
        self.assertEqual(["*", "/a", "/b", "/c"], self.marathon.asked)

    def test_overdue(self) -> None:
        """An overdue answer is announced; until then no poll waits for it."""
        self.marathon.hold()
        self.poller.enqueue(NOTHING, everything=True)
        waiting = self.poller.poll()
        self.poller.give_up()
        self.poller.enqueue(frozenset({"/a"}))
        self.successResultOf(self.poller.poll())
        self.assertNoResult(waiting)
        self.marathon.release()
        self.successResultOf(waiting)
        self.assertEqual((1, ["*", "/a"]), (self.arrivals, self.marathon.asked))

    def test_failure(self) -> None:
        """A failed request is repeated with back-off, with all that it asked for, and announced once it succeeds."""
        self.poll()
        self.poller.take()
        self.marathon.fail("down")
        self.marathon.asked.clear()
        self.poll("/a")
        self.clock.advance(1)
        self.clock.advance(1)
        self.assertEqual(["/a", "/a"], self.marathon.asked)
        self.marathon.fail(None)
        self.marathon.put(App("/a", instances=2))
        self.clock.advance(1)
        self.assertEqual((["/a"] * 3, 1), (self.marathon.asked, self.arrivals))
        self.assertEqual(frozenset({"/a"}), self.poller.take().change.changed)

    def test_failure_is_logged(self) -> None:
        """Each failure is logged with the cluster, the reason and the delay."""
        self.marathon.fail("down")
        self.poll()
        self.assertIn(
            "Polling the cluster west failed: MLB-903 http://fake:8080: down (status 503). Retrying in 1.0 s; its apps "
            "are served as last known, other clusters are not affected",
            self.log,
        )

    def test_recalled(self) -> None:
        """If the first request fails, the apps of the snapshot are served, and the log says how old it is."""
        self.snapshots.keep("west", [App("west:/old")], 940.0)
        self.marathon.fail("down")
        self.poll()
        self.assertEqual((True, 940.0), (self.poller.known, self.gatherer.last_full))
        self.assertEqual(frozenset({"west:/old"}), self.poller.take().change.added)
        self.assertIn(
            "Serving the cluster west from its snapshot of 60 seconds ago, with 1 apps", "".join(self.log)
        )

    def test_without_snapshot(self) -> None:
        """Without a snapshot a cluster that fails stays unknown."""
        self.marathon.fail("down")
        self.poll()
        self.assertEqual((True, False), (self.poller.attempted, self.poller.known))

    def test_stop(self) -> None:
        """A stop cancels the request and the timers, and ends every wait."""
        self.marathon.hold()
        self.poller.enqueue(NOTHING, everything=True)
        waiting = self.poller.poll()
        self.poller.stop()
        self.successResultOf(waiting)
        self.marathon.release()
        self.marathon.fail("down")
        self.poll()
        self.poller.stop()
        self.assertEqual([], self.clock.getDelayedCalls())
