"""The reconciler: reloads on request, and runs that end after one convergence."""

from __future__ import annotations

from twisted.internet.defer import Deferred

from marathonlb.base.causes import Cause, CauseKind
from marathonlb.errors import SourceError
from marathonlb.haproxy.outcome import action_word
from tests.reconciling import EVERYTHING, ReconcilerTestCase, cluster, web


class ReloadTests(ReconcilerTestCase):
    """A reload that somebody asks for."""

    def test_reload_on_request_during_another(self) -> None:
        """SIGUSR1 while HAProxy reloads is not lost."""
        self.marathon.set(web("shop"))
        self.applier.hold()
        self.reconciler.poke(EVERYTHING)
        self.reconciler.reload(Cause(CauseKind.SIGNAL, "SIGUSR1"))
        self.applier.release()
        self.clock.advance(5)
        self.assertEqual(len(self.applier.applied), 2)

    def test_reload_before_the_first_answer(self) -> None:
        """SIGUSR1 before Marathon has ever answered says that it waits, and is done then."""
        self.marathon.fail("no leader")
        self.reconciler.poke(EVERYTHING)
        self.reconciler.reload(Cause(CauseKind.SIGNAL, "SIGUSR1"))
        self.assertEqual(len(self.said("SIGUSR1: HAProxy is reloaded after Marathon's first answer")), 1)
        self.marathon.set(web("shop"))
        self.marathon.fail(None)
        self.clock.advance(10)
        self.assertEqual(self.served(), {"shop_10000"})

    def test_reload_on_request(self) -> None:
        """SIGUSR1 reloads once though nothing differs, and says so."""
        self.begin(web("shop"))
        self.reconciler.reload(Cause(CauseKind.SIGNAL, "SIGUSR1"))
        self.clock.advance(1)
        self.assertEqual(len(self.applier.applied), 2)
        self.reconciler.poke(EVERYTHING)
        self.clock.advance(1)
        self.assertEqual(len(self.applier.applied), 2)


class OnceTests(ReconcilerTestCase):
    """A single run, as the script makes it."""

    def test_once(self) -> None:
        """It applies what Marathon says, and leaves no timer behind."""
        self.marathon.set(*cluster(2))
        outcome = self.successResultOf(Deferred.fromCoroutine(self.reconciler.once()))
        self.assertEqual(action_word(outcome) if outcome else "", "reload")
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_failure_is_raised(self) -> None:
        """What fails is raised, for the exit status."""
        self.marathon.fail("connection refused")
        self.failureResultOf(Deferred.fromCoroutine(self.reconciler.once()), SourceError)

    def test_look_changes_nothing(self) -> None:
        """Looking says what is wanted and applies nothing."""
        self.marathon.set(*cluster(2))
        wanted = self.successResultOf(Deferred.fromCoroutine(self.reconciler.look()))
        self.assertEqual(len(wanted.services), 2)
        self.assertEqual(self.applier.wanted, [])
