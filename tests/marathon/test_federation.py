"""Several clusters: a cluster that does not answer does not delay the others."""

from __future__ import annotations

import os
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.logger import LogEvent, formatEvent, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from marathonlb.errors import SourceError
from marathonlb.marathon.events.hints import Hint
from marathonlb.marathon.federation import SNAPSHOT_DELAY, WAIT, AllClusters, Federation
from marathonlb.marathon.gatherer import SECOND_OPINION, Gathered, Gatherer
from marathonlb.marathon.model import App, Port, Task
from marathonlb.marathon.poll_lifecycle import PATIENCE
from marathonlb.marathon.qualified import NamedMarathon, everything_of
from marathonlb.marathon.snapshot import ClusterSnapshots
from tests.fakes.marathon import FakeMarathon

SHOP = App(
    "/shop", {"HAPROXY_GROUP": "x"}, ports=(Port(10000),), tasks=(Task("shop.1", "h", (1,)),), instances=1
)
NOTHING: frozenset[str] = frozenset()


def ids(*apps: str) -> frozenset[str]:
    return frozenset(apps)


class Case(SynchronousTestCase):
    """East, west and one without a name, each with an app /shop."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(1_000_000)
        self.marathons = {
            name: FakeMarathon(SHOP, url=f"http://{name or 'unnamed'}:8080") for name in ("", "east", "west")
        }
        self.east, self.west = self.marathons["east"], self.marathons["west"]
        self.served: set[str] = set()
        self.hints: list[Hint] = []
        self.directory = self.mktemp()
        os.mkdir(self.directory)
        self.snapshots = ClusterSnapshots(lambda name: os.path.join(self.directory, name))
        self.log: list[str] = []
        globalLogPublisher.addObserver(self._observe)
        self.addCleanup(globalLogPublisher.removeObserver, self._observe)
        self.start()

    def _observe(self, event: LogEvent) -> None:
        if event.get("log_namespace", "").startswith("marathonlb.marathon"):
            self.log.append(formatEvent(event))

    def gatherers(self) -> dict[str, Gatherer]:
        """One for each."""
        return {
            name: Gatherer(
                NamedMarathon(name, fake) if name else fake, self.clock, max_shrink=50, weigh=lambda app: 1
            )
            for name, fake in self.marathons.items()
        }

    def start(self) -> None:
        """Start a federation that knows only the snapshots."""
        self.federation = Federation(
            self.gatherers(),
            self.clock,
            lambda cluster: cluster in self.served,
            snapshots=self.snapshots,
            jitter=lambda: 1.0,
        )
        self.federation.poke = self.hints.append
        self.federation.startService()

    def asked(self, *apps: str, everything: bool = False) -> Deferred[Gathered]:
        """Ask for these apps."""
        return Deferred.fromCoroutine(self.federation.gather(None if everything else ids(*apps)))

    def gather(self, *apps: str) -> Gathered:
        """Return the result of asking for these apps, or everything, without a wait."""
        return self.successResultOf(self.asked(*apps, everything=not apps))

    def known(self) -> set[str]:
        """The ids of what is known."""
        return set(self.federation.cluster.apps)


class FederationTests(Case):
    """`Federation`."""

    def test_everything(self) -> None:
        """The apps of all clusters are known under ids of their own, in one view."""
        self.assertFalse(self.federation.complete)
        gathered = self.gather()
        self.assertEqual(gathered.change.added, ids("/shop", "east:/shop", "west:/shop"))
        self.assertEqual((gathered.full, gathered.drifted, gathered.again_in), (True, NOTHING, None))
        self.assertEqual(self.known(), {"/shop", "east:/shop", "west:/shop"})
        self.assertTrue(self.federation.complete)
        self.assertEqual(self.federation.last_full, self.clock.seconds())

    def test_whom(self) -> None:
        """A hint leads to the clusters that it names, to all of them the first time."""
        self.gather("east:/shop")
        self.assertEqual([fake.asked for fake in self.marathons.values()], [["*"]] * 3)
        self.gather("east:/shop", "/shop")
        self.assertEqual([fake.asked[1:] for fake in self.marathons.values()], [["/shop"], ["/shop"], []])
        self.gather(everything_of("west"))
        self.gather(everything_of(""))
        self.assertEqual(
            [fake.asked[1:] for fake in self.marathons.values()], [["/shop", "*"], ["/shop"], ["*"]]
        )

    def test_silent(self) -> None:
        """A cluster that does not answer delays the others for a moment; its later answer makes a hint."""
        self.west.hold()
        asked = self.asked(everything=True)
        self.assertNoResult(asked)
        self.clock.advance(WAIT)
        self.assertEqual(self.successResultOf(asked).change.added, ids("/shop", "east:/shop"))
        self.assertTrue(self.federation.complete)
        self.assertIsNone(self.federation.last_full)
        self.assertEqual(self.gather("east:/shop", "west:/shop").change.touched, NOTHING)
        self.assertEqual((self.hints, self.federation.news), ([], False))
        self.west.release()
        self.assertEqual([hint.apps for hint in self.hints], [NOTHING])
        self.assertTrue(self.federation.news)
        gathered = self.successResultOf(Deferred.fromCoroutine(self.federation.gather(NOTHING)))
        self.assertEqual(gathered.change.added, ids("west:/shop"))
        self.assertFalse(self.federation.news)
        self.assertEqual(self.west.asked, ["*", "/shop"])
        self.assertIsNotNone(self.federation.last_full)

    def test_failing(self) -> None:
        """A cluster that fails keeps its known apps, and is retried with back-off, independently of the others."""
        self.gather()
        self.west.fail()
        self.east.put(App("/cart"))
        gathered = self.gather()
        self.assertEqual(gathered.change.added, ids("east:/cart"))
        self.assertIn("west:/shop", self.known())
        asked = len(self.west.asked)
        for _ in range(3):
            self.clock.advance(0.3)
            self.gather("east:/cart")
        self.assertEqual(len(self.west.asked), asked)
        self.clock.advance(0.2)
        self.assertEqual(len(self.west.asked), asked + 1)
        self.clock.advance(1.9)
        self.assertEqual(len(self.west.asked), asked + 1)
        self.west.fail(None)
        self.west.put(App("/cart"))
        self.assertEqual(self.hints, [])
        self.clock.advance(0.2)
        self.assertEqual([hint.apps for hint in self.hints], [NOTHING])
        self.assertIn("west:/cart", self.known())

    def test_says_it_once(self) -> None:
        """A failure is logged with the cluster and its Marathon."""
        self.gather()
        self.west.fail("it does not answer")
        self.gather("west:/shop")
        (said,) = [text for text in self.log if "failed" in text]
        self.assertIn("Polling the cluster west failed: MLB-903 http://west:8080: it does not answer", said)
        self.assertEqual(
            self.federation._pollers["west"].gatherer.problem,
            "MLB-903 http://west:8080: it does not answer (status 503)",
        )

    def test_hint_after_failure(self) -> None:
        """A hint soon after a failure is asked for after the patience, with all apps that are due."""
        self.gather()
        self.west.fail()
        self.gather("west:/shop")
        self.clock.advance(1)
        self.west.fail(None)
        self.west.put(App("/cart"))
        self.west.asked.clear()
        self.clock.advance(0)
        self.gather("west:/cart")
        self.clock.advance(PATIENCE)
        self.assertEqual(sorted(self.west.asked), ["/cart", "/shop"])
        self.assertIn("west:/cart", self.known())

    def test_owed(self) -> None:
        """Apps that are hinted at during a request are asked for next."""
        self.gather()
        self.west.hold()
        one = self.asked("west:/shop")
        other = self.asked("west:/cart")
        self.west.put(App("/cart"))
        self.west.release(1)
        self.assertNoResult(other)
        self.west.release()
        self.successResultOf(one)
        self.successResultOf(other)
        self.assertEqual(self.west.asked, ["*", "/shop", "/cart"])
        self.assertIn("west:/cart", self.known())

    def test_doubt(self) -> None:
        """An answer that takes too much of one cluster away is doubted for that one alone."""
        self.gather()
        for fake in self.marathons.values():
            fake.set(App("/other"))
        self.east.put(SHOP)
        gathered = self.gather()
        self.assertEqual(gathered.change.touched, ids("east:/other"))
        self.assertIsNone(gathered.again_in)
        self.clock.advance(SECOND_OPINION)
        gathered = self.successResultOf(Deferred.fromCoroutine(self.federation.gather(NOTHING)))
        self.assertEqual(gathered.change.removed, ids("/shop", "west:/shop"))

    def test_as_of(self) -> None:
        """While a cluster is being asked nothing holds later than that cluster's last answer."""
        began = self.clock.seconds()
        self.gather()
        self.clock.advance(5)
        self.assertEqual(self.gather("east:/shop").as_of, self.clock.seconds())
        self.west.hold()
        asked = self.asked("west:/shop")
        self.clock.advance(WAIT)
        self.assertEqual(self.successResultOf(asked).as_of, began)
        self.west.release()
        self.assertEqual(self.gather("east:/shop").as_of, self.clock.seconds())

    def test_drift(self) -> None:
        """What a full comparison finds and no hint has named is drift; the first one finds none."""
        self.west.hold()
        asked = self.asked("west:/shop", everything=True)
        self.clock.advance(WAIT)
        self.successResultOf(asked)
        self.west.release()
        self.assertEqual(self.gather("east:/shop").drifted, NOTHING)
        self.west.put(App("/cart"), App("/stock"))
        gathered = self.gather(everything_of("west"), "west:/cart")
        self.assertEqual(gathered.drifted, ids("west:/stock"))

    def test_cancel(self) -> None:
        """Cancelling a gathering does not cancel the requests, which others may wait for."""
        self.west.hold()
        asked = self.asked(everything=True)
        asked.cancel()
        self.failureResultOf(asked, CancelledError)
        self.west.release()
        self.assertIn("west:/shop", self.known())

    def test_stop(self) -> None:
        """After the stop nothing is asked and nothing waits."""
        self.gather()
        self.west.fail()
        self.gather()
        self.east.hold()
        asked = self.asked("east:/shop")
        self.federation.stopService()
        self.clock.advance(WAIT)
        self.successResultOf(asked)
        self.assertEqual(self.clock.getDelayedCalls(), [])


class StartTests(Case):
    """A start while a cluster does not answer."""

    def test_nothing_known(self) -> None:
        """Before a cluster has answered nothing may be served."""
        for fake in self.marathons.values():
            fake.fail()
        self.gather()
        self.assertFalse(self.federation.complete)

    def test_never_seen(self) -> None:
        """The first configuration does not wait for a cluster that HAProxy serves nothing of."""
        self.west.fail()
        self.gather()
        self.assertTrue(self.federation.complete)

    def test_served(self) -> None:
        """Without a snapshot of a cluster that HAProxy serves nothing changes until it answers; that is logged once."""
        self.served = {"west"}
        self.west.fail()
        self.gather()
        self.gather()
        self.assertFalse(self.federation.complete)
        said = [text for text in self.log if "HAProxy stays unchanged" in text]
        self.assertEqual(len(said), 1)
        self.assertIn("west", said[0])
        self.west.fail(None)
        self.clock.advance(PATIENCE)
        self.assertTrue(self.federation.complete)

    def agrees(self, since: float) -> bool:
        return self.successResultOf(Deferred.fromCoroutine(self.federation.agrees(since)))

    def test_second_opinion(self) -> None:
        """After a doubt every cluster that answers has to agree, later, in a new answer and with a leader."""
        self.west.fail()
        self.gather()
        since = self.clock.seconds()
        self.federation.doubt()
        self.clock.advance(SECOND_OPINION)
        self.assertFalse(self.agrees(since))
        self.gather(everything_of("east"))
        self.assertFalse(self.agrees(since))
        self.gather(everything_of(""))
        self.assertTrue(self.agrees(since))
        self.assertEqual(self.east.avoided, [None, self.east.url])
        self.east.has_leader = False
        self.assertFalse(self.agrees(since))

    def test_recalled(self) -> None:
        """The snapshot is served, and a first answer that would remove too much of it is doubted."""
        self.gather()
        self.clock.advance(SNAPSHOT_DELAY)
        self.federation.stopService()
        self.served = {"", "east", "west"}
        self.west.fail()
        self.start()
        self.clock.advance(60)
        gathered = self.gather()
        self.assertIn("west:/shop", gathered.change.added)
        self.assertEqual(self.federation.cluster.apps["west:/shop"].tasks, SHOP.tasks)
        self.assertTrue(self.federation.complete)
        self.assertIn("snapshot of 65 seconds ago, with 1 apps", "".join(self.log))
        self.assertEqual(self.federation.last_full, self.clock.seconds() - 65)
        self.west.fail(None)
        self.west.set()
        self.clock.advance(PATIENCE)
        self.assertIn("west:/shop", self.known())
        self.clock.advance(SECOND_OPINION)
        self.assertNotIn("west:/shop", self.known())

    def test_kept_at_the_end(self) -> None:
        """A change without a snapshot yet is written at the stop."""
        self.gather()
        self.federation.stopService()
        kept = self.snapshots.recall("east")
        assert kept is not None
        self.assertEqual([app.id for app in kept[1]], ["east:/shop"])
        self.assertEqual(kept[0], self.clock.seconds())


class AllClustersTests(Case):
    """A single run."""

    def all(self) -> AllClusters:
        """Those of a single run."""
        return AllClusters(self.gatherers().values())

    def ask(self, everyone: AllClusters) -> Deferred[Any]:
        """Ask all."""
        return Deferred.fromCoroutine(everyone.gather(None))

    def test_all(self) -> None:
        """All are asked, and their answers are one result."""
        everyone = self.all()
        self.assertFalse(everyone.complete)
        gathered = self.successResultOf(self.ask(everyone))
        self.assertEqual(gathered.change.added, ids("/shop", "east:/shop", "west:/shop"))
        self.assertEqual((gathered.full, everyone.complete), (True, True))
        self.assertEqual(everyone.last_full, self.clock.seconds())
        self.assertEqual(len(everyone.cluster.apps), 3)

    def test_second_opinion(self) -> None:
        """A single run accepts a doubted result when all clusters have confirmed it."""
        everyone = self.all()
        self.successResultOf(self.ask(everyone))
        since = self.clock.seconds()
        everyone.doubt()
        self.clock.advance(SECOND_OPINION)
        self.successResultOf(self.ask(everyone))
        self.assertEqual(self.west.avoided, [None, self.west.url])
        self.assertTrue(self.successResultOf(Deferred.fromCoroutine(everyone.agrees(since))))
        self.assertFalse(self.successResultOf(Deferred.fromCoroutine(everyone.agrees(since + 1))))

    def test_one_fails(self) -> None:
        """A single run needs every cluster."""
        self.west.fail("it does not answer")
        self.east.hold()
        error = self.failureResultOf(self.ask(self.all()), SourceError).value
        self.assertIn("http://west:8080", str(error))

    def test_doubt(self) -> None:
        """One answer that is doubted is asked for again."""
        everyone = self.all()
        self.successResultOf(self.ask(everyone))
        self.west.set()
        self.assertEqual(self.successResultOf(self.ask(everyone)).again_in, SECOND_OPINION)
