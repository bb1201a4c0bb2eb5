"""The states of a managed HAProxy, as a table."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from marathonlb.haproxy.process.lifecycle import (
    LONGEST_DELAY,
    RESTART_DELAY,
    RETRY_DELAY,
    STABLE_AFTER,
    HAProxyRecord,
    RunningHAProxy,
    new_lifecycle,
)
from marathonlb.haproxy.process.procfs import ProcessIdentity

ONE = RunningHAProxy(ProcessIdentity(7, "100"), 5.0)
OTHER = RunningHAProxy(ProcessIdentity(8, "200"), 6.0)


class LifecycleTests(SynchronousTestCase):
    """`HAProxyLifecycle`."""

    def setUp(self) -> None:
        self.record = HAProxyRecord()
        self.lifecycle = new_lifecycle(self.record)

    def test_without_supervision(self) -> None:
        """Without supervision HAProxy is held, and its end has no consequence."""
        self.lifecycle.found(ONE)
        self.assertEqual(ONE, self.record.running)
        self.assertIsNone(self.lifecycle.ended(6.0))
        self.assertIsNone(self.record.running)
        self.assertEqual(0, self.record.failures)

    def test_found_again(self) -> None:
        """The HAProxy found last is the one that counts, in every state."""
        for found in (ONE, OTHER):
            self.lifecycle.found(found)
            self.assertEqual(found, self.record.running)
        self.lifecycle.supervise()
        for found in (ONE, OTHER):
            self.lifecycle.found(found)
            self.assertEqual(found, self.record.running)

    def test_supervision_keeps_what_runs(self) -> None:
        """The HAProxy that is held is the one that serves, and the other way round."""
        self.lifecycle.found(ONE)
        self.lifecycle.supervise()
        self.assertEqual(ONE, self.record.running)
        self.lifecycle.release()
        self.assertEqual(ONE, self.record.running)
        self.assertIsNone(self.lifecycle.ended(6.0))

    def test_delays_grow(self) -> None:
        """Each end soon after a start doubles the delay of the next start, up to the longest."""
        self.lifecycle.supervise()
        delays = []
        for _ in range(8):
            self.lifecycle.found(ONE)
            delays.append(self.lifecycle.ended(ONE.since + 1))
            self.lifecycle.retry()
        self.assertEqual([RESTART_DELAY * 2**n for n in range(6)] + [LONGEST_DELAY] * 2, delays)

    def test_stable(self) -> None:
        """The end of a HAProxy that served for long is the first failure."""
        self.lifecycle.supervise()
        for _ in range(5):
            self.lifecycle.found(ONE)
            self.lifecycle.ended(ONE.since)
        self.lifecycle.found(ONE)
        self.assertEqual(RESTART_DELAY, self.lifecycle.ended(ONE.since + STABLE_AFTER))
        self.assertEqual(1, self.record.failures)

    def test_failed_attempts(self) -> None:
        """A failed attempt is repeated after a second, and later after the delay that the failures have grown to."""
        self.lifecycle.supervise()
        self.assertEqual(RETRY_DELAY, self.lifecycle.failed())
        self.lifecycle.retry()
        self.record.failures = 6
        self.assertEqual(LONGEST_DELAY, self.lifecycle.failed())
        self.assertEqual(
            LONGEST_DELAY, self.lifecycle.failed(), "an attempt that waited for a reload fails, too"
        )

    def test_found_while_waiting(self) -> None:
        """A reload may start HAProxy while the supervisor waits; the timer changes nothing then."""
        self.lifecycle.supervise()
        self.lifecycle.failed()
        self.lifecycle.found(ONE)
        self.lifecycle.retry()
        self.assertEqual(ONE, self.record.running)
        self.assertEqual(RESTART_DELAY, self.lifecycle.ended(ONE.since))

    def test_late_inputs(self) -> None:
        """What comes late needs no action: the end of a lost process, a failed attempt after a reload succeeded."""
        self.lifecycle.supervise()
        self.lifecycle.found(ONE)
        self.assertIsNone(self.lifecycle.failed())
        self.lifecycle.lost()
        self.assertIsNone(self.lifecycle.ended(6.0))
        self.assertIsNone(self.record.running)

    def test_every_input_in_every_state(self) -> None:
        """No order of inputs is an error while the service starts and stops in turn."""
        prefixes = {
            "absent": (),
            "held": ("found",),
            "starting": ("supervise",),
            "waiting": ("supervise", "failed"),
            "serving": ("supervise", "found"),
        }
        arguments = {"found": (ONE,), "ended": (6.0,)}
        for state, prefix in prefixes.items():
            inputs = {"found", "lost", "ended", "failed", "retry", "release"}
            for name in sorted(inputs | ({"supervise"} if state in ("absent", "held") else set())):
                lifecycle = new_lifecycle(HAProxyRecord())
                for step in (*prefix, name):
                    getattr(lifecycle, step)(*arguments.get(step, ()))
