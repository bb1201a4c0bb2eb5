"""What is kept and counted of what the reconciler does."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

from attrs import evolve
from twisted.logger import LogEvent, LogLevel, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from marathonlb.causes import Cause, CauseKind
from marathonlb.controller.event_log import LOUD
from marathonlb.controller.timeline import LENGTH, Entry, Kind, Timeline
from marathonlb.errors import ReloadFailed
from marathonlb.logs import json_line, text_line
from marathonlb.marathon.events.hints import Hint
from marathonlb.marathon.model import App
from marathonlb.metrics import METRICS, PREFIX, Metrics, markdown
from tests.fakes.hints import event_hint
from tests.reconciling import cluster, web
from tests.web.contexts import EVERYTHING, NOW, SETTINGS, PagesTestCase

EVENT = event_hint(["/shop"], "status_update_event", "health_status_changed_event")


def entry(kind: Kind = Kind.CONVERGED, summary: str = "x") -> Entry:
    """An entry of no interest."""
    return Entry(time=1.0, kind=kind, summary=summary)


class Lines(PagesTestCase):
    """The log of what is done."""

    def setUp(self) -> None:
        super().setUp()
        self.logged: list[LogEvent] = []
        globalLogPublisher.addObserver(self.logged.append)
        self.addCleanup(globalLogPublisher.removeObserver, self.logged.append)

    def lines(self, level: LogLevel = LogLevel.info) -> list[dict[str, Any]]:
        """What is logged at a level or above, as JSON says it, since this was asked last."""
        found = [json.loads(json_line(event)) for event in self.logged if event["log_level"] >= level]
        self.logged.clear()
        return found

    def event(self, *apps: App) -> None:
        """Marathon runs these now, and an event has named them."""
        self.marathon.set(*apps)
        self.reconciler.poke(event_hint(app.id for app in apps))
        self.clock.advance(1)

    def test_one_decision(self) -> None:
        """A decision is one line with its app, generation, reason and duration."""
        self.serve(web("shop"), web("cart", 10001))
        self.lines()
        self.event(web("shop", tasks=2), web("cart", 10001))
        (line,) = self.lines()
        self.assertEqual((line["apps"], line["generation"], line["level"]), ("/shop", 2, "info"))
        self.assertEqual(line["reason"], "backend shop_10000 differs")
        self.assertIsInstance(line["milliseconds"], float)
        self.assertIn("; apps: /shop; because of status_update_event", line["message"])

    def test_nothing(self) -> None:
        """What changes nothing is no line, and what changed then is not said of the next decision."""
        self.serve(web("shop"))
        self.lines()
        self.event(web("shop"), web("other", 10001, HAPROXY_GROUP="others"))
        self.assertEqual(self.lines(), [])
        self.event(web("shop", tasks=2))
        self.assertEqual(self.lines()[0]["apps"], "/shop")

    def test_many(self) -> None:
        """A change of 500 apps is one summary line, with the apps at the level debug, in lines that a syslog takes."""
        self.serve(*cluster(500))
        self.lines()
        self.event(*(web(f"app{n}", 10000 + n, tasks=2) for n in range(500)))
        said = [json.loads(json_line(event)) for event in self.logged]
        (line,) = self.lines()
        self.assertIn("; apps: 500: /app0, /app1, /app10, /app100, /app101, …; because of", line["message"])
        details = [each["apps"] for each in said if each["level"] == "debug" and "apps" in each]
        self.assertEqual(len(", ".join(details).split(", ")), 500)
        self.assertEqual({len(names.split(", ")) for names in details}, {50})

    def test_many_problems(self) -> None:
        """So are 500 problems that come or go at once."""
        self.serve(*cluster(500))
        self.lines()
        self.event(*(web(f"app{n}", 10000 + n, HAPROXY_0_MODE="x") for n in range(500)))
        problems, decision = (line["message"] for line in self.lines())
        self.assertEqual(problems, "500 new problems; --log-level=debug names each")
        self.assertIn("500 backends are gone", decision)
        self.event(*cluster(500))
        mended, _ = (line["message"] for line in self.lines())
        self.assertEqual(mended, "500 problems are fixed")

    def test_failure(self) -> None:
        """What fails again and again is said loudly once."""
        self.marathon.fail("no leader")
        for _ in range(3):
            self.reconciler.poke(EVERYTHING)
            self.clock.advance(2)
        levels = [line["level"] for line in self.lines() if "is not applied" in line["message"]]
        self.assertEqual((levels[0], set(levels[1:])), ("error", {"info"}))

    def test_no_secret(self) -> None:
        """A password of a label is in no line, at no level, also where its value is wrong or HAProxy refuses it."""
        for value in ("realm:joe:$5$a$hunter2", "realm:joe:hunter2", "hunter2", "realm:joe:hunter2\nx"):
            self.serve(web("shop", HAPROXY_0_AUTH=value))
        self.assertNotIn("hunter2", "".join(text_line(event) + json_line(event) for event in self.logged))


class Timelines(SynchronousTestCase):
    """The ring."""

    def test_bounded(self) -> None:
        """It holds so many entries and no more, and their ids go on."""
        timeline = Timeline()
        for number in range(LENGTH + 5):
            timeline.add(entry(summary=str(number)))
        kept = timeline.entries()
        self.assertEqual((len(kept), kept[0].id, kept[-1].id), (LENGTH, 6, LENGTH + 5))
        self.assertEqual([each.id for each in timeline.entries(LENGTH + 3)], [LENGTH + 4, LENGTH + 5])

    def test_repeated(self) -> None:
        """What fails again and again for the same reason is one entry, with how often and since when."""
        timeline = Timeline()
        for time, kind, summary in (
            (1.0, Kind.FAILED, "refused"),
            (2.0, Kind.FAILED, "refused"),
            (3.0, Kind.FAILED, "refused"),
            (4.0, Kind.FAILED, "late"),
            (5.0, Kind.PROBLEM, "late"),
            (6.0, Kind.PROBLEM, "late"),
        ):
            timeline.add(Entry(time=time, kind=kind, summary=summary))
        self.assertEqual(
            [(e.kind, e.count, e.time, e.first_time) for e in timeline.entries()],
            [
                (Kind.FAILED, 3, 3.0, 1.0),
                (Kind.FAILED, 1, 4.0, None),
                (Kind.PROBLEM, 1, 5.0, None),
                (Kind.PROBLEM, 1, 6.0, None),
            ],
        )

    def test_unchanged(self) -> None:
        """What changes nothing, again and again, is one entry that counts, and its id is new each time."""
        timeline = Timeline()
        for kind in (Kind.UNCHANGED, Kind.UNCHANGED, Kind.CONVERGED, Kind.UNCHANGED, Kind.UNCHANGED):
            timeline.add(entry(kind))
        self.assertEqual(
            [(e.kind.value, e.count, e.id) for e in timeline.entries()],
            [("unchanged", 2, 2), ("converged", 1, 3), ("unchanged", 2, 5)],
        )

    def test_followers(self) -> None:
        """Who follows is told each entry until it stops, though it stops while it is told."""
        timeline, heard = Timeline(), list[int]()

        def once(each: Entry) -> None:
            heard.append(-each.id)
            stop()

        stop = timeline.follow(once)
        end = timeline.follow(lambda each: heard.append(each.id))
        timeline.add(entry())
        timeline.add(entry())
        end()
        timeline.add(entry())
        self.assertEqual(heard, [-1, 1, 2])


class Records(PagesTestCase):
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


class MetricsPage(PagesTestCase):
    """/metrics."""

    def test_one_exposition(self) -> None:
        """HAProxy's come first with their types corrected, then ours as they are now."""
        self.serve(web("shop", tasks=2), web("bad", 10001, HAPROXY_0_MODE="x"))
        code, text, headers = self.ask("GET", "/metrics?scope=frontend")
        self.assertEqual((code, headers["content-type"]), (200, "text/plain; version=0.0.4; charset=utf-8"))
        self.assertIn("haproxy_x 1\n", text)
        for line in (
            "marathon_lb_services 1.0",
            "marathon_lb_servers 2.0",
            "marathon_lb_ready 1.0",
            'marathon_lb_problems{fatal="true",kind="label"} 1.0',
            "marathon_lb_draining_workers 0.0",
            "marathon_lb_haproxy_answers 1.0",
            "marathon_lb_staleness_seconds 1.0",
        ):
            self.assertIn(f"\n{line}\n", text)

    def test_mended(self) -> None:
        """A kind of problem that there is no more is no series any more."""
        self.serve(web("bad", HAPROXY_0_MODE="x"))
        self.ask("GET", "/metrics")
        self.serve(web("bad"))
        self.assertNotIn("marathon_lb_problems{", self.ask("GET", "/metrics")[1])


class Table(SynchronousTestCase):
    """The table of metrics."""

    def test_documented(self) -> None:
        """Every metric stands in the documentation, and every series in the table."""
        text = markdown()
        for row in METRICS:
            self.assertIn(f"| `{PREFIX}{row.name}` |", text)
        names = {metric.name for metric in Metrics("1", "sse", processes=False).registry.collect()}
        self.assertEqual(names, {PREFIX + row.name.removesuffix("_total") for row in METRICS})
