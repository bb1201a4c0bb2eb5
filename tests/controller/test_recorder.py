"""What is kept and counted of what the reconciler does."""

from __future__ import annotations

from collections import Counter

from attrs import evolve

from marathonlb.base.causes import Cause, CauseKind
from marathonlb.controller.event_log import LOUD
from marathonlb.controller.timeline import Entry, Kind
from marathonlb.errors import ReloadFailed
from marathonlb.marathon.events.hints import Hint
from marathonlb.metrics import PREFIX
from tests.fakes.hints import event_hint
from tests.reconciling import cluster, web
from tests.web.contexts import EVERYTHING, NOW, SETTINGS, PagesTestCase

EVENT = event_hint(["/shop"], "status_update_event", "health_status_changed_event")


def entry(kind: Kind = Kind.CONVERGED, summary: str = "x") -> Entry:
    """An entry of no interest."""
    return Entry(time=1.0, kind=kind, summary=summary)


class RecorderTests(PagesTestCase):
    """A reconciler that is recorded."""

    def value(self, name: str, **labels: str) -> float:
        """A metric's value."""
        found = self.metrics.registry.get_sample_value(PREFIX + name, labels)
        return -1.0 if found is None else found

    def last(self) -> Entry:
        """The newest entry."""
        return self.record.timeline.entries()[-1]

    def test_change(self) -> None:
        """A change tells what came, what was done, and how long each stage took."""
        self.serve(web("shop", tasks=2))
        said = self.last()
        self.assertEqual((said.kind, said.time, said.came), (Kind.CONVERGED, NOW, {"poll": 1}))
        self.assertEqual((said.services, said.servers, said.app_count), (1, 2, None))
        self.assertEqual(set(said.seconds), {"gather", "render", "check", "publish", "reload"})
        self.assertIsNone(said.event_to_traffic_seconds)
        self.assertEqual(self.record.last_reload, said)
        self.assertEqual(self.value("convergence_seconds_count", stage="reload"), 1)
        self.assertEqual(self.value("validation_seconds_sum"), 0.1)
        self.assertEqual(self.value("convergences_total", result="reload"), 1)
        self.assertEqual(sum(self._reloads("done")), 1)

    def _reloads(self, result: str) -> list[float]:
        samples = (s for metric in self.metrics.registry.collect() for s in metric.samples)
        return [
            s.value for s in samples if s.name == f"{PREFIX}reloads_total" and s.labels["result"] == result
        ]

    def test_latency(self) -> None:
        """From the first event to HAProxy's confirmation is measured, through failures and coalescing."""
        self.serve(web("shop"))
        self.marathon.set(web("shop", tasks=2))
        self.marathon.fail("it does not answer")
        self.reconciler.poke(EVENT)
        self.clock.advance(0.5)
        self.reconciler.poke(EVENT)
        self.marathon.fail(None)
        self.clock.advance(9.5)
        entries = [e for e in self.record.timeline.entries() if e.event_to_traffic_seconds is not None]
        self.assertEqual(len(entries), 1)
        self.assertTrue(0.5 < entries[0].event_to_traffic_seconds <= 10, entries[0])
        self.assertEqual(self.value("event_to_traffic_seconds_count"), 1)
        self.assertEqual(self.value("events_total", type="status_update_event"), 2)

    def test_nothing(self) -> None:
        """An event that changes nothing is no latency, and is forgotten for the next one."""
        self.serve(web("shop"))
        self.reconciler.poke(EVENT)
        self.clock.advance(100)
        self.assertEqual(
            (self.last().kind, self.value("convergences_total", result="nothing")), (Kind.UNCHANGED, 1)
        )
        self.marathon.set(web("shop", tasks=2))
        self.reconciler.poke(EVENT)
        self.clock.advance(1)
        self.assertEqual(self.last().event_to_traffic_seconds, 0.0)

    def test_waiting(self) -> None:
        """A reload that has to wait is counted by the word that the metric's help has for it."""
        self.make(evolve(SETTINGS, min_reload_interval=60))
        self.serve(web("shop"))
        self.serve(web("shop"), web("cart", 10001))
        self.assertEqual(
            (self.last().kind, self.value("convergences_total", result="waiting")), (Kind.WAITING, 1)
        )
        self.assertEqual(self.value("convergences_total", result="postponed"), -1)

    def test_unknown_events(self) -> None:
        """What anyone may post to the callback makes no new series."""
        self.reconciler.poke(Hint.of(None, Cause(CauseKind.OTHER_EVENT)))
        self.assertEqual(self.value("events_total", type="something_new_event"), -1)

    def test_failure(self) -> None:
        """A failure is told once each time; success ends that."""
        self.marathon.fail("it does not answer")
        self.reconciler.poke(EVERYTHING)
        self.assertEqual(self.last().kind, Kind.FAILED)
        self.assertIn("it does not answer", self.last().summary)
        self.marathon.fail(None)
        self.clock.advance(10)
        self.assertEqual(self.last().kind, Kind.CONVERGED)

    def test_failed_reload(self) -> None:
        """A reload that failed is counted as such."""
        self.applier.fail_next(ReloadFailed(reason="the port is taken"))
        self.serve(web("shop"))
        self.assertEqual(sum(self._reloads("failed")), 1)

    def test_problems(self) -> None:
        """A problem is told when it comes and goes; very many at once are one entry."""
        self.serve(web("shop", HAPROXY_0_MODE="x"))
        entries = self.record.timeline.entries()
        self.assertEqual(
            [(e.kind, e.apps) for e in entries if e.kind is Kind.PROBLEM], [(Kind.PROBLEM, ("/shop",))]
        )
        self.serve(
            *(
                web(app.id.strip("/"), app.ports[0].service_port, HAPROXY_0_MODE="x")
                for app in cluster(LOUD + 5)
            )
        )
        many = [e for e in self.record.timeline.entries() if e.kind is Kind.PROBLEM][-1]
        self.assertEqual((many.summary, many.app_count), (f"{LOUD + 5} problems", LOUD + 5))

    def test_drift(self) -> None:
        """What no event had named is counted."""
        self.serve(web("shop"))
        self.serve(web("shop", tasks=2), web("cart", 10001))
        self.assertEqual(self.value("drifted_apps_total"), 2)
        self.serve(web("shop"), web("cart", 10001))
        (*_, said) = [e.summary for e in self.record.timeline.entries() if e.kind is Kind.DRIFT]
        self.assertEqual(said, "1 app had changed, and no event had named them")
        self.assertIn(Kind.DRIFT, [e.kind for e in self.record.timeline.entries()])

    def test_cause(self) -> None:
        """What caused a configuration is one phrase, the most frequent first, and short."""
        counts = {"a": 1, "b": 3, "c": 1, "d": 1, "e": 1}
        self.record.begins(
            None, Counter({Cause(CauseKind.EVENT, kind): count for kind, count in counts.items()})
        )
        self.assertEqual(self.record.cause(), "3 x b, a, c, d")
