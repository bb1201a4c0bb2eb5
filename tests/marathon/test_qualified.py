"""The ids of several clusters."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from marathonlb.base.causes import Cause, CauseKind
from marathonlb.marathon.events.hints import Hint
from marathonlb.marathon.interfaces import AppsAnswer, IMarathon, UnreadableApp, UnreadableTask
from marathonlb.marathon.model import App, Port, Task
from marathonlb.marathon.qualified import NamedMarathon, everything_of, hint_within, ids_within
from tests.fakes.hints import event_hint
from tests.fakes.marathon import FakeMarathon

SHOP = App(
    "/shop", {"HAPROXY_GROUP": "x"}, ports=(Port(10000),), tasks=(Task("shop.1", "h", (1,)),), instances=1
)


def ids(*apps: str) -> frozenset[str]:
    return frozenset(apps)


class NamedMarathonTests(SynchronousTestCase):
    """`NamedMarathon`."""

    def test_answers(self) -> None:
        """Apps, unreadable apps and unreadable tasks get the name; nothing else changes."""
        fake = FakeMarathon(SHOP, url="http://east:8080")
        named = NamedMarathon("east", fake)
        self.assertTrue(verifyObject(IMarathon, named))
        answer = self.successResultOf(named.apps(avoid="x"))
        self.assertEqual([app.id for app in answer.apps], ["east:/shop"])
        self.assertEqual((answer.apps[0].tasks, answer.url), (SHOP.tasks, "http://east:8080"))
        self.assertEqual(fake.avoided, ["x"])
        fake.next_answers(
            AppsAnswer(
                apps=(),
                unreadable=(UnreadableApp(app_id="/a", reason="x"), UnreadableApp(app_id="#3", reason="x")),
                left_out=(UnreadableTask(app_id="/b", task_id="b.1", reason="x"),),
            )
        )
        answer = self.successResultOf(named.apps())
        self.assertEqual([each.app_id for each in answer.unreadable], ["east:/a", "east:#3"])
        self.assertEqual([each.app_id for each in answer.left_out], ["east:/b"])

    def test_questions(self) -> None:
        """Marathon is asked with the ids that it knows."""
        fake = FakeMarathon(SHOP)
        named = NamedMarathon("east", fake)
        self.assertEqual(self.successResultOf(named.app("east:/shop")).apps[0].id, "east:/shop")
        self.assertTrue(self.successResultOf(named.elected()))
        self.assertEqual(fake.asked, ["/shop", "elected"])


class HintTests(SynchronousTestCase):
    """`hint_within`, `everything_of` and `ids_within`."""

    def test_ids(self) -> None:
        """The ids of a cluster get its name; those of a cluster without a name stay."""
        self.assertEqual(ids("east:/a", "east:/b/c"), ids_within("east", ids("/a", "/b/c")))
        self.assertEqual(ids("/a"), ids_within("", ids("/a")))
        self.assertEqual(("east:", ":"), (everything_of("east"), everything_of("")))

    def test_hints(self) -> None:
        """A hint about everything becomes one about everything of its cluster."""
        poll = Cause(CauseKind.POLL)
        self.assertEqual(
            hint_within("east", Hint.of(None, poll)),
            Hint.of(ids("east:"), poll),
        )
        self.assertEqual(hint_within("", Hint.of(None, poll)), Hint.of(ids(":"), poll))
        self.assertEqual(hint_within("east", event_hint(ids("/a"))), event_hint(ids("east:/a")))
        self.assertEqual(hint_within("", event_hint(ids("/a"))), event_hint(ids("/a")))
