"""Servers that are replaced."""

from __future__ import annotations

from marathonlb.config.text.model import Config
from marathonlb.haproxy.outcome import Outcome, action_word, explanation
from tests.haproxy.installation import InstallationCase, S, shops


class ReplacementTests(InstallationCase):
    """Servers whose arguments change are replaced."""

    def setUp(self) -> None:
        super().setUp()
        self.begin(S[1], S[2], S[3])

    def test_one_at_a_time(self) -> None:
        """All servers of a backend change one after another, so that there are always others."""
        taken: set[str] = set()

        def watch(command: str) -> None:
            out = {name for name, server in self.worker.backends["shop"].items() if server.admin & 1}
            self.assertLessEqual(len(out) + 3 - len(self.worker.backends["shop"]), 1)
            taken.update(out)

        self.worker.before = watch
        wanted = shops(*(f"{S[n]} maxconn 5" for n in (1, 2, 3)))
        outcome = self.apply_slowly(wanted)
        self.assertEqual((action_word(outcome), explanation(outcome)), ("steps", "3 servers replaced"))
        self.assertEqual(taken, {"s1", "s2", "s3"})
        self.assertTrue(self.installation.serves(wanted))

    def apply_slowly(self, wanted: Config) -> Outcome:
        waiting = self.applier.apply(wanted)
        self.installation.clock.pump([0.01] * 60)
        return self.successResultOf(waiting)

    def test_becomes_idle(self) -> None:
        """One that is in use for a moment is waited for, and takes no new request meanwhile."""
        self.worker.server("shop/s1").busy = True
        waiting = self.applier.apply(shops(f"{S[1]} maxconn 5", S[2], S[3]))
        self.installation.clock.advance(0.002)
        self.assertEqual(self.worker.server("shop/s1").admin, 1)
        self.worker.server("shop/s1").busy = False
        self.installation.clock.advance(0.01)
        self.assertEqual(action_word(self.successResultOf(waiting)), "steps")

    def test_cannot_be_made(self) -> None:
        """One that cannot be made with its new arguments is put back with the old ones before the reload."""
        self.worker.refusing = {"maxconn"}
        outcome = self.apply(shops(f"{S[1]} maxconn 5", S[2], S[3]), may_reload=False)
        self.assertEqual(action_word(outcome), "postponed")
        self.assertTrue(self.installation.serves(shops(S[1], S[2], S[3])))

    def test_given_up(self) -> None:
        """Where the next refuses, those that are done are not done again."""
        self.worker.answers["del server shop/s2"] = "This server cannot be removed at runtime"
        wanted = shops(f"{S[1]} maxconn 5", f"{S[2]} maxconn 5", S[3])
        waiting = self.applier.apply(wanted, may_reload=False)
        self.installation.clock.pump([0.01] * 60)
        self.assertEqual(action_word(self.successResultOf(waiting)), "postponed")
        self.assertEqual(self.worker.server("shop/s2").admin, 0)
        self.assertEqual(action_word(self.apply(wanted)), "reload")
