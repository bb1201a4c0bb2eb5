"""Named timers, pauses and the delays between retries."""

from __future__ import annotations

from twisted.internet.defer import CancelledError
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from marathonlb.timers import Backoff, NamedTimers, pause


class NamedTimersTests(SynchronousTestCase):
    """Delayed calls by name."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.timers = NamedTimers(self.clock)
        self.fired: list[str] = []

    def test_a_timer_fires_once(self) -> None:
        """A call is made after its delay, once, and its name is free again."""
        self.timers.set("retry", 5, lambda: self.fired.append("retry"))
        self.assertIn("retry", self.timers)
        self.clock.advance(4)
        self.assertEqual(self.fired, [])
        self.clock.advance(1)
        self.clock.advance(10)
        self.assertEqual(self.fired, ["retry"])
        self.assertNotIn("retry", self.timers)

    def test_a_name_holds_one_call(self) -> None:
        """Setting a name again replaces its call, sooner or later than the first one."""
        self.timers.set("retry", 5, lambda: self.fired.append("first"))
        self.timers.set("retry", 1, lambda: self.fired.append("second"))
        self.clock.advance(10)
        self.assertEqual(self.fired, ["second"])

    def test_a_call_may_set_its_own_name(self) -> None:
        """The name is free while its call runs, so a call can set it for the next time."""
        self.timers.set("look", 1, lambda: self.timers.set("look", 1, lambda: self.fired.append("again")))
        self.clock.advance(1)
        self.assertIn("look", self.timers)
        self.clock.advance(1)
        self.assertEqual(self.fired, ["again"])

    def test_cancelled_calls_are_not_made(self) -> None:
        """One name or all of them can be cancelled; an unknown name is no error."""
        for name in "abc":
            self.timers.set(name, 1, lambda name=name: self.fired.append(name))
        self.timers.cancel("a")
        self.timers.cancel("unknown")
        self.clock.advance(0.5)
        self.timers.set("d", 1, lambda: self.fired.append("d"))
        self.timers.cancel_all()
        self.clock.advance(10)
        self.assertEqual(self.fired, [])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_a_moment_in_the_past_is_now(self) -> None:
        """A negative delay counts as none."""
        self.timers.set("late", -3, lambda: self.fired.append("late"))
        self.clock.advance(0)
        self.assertEqual(self.fired, ["late"])


class PauseTests(SynchronousTestCase):
    """A Deferred that fires later."""

    def test_it_fires_after_the_time(self) -> None:
        """A pause fires with None when its seconds are over."""
        clock = Clock()
        waiting = pause(clock, 2)
        clock.advance(1)
        self.assertNoResult(waiting)
        clock.advance(1)
        self.assertIsNone(self.successResultOf(waiting))

    def test_it_can_be_cancelled(self) -> None:
        """Cancelling a pause ends it at once and leaves nothing on the clock."""
        clock = Clock()
        waiting = pause(clock, 2)
        waiting.cancel()
        self.failureResultOf(waiting, CancelledError)
        self.assertEqual(clock.getDelayedCalls(), [])


class BackoffTests(SynchronousTestCase):
    """The delays between retries."""

    def test_delays_double_up_to_the_longest(self) -> None:
        """Each failure doubles the delay; the longest delay is never exceeded, however many failures there are."""
        backoff = Backoff(longest=10, jitter=lambda: 1.0)
        self.assertEqual([backoff.delay(n) for n in (0, 1, 2, 3, 4, 5, 10_000)], [1, 1, 2, 4, 8, 10, 10])

    def test_the_initial_delay_can_be_chosen(self) -> None:
        """The first delay is the initial one."""
        backoff = Backoff(initial=0.1, longest=5, jitter=lambda: 1.0)
        self.assertEqual([backoff.delay(n) for n in (1, 2, 3, 20)], [0.1, 0.2, 0.4, 5])

    def test_jitter_shortens_by_up_to_a_half(self) -> None:
        """The smallest jitter halves a delay, and the longest delay as well."""
        backoff = Backoff(longest=10, jitter=lambda: 0.0)
        self.assertEqual([backoff.delay(n) for n in (1, 2, 10)], [0.5, 1, 5])
        backoff = Backoff(longest=10, jitter=lambda: 0.5)
        self.assertEqual(backoff.delay(1), 0.75)
