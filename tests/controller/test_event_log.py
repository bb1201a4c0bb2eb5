"""The log of the convergences."""

from __future__ import annotations

import json
from typing import Any

from twisted.logger import LogEvent, LogLevel, globalLogPublisher

from marathonlb.controller.timeline import Entry, Kind
from marathonlb.logs import json_line, text_line
from marathonlb.marathon.model import App
from tests.fakes.hints import event_hint
from tests.reconciling import ReconcilerTestCase, cluster, web
from tests.web.contexts import EVERYTHING, PagesTestCase

EVENT = event_hint(["/shop"], "status_update_event", "health_status_changed_event")


def entry(kind: Kind = Kind.CONVERGED, summary: str = "x") -> Entry:
    """An entry of no interest."""
    return Entry(time=1.0, kind=kind, summary=summary)


class LineTests(PagesTestCase):
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

    def test_problem_code(self) -> None:
        """The code of a problem is in the line and in its fields, when it comes and when it is fixed."""
        self.serve(web("shop"))
        self.lines()
        self.event(web("shop", 10000, HAPROXY_0_MODE="x"))
        new = next(line for line in self.lines() if line["message"].startswith("MLB-101 /shop"))
        self.event(web("shop"))
        fixed = next(line for line in self.lines() if line["message"].startswith("Fixed: MLB-101 /shop"))
        for line in (new, fixed):
            self.assertEqual(("MLB-101", "/shop"), (line["code"], line["appId"]))

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


class CauseLineTests(ReconcilerTestCase):
    """The lines about causes, and about a HAProxy that was adopted."""

    def test_why(self) -> None:
        """The log counts what a change came of, event by event, though several arrive together and the reload waits."""
        self.begin(web("shop"))
        self.marathon.set(web("shop", tasks=2))
        self.marathon.hold()
        self.reconciler.poke(EVERYTHING)
        for types in (("health_status_changed_event", "deployment_info"), ("health_status_changed_event",)):
            self.reconciler.poke(event_hint(None, *types))
        self.marathon.set(web("shop", tasks=3))
        self.marathon.release(1)
        self.marathon.set(web("shop", tasks=4))
        self.marathon.release()
        self.clock.advance(1)
        *_, line = self.said("because of")
        self.assertIn("because of 2 x health_status_changed_event, a postponed reload, deployment_info", line)

    def test_adopted(self) -> None:
        """That the HAProxy which was adopted runs what is wanted is said once, after the start."""
        self.begin(web("shop"))
        self.assertEqual(self.said("already"), [])
        self.reconciler.stopService()
        self.make(self.settings)
        for _ in range(3):
            self.reconciler.poke(EVERYTHING)
            self.clock.advance(10)
        self.assertEqual(
            self.said("already"),
            ["HAProxy runs the planned configuration already: 1 services, 1 servers"],
        )
