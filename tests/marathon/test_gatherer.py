"""`Gatherer`: asking Marathon for the apps of a hint, and when an answer is accepted."""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.logger import LogEvent, formatEvent, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from marathonlb.errors import SourceError
from marathonlb.marathon.gatherer import LOGGED, MANY, PARALLEL, SECOND_OPINION, Gathered, Gatherer, hosts_of
from marathonlb.marathon.interfaces import AppsAnswer, UnreadableApp, UnreadableTask
from marathonlb.marathon.model import App, Port, Task
from tests.fakes.marathon import FakeMarathon


class ReportTests(SynchronousTestCase):
    """The log about apps and tasks that cannot be read."""

    def setUp(self) -> None:
        self.marathon = FakeMarathon()
        self.gatherer = Gatherer(self.marathon, Clock(), max_shrink=50, weigh=lambda app: 1)
        self.said: list[str] = []

        def observe(event: LogEvent) -> None:
            if event.get("log_namespace", "").endswith("Gatherer"):
                self.said.append(formatEvent(event))

        globalLogPublisher.addObserver(observe)
        self.addCleanup(globalLogPublisher.removeObserver, observe)

    def heard(self, answer: AppsAnswer, *apps: str) -> list[str]:
        """Return the log of an answer about everything, or about these apps."""
        self.said.clear()
        self.marathon.next_answers(answer)
        self.successResultOf(Deferred.fromCoroutine(self.gatherer.gather(frozenset(apps) or None)))
        return list(self.said)

    def test_once(self) -> None:
        """An unreadable app or task is logged once, and again after it could be read, or for another reason."""
        broken = AppsAnswer(
            apps=(App("/a"),),
            unreadable=(UnreadableApp(app_id="/b", reason="no ports"),),
            left_out=(UnreadableTask(app_id="/a", task_id="a.1", reason="no host"),),
        )
        words = [
            "/b cannot be read and stays as last known; correct its definition: no ports",
            "/a: task a.1 cannot be read and is not served: no host",
        ]
        self.assertEqual(self.heard(broken), words)
        self.assertEqual(self.heard(broken), [])
        one = AppsAnswer(apps=(App("/a"),), left_out=broken.left_out)
        self.assertEqual(self.heard(one, "/a"), [])
        self.assertEqual(self.heard(broken), [])
        self.heard(AppsAnswer(apps=(App("/a"), App("/b"))))
        self.assertEqual(self.heard(broken), words)

    def test_many(self) -> None:
        """Of very many the first are named and the others counted."""
        many = tuple(UnreadableApp(app_id=f"#{number}", reason="no object") for number in range(LOGGED + 5))
        said = self.heard(AppsAnswer(apps=(), unreadable=many))
        self.assertEqual(len(said), LOGGED + 1)
        self.assertIn("5 more", said[-1])


class StaleTests(SynchronousTestCase):
    """An answer whose apps are partly older than the known ones."""

    def test_cannot_be_confirmed(self) -> None:
        """If asking again about the older apps fails they stay, and the changes of the others are kept."""
        marathon = FakeMarathon(App("/a", version="2"))
        clock = Clock()
        gatherer = Gatherer(marathon, clock, max_shrink=50, weigh=lambda app: 1)
        self.successResultOf(Deferred.fromCoroutine(gatherer.gather(None)))
        marathon.set(App("/a", version="1"), App("/b"))
        marathon.hold()
        asked = Deferred.fromCoroutine(gatherer.gather(None))
        marathon.release(1)
        marathon.fail()
        marathon.release()
        gathered = self.successResultOf(asked)
        self.assertEqual(gathered.change.added, frozenset(("/b",)))
        self.assertEqual(gatherer.cluster.apps["/a"].version, "2")


class Case(SynchronousTestCase):
    """Ten apps, known from the first answer."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.apps = [App(f"/{number}", {"HAPROXY_GROUP": "x"}, ports=(Port(number),)) for number in range(10)]
        self.marathon = FakeMarathon(*self.apps)
        self.gatherer = Gatherer(self.marathon, self.clock, max_shrink=50, weigh=lambda app: len(app.ports))
        self.gather()
        self.marathon.asked.clear()

    def begin(self, *apps: str) -> Deferred[Gathered]:
        """Begin to ask about these apps, or about everything."""
        return Deferred.fromCoroutine(self.gatherer.gather(frozenset(apps) or None))

    def gather(self, *apps: str) -> Gathered:
        """Ask about these apps, or about everything."""
        return self.successResultOf(self.begin(*apps))


class AskTests(Case):
    """The requests that a hint leads to."""

    def test_first(self) -> None:
        """The first request is about everything, whatever the hint names, and finds no drift."""
        gatherer = Gatherer(self.marathon, self.clock, max_shrink=50, weigh=lambda app: 1)
        self.assertFalse(gatherer.complete)
        gathered = self.successResultOf(Deferred.fromCoroutine(gatherer.gather(frozenset({"/1"}))))
        self.assertEqual(
            (True, frozenset(), 10), (gathered.full, gathered.drifted, len(gathered.change.added))
        )
        self.assertEqual((True, ["*"]), (gatherer.complete, self.marathon.asked))

    def test_named_apps(self) -> None:
        """Later the apps of a hint are asked for alone, and one that is gone is removed."""
        self.marathon.remove("/1")
        self.marathon.put(App("/2", instances=2))
        gathered = self.gather("/1", "/2", "/3")
        self.assertEqual(["/1", "/2", "/3"], self.marathon.asked)
        self.assertEqual(
            (frozenset({"/1"}), frozenset({"/2"})), (gathered.change.removed, gathered.change.changed)
        )
        self.assertFalse(gathered.full)

    def test_many(self) -> None:
        """A hint of very many apps leads to one request about everything."""
        self.assertFalse(self.gather(*(f"/new{number}" for number in range(MANY))).full)
        self.marathon.asked.clear()
        self.assertTrue(self.gather(*(f"/new{number}" for number in range(MANY + 1))).full)
        self.assertEqual(["*"], self.marathon.asked)

    def test_parallel(self) -> None:
        """Several apps are asked for at the same time, up to a number."""
        self.marathon.hold()
        asked = self.begin(*(app.id for app in self.apps))
        self.assertEqual(PARALLEL, len(self.marathon.asked))
        self.marathon.release()
        self.successResultOf(asked)
        self.assertEqual(10, len(self.marathon.asked))

    def test_drift(self) -> None:
        """The apps that a later full comparison finds changed are its drift."""
        self.marathon.put(App("/new"))
        self.assertEqual(frozenset({"/new"}), self.gather().drifted)

    def test_failure(self) -> None:
        """A failed request raises its error, cancels the others, and leaves everything known as it was."""
        self.marathon.hold()
        asked = self.begin("/1", "/2")
        self.marathon.fail("down")
        self.marathon.release(1)
        self.failureResultOf(asked, SourceError)
        self.assertEqual(
            (10, "MLB-903 http://fake:8080: down (status 503)"),
            (len(self.gatherer.cluster.apps), self.gatherer.problem),
        )
        self.assertEqual(0, self.marathon.held)
        self.marathon.fail(None)
        self.marathon.release()
        self.gather("/1")
        self.assertEqual("", self.gatherer.problem)

    def test_other_app(self) -> None:
        """An answer about another app is an error and changes nothing."""
        self.marathon.next_answers(AppsAnswer(apps=(App("/2"),)))
        error = self.failureResultOf(self.begin("/1"), SourceError).value
        self.assertIn("asked for /1, answered about /2", str(error))
        self.assertEqual(self.apps[1], self.gatherer.cluster.apps["/1"])


class ShrinkTests(Case):
    """Answers that would remove too much."""

    def test_second_answer(self) -> None:
        """An answer that would remove too much is applied when a second one confirms it, of another Marathon."""
        self.marathon.set(*self.apps[:4])
        gathered = self.gather()
        self.assertEqual(
            (False, False, SECOND_OPINION), (bool(gathered.change), gathered.full, gathered.again_in)
        )
        self.clock.advance(SECOND_OPINION)
        self.assertEqual(6, len(self.gather().change.removed))
        self.assertEqual([None, None, self.marathon.url], self.marathon.avoided)
        self.assertEqual(["*", "*", "elected"], self.marathon.asked)

    def test_too_early(self) -> None:
        """A second answer that comes too early does not count, and the time runs from the first one."""
        self.marathon.set(*self.apps[:4])
        self.gather()
        self.clock.advance(SECOND_OPINION - 1)
        self.assertFalse(self.gather().change)
        self.clock.advance(1)
        self.assertTrue(self.gather().change)

    def test_without_leader(self) -> None:
        """Without an elected leader nothing that removes too much is applied."""
        self.marathon.has_leader = False
        self.marathon.set()
        for _ in range(3):
            self.assertFalse(self.gather().change)
            self.clock.advance(SECOND_OPINION)
        self.assertEqual(10, len(self.gatherer.cluster.apps))

    def test_recovered(self) -> None:
        """A second answer that has everything ends the doubt, and the next loss is doubted from its own time on."""
        self.marathon.set(*self.apps[:4])
        self.gather()
        self.marathon.set(*self.apps)
        self.assertFalse(self.gather().change)
        self.clock.advance(SECOND_OPINION)
        self.marathon.set(*self.apps[:4])
        self.assertFalse(self.gather().change)

    def test_within_bounds(self) -> None:
        """An answer that removes as much as is allowed is applied at once."""
        self.marathon.set(*self.apps[:5])
        self.assertEqual(5, len(self.gather().change.removed))

    def test_doubt(self) -> None:
        """A caller's doubt leads to another Marathon, and is answered by a later full comparison and a leader."""
        self.gatherer.doubt()
        since = self.clock.seconds()
        self.assertFalse(self.agrees(since))
        self.clock.advance(SECOND_OPINION)
        self.gather()
        self.assertEqual(self.marathon.url, self.marathon.avoided[-1])
        self.assertTrue(self.agrees(since))
        self.marathon.has_leader = False
        self.assertFalse(self.agrees(since))

    def agrees(self, since: float) -> bool:
        """Return whether Marathon agrees."""
        return self.successResultOf(Deferred.fromCoroutine(self.gatherer.agrees(since)))


class HostTests(SynchronousTestCase):
    """`hosts_of`."""

    def test_hosts(self) -> None:
        """The hosts of all tasks are named, with the tasks' own addresses, and no missing one."""
        tasks = (Task("a.1", "h1", (1,), ("10.0.0.1",)), Task("a.2", None), Task("a.3", "h1"))
        self.assertEqual({"h1", "10.0.0.1"}, hosts_of([App("/a", tasks=tasks), App("/b")]))
