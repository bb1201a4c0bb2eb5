"""Liveness and readiness."""

from __future__ import annotations

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from marathonlb.config.text.model import Config
from marathonlb.controller.status import RED_AFTER
from marathonlb.errors import PublishFailed
from marathonlb.haproxy.outcome import Written
from marathonlb.web.api.health import ReadinessFact, ReadinessKind
from tests.reconciling import web
from tests.web.contexts import EVERYTHING, SETTINGS, PagesTestCase


class HealthTests(PagesTestCase):
    """``/api/health``."""

    settings = evolve(SETTINGS, max_staleness=100)

    def ready(self, status: int) -> str:
        """The first reason why it is not ready; empty where it is."""
        said = self.get("/api/health/ready", status)
        self.assertEqual(said["ok"], status == 200)
        return str(said["reasons"][0]) if said["reasons"] else ""

    def test_live(self) -> None:
        """It lives as long as it answers, whatever else is wrong."""
        self.assertEqual(self.get("/api/health/live"), {"ok": True, "reasons": [], "remarks": []})

    def test_ready(self) -> None:
        """Ready comes with the first confirmed configuration."""
        self.assertIn("no Marathon has answered", self.ready(503))
        self.serve(web("shop"))
        self.assertEqual(self.ready(200), "")

    def test_stale(self) -> None:
        """Marathon's word grows old, and is new again."""
        self.serve(web("shop"))
        self.marathon.fail("it does not answer")
        self.clock.advance(98)
        self.assertEqual(self.ready(200), "")
        self.clock.advance(3)
        self.assertIn("--max-staleness=100", self.ready(503))
        self.marathon.fail(None)
        self.serve(web("shop"))
        self.assertEqual(self.ready(200), "")

    def test_from_disk(self) -> None:
        """Before Marathon's first answer it says whether HAProxy runs what was known at the last run, or nothing."""
        self.marathon.fail("it does not answer")
        self.reconciler.poke(EVERYTHING)
        self.assertIn("not confirmed a configuration yet", self.get("/api/health/ready", 503)["reasons"][1])
        self.applier.running = Config()
        self.assertIn("was on disk", self.get("/api/health/ready", 503)["reasons"][1])

    def test_deaf(self) -> None:
        """Where nothing was asked yet since the events broke off, the reason is why they did."""
        self.serve(web("shop"))
        self.source.problem = "http://one:8080/v2/events: the connection is refused"
        self.clock.advance(101)
        self.assertIn(
            "--max-staleness=100: http://one:8080/v2/events: the connection is refused", self.ready(503)
        )

    def test_unconfirmed(self) -> None:
        """It is not ready where HAProxy has not confirmed, does not run, or cannot be asked."""
        self.serve(web("shop"))
        self.applier.confirmed = False
        self.assertIn("not confirmed", self.ready(503))
        self.applier.confirmed, self.applier.unavailable = True, True
        self.assertIn("does not run", self.ready(503))

    def test_nobody_runs_it(self) -> None:
        """It is not ready where the files are written and no HAProxy runs with them."""
        self.serve(web("shop"))
        self.applier.outcome = Written
        self.serve(web("shop"), web("cart", 10001))
        self.assertIn("no HAProxy runs with /etc/haproxy/haproxy.cfg", self.ready(503))

    def test_cannot_apply(self) -> None:
        """What is wanted and could not be applied three times in a row turns it red, until it can."""
        self.serve(web("shop"))
        self.applier.fail_next(*[PublishFailed(path="/etc/haproxy", reason="full disk")] * RED_AFTER)
        self.serve(web("shop"), web("cart", 10001))
        self.assertEqual(self.ready(200), "")
        blocked = self.get("/api/status")["blocked"]
        self.assertEqual((blocked["attempts"], blocked["red"]), (1, False))
        for _ in range(RED_AFTER - 1):
            self.clock.advance(2)
            self.reconciler.poke(EVERYTHING)
        self.assertIn("full disk", self.ready(503))
        self.assertEqual(self.get("/api/status")["blocked"]["attempts"], RED_AFTER)
        self.clock.advance(2)
        self.reconciler.poke(EVERYTHING)
        self.assertEqual((self.ready(200), self.get("/api/status")["blocked"]), ("", None))

    def test_marathon_blocks_nothing(self) -> None:
        """A Marathon that fails is no reason why what is known could not be applied."""
        self.serve(web("shop"))
        self.marathon.fail("it does not answer")
        for _ in range(2 * RED_AFTER):
            self.reconciler.poke(EVERYTHING)
            self.clock.advance(2)
        self.assertEqual((self.ready(200), self.get("/api/status")["blocked"]), ("", None))


class FactTests(SynchronousTestCase):
    """`ReadinessFact` as a sentence."""

    def test_sentences(self) -> None:
        """Each kind has a sentence that names what it is about, and the cause where it is known."""
        for fact, sentence in (
            (
                ReadinessFact(ReadinessKind.MARATHON_SILENT, "west", "connection refused"),
                "no Marathon of the cluster west has answered with all apps yet: connection refused",
            ),
            (
                ReadinessFact(ReadinessKind.MARATHON_STALE, "", "", 101.2, limit=100),
                "the last answer of Marathon is 101 s old, more than --max-staleness=100",
            ),
            (
                ReadinessFact(ReadinessKind.BLOCKED, "", "full disk", 7.0, 3),
                "the configuration could not be applied, 3 times in 7 s: full disk",
            ),
            (ReadinessFact(ReadinessKind.NO_HAPROXY, "/x.cfg"), "no HAProxy runs with /x.cfg"),
            (
                ReadinessFact(ReadinessKind.PINNED, "7"),
                "configuration 7 is pinned; changes wait for its release",
            ),
        ):
            self.assertEqual(str(fact), sentence)

    def test_every_kind(self) -> None:
        """No kind is without a sentence."""
        for kind in ReadinessKind:
            self.assertTrue(str(ReadinessFact(kind)), kind)
