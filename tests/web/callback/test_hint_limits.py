"""How often posts lead to something."""

from __future__ import annotations

from itertools import pairwise

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from marathonlb.marathon.events.hints import Hint
from marathonlb.marathon.gatherer import MANY
from marathonlb.web.callback.hint_limits import APPS, INTERVAL, WAITING, HintLimiter
from tests.fakes.hints import event_hint
from tests.reconciling import web
from tests.web.contexts import PagesTestCase


def full(hint: Hint) -> bool:
    """Whether a hint may lead to a full comparison."""
    return hint.apps is None or len(hint.apps) > MANY // 2


class Limiting(SynchronousTestCase):
    """What is passed on, and when."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.passed: list[tuple[float, Hint]] = []
        self.limiter = HintLimiter(lambda hint: self.passed.append((self.clock.seconds(), hint)), self.clock)
        self.limiter.startService()

    def hear(self, *apps: str, kind: str = "status_update_event") -> None:
        """A hint; without apps one at everything."""
        self.limiter.hear(event_hint(apps or None, kind))

    def named(self) -> set[str]:
        """Every app that was passed on."""
        return {app for _, hint in self.passed for app in hint.apps or ()}

    def test_few(self) -> None:
        """A few hints are passed on at once, as they are."""
        for number in range(APPS):
            self.hear(f"/{number}")
        self.assertEqual(len(self.passed), APPS)
        self.assertEqual({at for at, _ in self.passed}, {0.0})

    def test_everything(self) -> None:
        """However many want everything, the first has it at once and the others once a second."""
        for _ in range(500):
            self.hear()
            self.clock.advance(0.01)
        self.clock.advance(2 * INTERVAL)
        times = [at for at, _ in self.passed]
        self.assertEqual(times[0], 0.0)
        self.assertLessEqual(len(times), 7)
        self.assertTrue(all(b - a >= INTERVAL - 1e-6 for a, b in pairwise(times)), times)

    def test_flood(self) -> None:
        """A flood of apps leads to one comparison a second, and none of them is lost."""
        for number in range(WAITING):
            self.hear(f"/{number}")
        self.assertEqual(len(self.passed), APPS)
        self.clock.advance(INTERVAL)
        self.assertEqual(len(self.passed), APPS + 1)
        self.assertEqual(len(self.named()), WAITING)
        self.assertLessEqual(sum(full(hint) for _, hint in self.passed), 1)

    def test_too_many(self) -> None:
        """More apps than are held by name become everything."""
        for number in range(WAITING + APPS + 1):
            self.hear(f"/{number}")
        self.clock.advance(INTERVAL)
        self.assertEqual(self.passed[-1][1], event_hint(None, "status_update_event"))

    def test_large(self) -> None:
        """A hint at many apps counts as one at everything."""
        many = [f"/{number}" for number in range(MANY)]
        self.hear(*many)
        self.hear(*many)
        self.assertEqual(len(self.passed), 1)
        self.clock.advance(INTERVAL)
        self.assertEqual([hint.apps for _, hint in self.passed], [frozenset(many)] * 2)

    def test_order(self) -> None:
        """What waits is passed on together, with every reason once."""
        self.hear()
        for _ in range(3):
            self.hear(kind="deployment_info")
            self.hear("/a", kind="api_post_event")
        self.clock.advance(INTERVAL)
        self.assertEqual(self.passed[1:], [(INTERVAL, event_hint(None, "deployment_info", "api_post_event"))])
        self.clock.advance(INTERVAL)
        self.assertEqual(len(self.passed), 2)

    def test_stop(self) -> None:
        """Nothing is passed on after the end, and no call is left."""
        self.hear()
        self.hear()
        self.limiter.stopService()
        self.clock.advance(INTERVAL)
        self.assertEqual((len(self.passed), self.clock.getDelayedCalls()), (1, []))


class Comparisons(PagesTestCase):
    """What comes of it."""

    def test_flood(self) -> None:
        """However much is posted, everything is compared once a second at most, and at last."""
        self.serve(web("shop"))
        limiter = HintLimiter(self.reconciler.poke, self.clock)
        limiter.startService()
        self.marathon.asked.clear()
        for number in range(1000):
            limiter.hear(event_hint(None, "deployment_success"))
            limiter.hear(event_hint([f"/{number}"]))
            self.clock.advance(0.005)
        self.assertIn(self.marathon.asked.count("*"), (5, 6))
        self.marathon.asked.clear()
        self.marathon.set(web("shop", tasks=3))
        limiter.hear(event_hint(None, "deployment_success"))
        self.clock.advance(INTERVAL)
        self.assertEqual(self.marathon.asked.count("*"), 1)
        self.assertEqual(len(self.reconciler.planned.services[0].servers), 3)
        limiter.stopService()
