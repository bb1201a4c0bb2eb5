"""`Subscription`: the registration of the callback, on a clock that stands still."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from marathonlb.base.causes import CauseKind
from marathonlb.errors import SourceError
from marathonlb.marathon.events.hints import Hint
from marathonlb.marathon.events.subscription import Subscription
from tests.fakes.hints import event_hint

ONE = "http://m1:8080"
LB = "http://lb:8081/"


def _only(hint: Hint) -> CauseKind:
    """Return the kind of a hint's only cause."""
    (cause,) = hint.causes
    return cause.kind


class Subscribing:
    """A client of a Marathon with subscriptions."""

    def __init__(self, *urls: str) -> None:
        self.urls = set(urls)
        self.asked: list[str] = []
        self.problem: str | None = None
        self.silent = False

    def _answer(self, what: str, answer: Any = None) -> Deferred[Any]:
        self.asked.append(what)
        if self.silent:
            return Deferred()
        if self.problem is not None:
            return fail(SourceError(url=ONE, reason=self.problem))
        return succeed(answer)

    def subscriptions(self) -> Deferred[tuple[str, ...]]:
        """Return the list."""
        return self._answer("list", tuple(self.urls))

    def subscribe(self, callback_url: str) -> Deferred[None]:
        """Add a callback."""
        if self.problem is None and not self.silent:
            self.urls.add(callback_url)
        return self._answer("subscribe")

    def unsubscribe(self, callback_url: str) -> Deferred[None]:
        """Remove a callback."""
        if self.problem is None and not self.silent:
            self.urls.discard(callback_url)
        return self._answer("unsubscribe")


class SubscriptionTests(SynchronousTestCase):
    """`Subscription`."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.hints: list[Hint] = []
        self.client = Subscribing("http://other/")
        self.source = Subscription(
            self.client, self.hints.append, self.clock, LB, check_interval=60, jitter=lambda: 1.0
        )
        self.addCleanup(self.source.stopService)

    def test_register(self) -> None:
        """The callback is registered at the start, and then everything is compared."""
        self.source.startService()
        self.assertEqual(self.client.urls, {"http://other/", LB})
        self.assertEqual([_only(hint).value for hint in self.hints], ["callback registered"])
        self.assertEqual((self.source.connected_to, self.source.problem), (LB, ""))

    def test_registered_before(self) -> None:
        """A callback that is still registered is left so, and everything is compared once."""
        self.client.urls.add(LB)
        self.source.startService()
        self.clock.pump([60, 60])
        self.assertEqual(self.client.asked, ["list"] * 3)
        self.assertEqual(len(self.hints), 1)

    def test_renew(self) -> None:
        """A callback that Marathon forgot is registered again, and everything is compared."""
        self.source.startService()
        self.client.urls.clear()
        self.hints.clear()
        self.clock.advance(60)
        self.assertEqual(self.client.urls, {LB})
        self.assertEqual(len(self.hints), 1)

    def test_failure(self) -> None:
        """A failure is kept as the problem, retried with back-off, and followed by a comparison."""
        self.client.problem = "use --mode=sse"
        self.source.startService()
        self.assertIn("--mode=sse", self.source.problem)
        self.assertEqual([_only(hint).value for hint in self.hints], ["no events yet"])
        self.clock.pump([1, 2])
        self.assertEqual((self.source.attempts, len(self.client.asked)), (3, 3))
        self.client.problem = None
        self.clock.advance(4)
        self.assertEqual((self.source.attempts, self.source.problem), (0, ""))
        self.assertEqual([_only(hint).value for hint in self.hints[1:]], ["callback registered"])

    def test_stop(self) -> None:
        """A stop removes the callback."""
        self.source.startService()
        self.successResultOf(self.source.stopService())
        self.assertEqual(self.client.urls, {"http://other/"})
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_stop_unregistered(self) -> None:
        """A callback that was never registered is not removed."""
        self.client.problem = "down"
        self.source.startService()
        self.successResultOf(self.source.stopService())
        self.assertNotIn("unsubscribe", self.client.asked)

    def test_stop_with_a_silent_marathon(self) -> None:
        """A Marathon that does not answer delays the stop for five seconds at most."""
        self.source.startService()
        self.client.silent = True
        stopped = self.source.stopService()
        self.assertNoResult(stopped)
        self.clock.advance(5)
        self.successResultOf(stopped)

    def test_heard(self) -> None:
        """A hint posted to the callback is passed on, and its time is noted."""
        self.source.startService()
        self.clock.advance(7)
        hint = event_hint(["/a"])
        self.source.heard(hint)
        self.assertIs(self.hints[-1], hint)
        self.assertEqual(self.source.last_event_at, 7)
