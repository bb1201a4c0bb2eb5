"""How a plan is applied: reloads that wait, failed reloads, all or nothing."""

from __future__ import annotations

from attrs import evolve

from marathonlb.errors import ReloadFailed
from marathonlb.marathon.model import App
from marathonlb.settings import Settings
from tests.fakes.haproxy import NONSENSE
from tests.fakes.hints import event_hint
from tests.reconciling import EVERYTHING, ReconcilerTestCase, web


class ReloadIntervalTests(ReconcilerTestCase):
    """Reloads keep their distance."""

    settings = Settings(ssl_certs=(), min_reload_interval=5, max_shrink=100)

    def test_floor(self) -> None:
        """Within --min-reload-interval changes are gathered, and none is lost."""
        self.marathon.set(web("shop"))
        self.reconciler.poke(EVERYTHING)
        self.assertEqual(len(self.applier.applied), 1)
        for tasks in range(2, 5):
            self.marathon.set(web("shop", tasks=tasks))
            self.reconciler.poke(EVERYTHING)
        self.assertEqual(len(self.applier.applied), 1)
        self.clock.advance(5)
        self.assertEqual(len(self.applier.applied), 2)
        self.assertEqual(self.reconciler.planned.servers if self.reconciler.planned else 0, 4)

    def test_marathon_is_asked_meanwhile(self) -> None:
        """The floor delays the reload alone: what is known is up to date when its time comes."""
        self.marathon.set(web("shop"))
        self.reconciler.poke(EVERYTHING)
        asked = len(self.marathon.asked)
        self.marathon.set(web("shop", tasks=2))
        self.reconciler.poke(event_hint({"/shop"}))
        self.assertEqual(len(self.marathon.asked), asked + 1)
        self.assertLess(self.reconciler.status.converged, self.reconciler.status.generation)
        self.clock.advance(5)
        self.assertEqual(len(self.marathon.asked), asked + 1)
        self.assertEqual(self.reconciler.status.converged, self.reconciler.status.generation)

    def test_gathers(self) -> None:
        """A reload that nobody waits for gathers others, no longer than the floor, though more and more come."""
        self.begin(web("shop"))
        self.applier.gathers = True
        reloads = len(self.applier.applied)
        for second in range(5):
            self.marathon.set(web("shop", tasks=2 + second))
            self.reconciler.poke(EVERYTHING)
            self.assertEqual(len(self.applier.applied), reloads, second)
            self.clock.advance(1)
        self.assertEqual(len(self.applier.applied), reloads + 1)
        self.assertEqual(self.reconciler.planned.servers if self.reconciler.planned else 0, 6)
        self.marathon.set(web("shop"))
        self.reconciler.poke(EVERYTHING)
        self.clock.advance(4.9)
        self.assertEqual(len(self.applier.applied), reloads + 1)
        self.clock.advance(0.1)
        self.assertEqual(len(self.applier.applied), reloads + 2)

    def test_does_not_gather_for_long(self) -> None:
        """What the floor has held up already does not wait for others again; what others wait for does not at all."""
        self.begin(web("shop"))
        self.marathon.set(web("shop", tasks=2))
        self.reconciler.poke(EVERYTHING)
        reloads = len(self.applier.applied)
        self.applier.gathers = True
        self.marathon.set(web("shop", tasks=3))
        self.reconciler.poke(EVERYTHING)
        self.clock.advance(5)
        self.assertEqual(len(self.applier.applied), reloads + 1)


class FailedReloadTests(ReconcilerTestCase):
    """A reload that fails."""

    def test_reload_fails(self) -> None:
        """A failed reload is tried again with the same text, although no hint comes."""
        self.begin(web("shop"))
        self.applier.fail_next(ReloadFailed(reason="timed out"))
        self.marathon.set(web("shop", tasks=2))
        self.reconciler.poke(EVERYTHING)
        self.assertIn("timed out", self.reconciler.status.failure)
        self.clock.advance(10)
        self.assertEqual(len(self.applier.applied), 2)
        self.assertEqual(self.reconciler.status.failure, "")


class AllOrNothingTests(ReconcilerTestCase):
    """One invalid service fails the whole update with --skip-config-cleanup."""

    def bad(self, name: str, port: int) -> App:
        return web(name, port, HAPROXY_0_BACKEND_HTTP_OPTIONS=f"  {NONSENSE}\n")

    def test_all_or_nothing_as_long_ago(self) -> None:
        """--skip-config-cleanup fails the whole update for one bad service."""
        self.make(evolve(self.settings, skip_config_cleanup=True))
        self.marathon.set(web("good", 10000), self.bad("bad", 10001))
        self.reconciler.poke(EVERYTHING)
        self.assertEqual(self.served(), set())
        self.assertIn("refuses", self.reconciler.status.failure)

    def test_all_or_nothing_for_labels(self) -> None:
        """With it a label that is wrong fails the whole update as well."""
        self.make(evolve(self.settings, skip_config_cleanup=True))
        self.marathon.set(web("good", 10000), web("bad", 10001, HAPROXY_0_BALANCE="nonsense"))
        self.reconciler.poke(EVERYTHING)
        self.assertEqual(self.served(), set())
        self.assertIn("/bad port 0: HAPROXY_0_BALANCE", self.reconciler.status.failure)
