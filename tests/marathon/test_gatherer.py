"""Asking Marathon for what a hint names: what is said of what cannot be read."""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.logger import LogEvent, formatEvent, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from marathonlb.marathon.gatherer import LOGGED, Gatherer
from marathonlb.marathon.interfaces import AppsAnswer, UnreadableApp, UnreadableTask
from marathonlb.marathon.model import App
from tests.fakes.marathon import FakeMarathon


class ReportTests(SynchronousTestCase):
    """What an operator reads of apps and tasks that cannot be read."""

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
        """What is said of an answer about everything, or about these apps."""
        self.said.clear()
        self.marathon.next_answers(answer)
        self.successResultOf(Deferred.fromCoroutine(self.gatherer.gather(frozenset(apps) or None)))
        return list(self.said)

    def test_once(self) -> None:
        """An app or a task that cannot be read is said once, until it can be read, or for another reason."""
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
        """Of very many the first are named and the rest counted."""
        many = tuple(UnreadableApp(app_id=f"#{number}", reason="no object") for number in range(LOGGED + 5))
        said = self.heard(AppsAnswer(apps=(), unreadable=many))
        self.assertEqual(len(said), LOGGED + 1)
        self.assertIn("5 more", said[-1])


class StaleTests(SynchronousTestCase):
    """An answer that is older than what is held for some of its apps."""

    def test_cannot_be_confirmed(self) -> None:
        """Where the older ones cannot be asked again they stay, and what is new of the others is not lost."""
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
