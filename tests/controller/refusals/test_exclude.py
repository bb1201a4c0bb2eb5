"""What HAProxy complains about is excluded: the rest is served."""

from __future__ import annotations

from attrs import evolve

from marathonlb.config.text.model import Owner
from marathonlb.controller.refusals.exclude import RETRY_BIND
from marathonlb.errors import Complaint, ReloadFailed
from marathonlb.marathon.model import App
from tests.fakes.haproxy import NONSENSE
from tests.reconciling import EVERYTHING, ReconcilerTestCase, cluster, evolve_host, web


class QuarantineTests(ReconcilerTestCase):
    """One service's mistake costs that service alone."""

    def bad(self, name: str, port: int) -> App:
        return web(name, port, HAPROXY_0_BACKEND_HTTP_OPTIONS=f"  {NONSENSE}\n")

    def test_others_are_served(self) -> None:
        """What HAProxy refuses is left out with its words; the others are served by the same convergence."""
        self.marathon.set(web("good", 10000), self.bad("bad", 10001))
        self.reconciler.poke(EVERYTHING)
        self.assertEqual(self.served(), {"good_10000"})
        problem = next(p for p in self.reconciler.problems if p.app_id == "/bad")
        self.assertEqual(problem.label, "HAPROXY_0_BACKEND_HTTP_OPTIONS")
        self.assertIn("unknown keyword", problem.reason)

    def test_verdict_is_remembered(self) -> None:
        """A broken app costs one check, not one for each event; its tasks may come and go."""
        self.marathon.set(web("good", 10000), self.bad("bad", 10001))
        self.reconciler.poke(EVERYTHING)
        self.clock.advance(1)
        before = len(self.applier.wanted)
        self.marathon.set(web("good", 10000, tasks=2), evolve_host(self.bad("bad", 10001), "127.0.0.9"))
        self.reconciler.poke(EVERYTHING)
        self.assertEqual(len(self.applier.wanted), before + 1)
        self.assertEqual(self.served(), {"good_10000"})

    def test_last_good_text_serves_on(self) -> None:
        """A label that breaks a service keeps its last good text in service, with today's tasks in it."""
        self.begin(web("good", 10000), web("shop", 10001))
        broken = self.bad("shop", 10001)
        self.marathon.set(web("good", 10000), evolve_host(broken, "127.0.0.7"))
        self.reconciler.poke(EVERYTHING)
        self.clock.advance(1)
        self.assertEqual(self.served(), {"good_10000", "shop_10001"})
        text = self.applier.applied[-1].template
        self.assertIn("127.0.0.7:41001", text)
        self.assertNotIn(NONSENSE, text)
        self.assertIn("last good text", str(self.reconciler.problems[0]))
        self.marathon.set(web("good", 10000), evolve_host(broken, "127.0.0.8"))
        before = len(self.applier.wanted)
        self.reconciler.poke(EVERYTHING)
        self.clock.advance(1)
        self.assertIn("127.0.0.8:41001", self.applier.applied[-1].template)
        self.assertEqual(len(self.applier.wanted), before + 1)

    def test_halving(self) -> None:
        """Where HAProxy does not say where, the offenders are found by halving, and the others are served."""
        self.applier.silent = True
        apps = [web(f"app{n}", 10000 + n) for n in range(30)]
        apps[7] = self.bad("app7", 10007)
        apps[23] = self.bad("app23", 10023)
        self.marathon.set(*apps)
        self.reconciler.poke(EVERYTHING)
        self.clock.pump([1] * 20)
        self.assertEqual(len(self.served()), 28)
        self.assertNotIn("app7_10007", self.served())
        self.assertLess(self.applier.checked + len(self.applier.wanted), 70)

    def test_shared_template(self) -> None:
        """A template of the operator's that HAProxy refuses gives way to the default only if that is asked for."""
        bad = {"HAPROXY_BACKEND_HTTP_OPTIONS": f"  {NONSENSE}"}
        for fallback in (False, True):
            self.make(evolve(self.settings, environment=bad, template_fallback=fallback))
            self.marathon.set(*cluster(3))
            self.reconciler.poke(EVERYTHING)
            self.assertEqual(len(self.served()), 3 if fallback else 0)
            self.assertIn("environment HAPROXY_BACKEND_HTTP_OPTIONS", str(self.reconciler.problems[0]))

    def test_mended(self) -> None:
        """A label that is mended brings the service back, and the problem is gone."""
        self.marathon.set(web("good", 10000), self.bad("bad", 10001))
        self.reconciler.poke(EVERYTHING)
        self.clock.advance(1)
        self.marathon.set(web("good", 10000), web("bad", 10001))
        self.reconciler.poke(EVERYTHING)
        self.assertEqual(self.served(), {"good_10000", "bad_10001"})
        self.assertEqual(self.reconciler.problems, ())
        self.assertTrue(self.said("Fixed"))

    def test_one_that_lost_a_name(self) -> None:
        """A verdict stands although the service was refused without a name that an older one has."""
        tls = {"HAPROXY_0_TLS_PASSTHROUGH": "true", "HAPROXY_0_VHOST": "a.example.com"}
        bad = web("bad", 10001, **tls, HAPROXY_0_BACKEND_EXTRA=f"  {NONSENSE}\n")
        self.marathon.set(web("an-older-one", 10000, **tls), bad)
        self.reconciler.poke(EVERYTHING)
        self.assertEqual(self.served(), {"an-older-one_10000"})
        self.assertLessEqual(len(self.applier.wanted), 2)

    def test_port_in_use(self) -> None:
        """A port that somebody else holds takes its service out, and is tried again later without a hint."""
        self.begin(web("good", 10000))
        complaint = Complaint(message="cannot bind socket", line=1, owner=Owner("/late", 0, "FRONTEND_HEAD"))
        self.applier.fail_next(ReloadFailed(reason="cannot bind", complaints=(complaint,), refused=True))
        self.marathon.set(web("good", 10000), web("late", 10001))
        self.reconciler.poke(EVERYTHING)
        self.assertEqual(self.served(), {"good_10000"})
        (problem,) = self.reconciler.problems
        self.assertEqual(
            str(problem),
            "MLB-701 /late port 0: HAPROXY_FRONTEND_HEAD: HAProxy says: cannot bind socket; it is retried"
            " periodically",
        )
        self.clock.advance(RETRY_BIND + 1)
        self.assertEqual(self.served(), {"good_10000", "late_10001"})

    def test_nobody_to_blame(self) -> None:
        """A complaint that names no service fails the convergence; what was served goes on."""
        self.begin(web("good", 10000))
        self.applier.refused.add("balance leastconn")
        self.applier.fail_next(ReloadFailed(reason="killed"))
        self.marathon.set(web("good", 10000, tasks=2))
        self.reconciler.poke(EVERYTHING)
        self.assertEqual(len(self.applier.applied), 1)
        self.assertIn("killed", self.reconciler.status.failure)
