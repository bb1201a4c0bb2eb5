"""The verdict at the top of every page, from facts alone."""

from __future__ import annotations

from types import SimpleNamespace

from attrs import evolve
from twisted.internet.defer import Deferred

from marathonlb.controller.timeline import Entry, Kind
from marathonlb.haproxy.files.publish import Published
from marathonlb.problem_kinds.operators import TEMPLATE_REFUSED
from marathonlb.routing.problems import Problem
from marathonlb.web.dashboard.verdict import DashboardVerdict, VerdictKind, verdict_of
from tests.reconciling import web
from tests.web.contexts import EVERYTHING, NOW, PagesTestCase


class VerdictTests(PagesTestCase):
    """`verdict_of`."""

    def verdict(self) -> DashboardVerdict:
        """Return the present verdict."""
        return self.successResultOf(Deferred.fromCoroutine(verdict_of(self.context)))

    def test_up_to_date(self) -> None:
        """Without anything pending the verdict is good and has no reasons."""
        self.serve(web("shop"))
        verdict = self.verdict()
        self.assertEqual(verdict, DashboardVerdict(VerdictKind.UP_TO_DATE))
        self.assertEqual((verdict.title, verdict.state), ("Up to date", "good"))

    def test_not_ready(self) -> None:
        """Before Marathon's first answer the verdict is bad, with the reasons of the readiness."""
        self.marathon.fail("it does not answer")
        self.reconciler.poke(EVERYTHING)
        verdict = self.verdict()
        self.assertEqual((verdict.kind, verdict.state), (VerdictKind.NOT_READY, "bad"))
        self.assertIn("it does not answer", verdict.reasons[0])

    def test_failing(self) -> None:
        """A failed convergence is bad, with its failure, although the controller is still ready."""
        self.serve(web("shop"))
        self.marathon.fail("it does not answer")
        self.reconciler.poke(EVERYTHING)
        verdict = self.verdict()
        self.assertEqual(verdict.kind, VerdictKind.NOT_UP_TO_DATE)
        self.assertIn("it does not answer", verdict.reasons[0])

    def test_postponed(self) -> None:
        """A reload that has to wait is pending, with the sentence of its entry in the timeline."""
        self.serve(web("shop"))
        self.marathon.hold()
        self.reconciler.poke(EVERYTHING)
        self.record.timeline.add(Entry(time=NOW, kind=Kind.WAITING, summary="a reload is pending"))
        self.assertEqual(self.verdict(), DashboardVerdict(VerdictKind.CATCHING_UP, ("a reload is pending",)))

    def test_applying(self) -> None:
        """A change that is being applied is pending, whatever the last entry of the timeline says."""
        self.serve(web("shop"))
        self.record.timeline.add(Entry(time=NOW, kind=Kind.ASKED, summary="a reload is pending"))
        self.marathon.hold()
        self.reconciler.poke(EVERYTHING)
        self.assertEqual(
            self.verdict(), DashboardVerdict(VerdictKind.CATCHING_UP, ("a change is being applied",))
        )

    def test_pinned(self) -> None:
        """A pin is named with its configuration."""
        self.archive.add(Published("global\n", {}), reason="first", seconds=NOW)
        self.serve(web("shop"))
        self.post("/api/pin", {"name": "1"})
        verdict = self.verdict()
        self.assertEqual((verdict.kind, verdict.state), (VerdictKind.PINNED, "waiting"))
        self.assertIn("configuration 1 is pinned", verdict.reasons[0])

    def test_refused_template(self) -> None:
        """A refused template with a replacement has a verdict of its own, and is not taken for a pin."""
        self.serve(web("shop"))
        problem = Problem("", None, "HAPROXY_HEAD", "", "unknown keyword", kind=TEMPLATE_REFUSED)
        overrides = SimpleNamespace(closed=(), replaced=(problem,))
        self.context = evolve(
            self.context, planner=SimpleNamespace(texts=SimpleNamespace(overrides=overrides))
        )
        verdict = self.verdict()
        self.assertEqual((verdict.title, verdict.state), ("Template refused", "waiting"))
        self.assertIn("HAPROXY_HEAD", verdict.reasons[0])
