"""
The figures of one size of cluster.

Everything is measured from outside: traffic by requests through HAProxy, CPU and memory as the system counts them,
fetches as Marathon counts them, reloads as HAProxy's master does. So the same rows tell what changes inside.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from random import Random
from time import monotonic, sleep
from typing import Any

from attrs import define, field, frozen

from benchmarks import marathon
from benchmarks.arrivals import Arrivals, NewApps
from benchmarks.cluster import app_id_of
from benchmarks.report import Row, compared
from benchmarks.rounds import Rounds
from benchmarks.world import CHECKOUT, Controller, Cpu, Failed, World, environment

LIMIT = 120.0
"""Seconds that a replaced task may take to be served."""

KEEPS_UP = 1.0
"""Seconds within which the last of many replaced tasks is served where the controller has not fallen behind."""

LAST = 50
"""Number of the last tasks of the churn that are requested."""


@frozen(kw_only=True)
class Plan:
    """
    How much is measured.

    :param rounds: replaced tasks one at a time, `seconds` of them at most.
    :param rapid: as many more, close on each other, where the first ones needed no reload.
    :param events: how many that change nothing.
    :param pause: seconds between two rounds, in which what is written behind is written.
    :param rest: seconds in which nothing is asked of the controller.
    :param lasting: how many events tell whether memory grows, `lasting_rate` a second.
    :param starts: how often the script is started, for its CPU seconds.
    :param churn: seconds of replaced tasks, at each of `rates` (in tasks a second) until one is too much.
    """

    rounds: int = 30
    seconds: float = 60.0
    rapid: int = 200
    pause: float = 1.5
    rest: float = 3.0
    events: int = 1000
    event_rate: float = 200.0
    lasting: int = 100_000
    lasting_rate: float = 5_000.0
    churn: float = 10.0
    starts: int = 7
    rates: tuple[float, ...] = (100.0, 200.0, 400.0)
    arrivals: Arrivals = field(factory=Arrivals)


QUICK = Plan(
    rounds=5, seconds=12.0, rapid=50, events=400, lasting=5_000, churn=3.0, arrivals=Arrivals(rounds=3)
)


@define
class Measures:
    """
    Measures one world, row by row.

    :param say: takes a line for whoever waits.
    """

    world: World
    plan: Plan
    say: Callable[[str], object]
    rows: list[Row] = field(factory=list)
    _next: int = 0
    _treq: dict[str, float] = field(factory=dict)

    def all(self) -> None:
        """Everything that there is to measure. Raises `Failed`; the rows before that are there."""
        self._say("one-shot")
        self.once()
        self._say("the daemon's start")
        controller = self.world.controller()
        self.row("daemon: start → all is served", controller.started, "s")
        self._say("replaced tasks, one at a time")
        Rounds(self, controller).measure()
        self._say("events that change nothing")
        self.unchanged(controller)
        self._say("churn")
        self.churn(controller)
        self._say("full comparison")
        self.resync(controller)
        self._say("very many events")
        self.lasting(controller)
        asked = f"of {self.world.frontend.asked:,} while tasks were replaced"
        self.row("requests that failed", self.world.frontend.failed, "requests", asked)
        self._say("new apps")
        new = NewApps(self.world, controller, self.plan.arrivals)
        new.measure()
        self.rows += new.rows

    def next_app(self) -> int:
        """Return the next app: in no order, and none again before all others."""
        apps = self.world.shape.apps
        self._next += 1
        return Random(self.world.shape.seed).sample(range(apps), apps)[self._next % apps]

    def _say(self, what: str) -> None:
        self.say(f"{self.world.shape}: {what}")

    def row(
        self, name: str, value: float, unit: str, reference: str = "", ratio: float | None = None
    ) -> None:
        """Note a figure of this world."""
        self.rows.append(Row(name, str(self.world.shape), value, unit, reference, ratio))

    def compared(
        self, name: str, value: float, unit: str, to: float, reference: str, scale: float = 1.0
    ) -> None:
        """Note a figure of this world beside what it is compared with: see `benchmarks.report.compared`."""
        self.rows.append(compared(name, str(self.world.shape), value, unit, to, reference, scale))

    # without a daemon

    def once(self) -> None:
        """From bytes to text, to a file, and the script's whole way."""
        directory, size = self.world.directory, str(self.world.shape)
        apps = directory / "apps.json"
        apps.write_bytes(self.world.get("/v2/apps"))
        out = directory / "text"
        out.mkdir()
        read = self._stage("json", str(apps))
        text = self._stage("text", str(apps), str(out))
        plain = "json.loads of the same bytes"
        self.compared("one-shot: bytes → text", text["text"]["wall"], "s", read["wall"], plain)
        self.compared("one-shot: bytes → text, CPU", text["text"]["cpu"], "s", read["cpu"], plain)
        self.compared("one-shot: bytes → text, peak of memory", text["peak"], "MB", read["peak"], plain)
        files = text["text"]["wall"] + text["file"]["wall"]
        self.compared("one-shot: bytes → text → files", files, "s", read["wall"], plain)
        expected = self.world.shape.apps * self.world.shape.tasks
        if text["servers"] != expected or text["problems"]:
            raise Failed(f"{size}: {text['servers']} servers and {text['problems']} problems in the text")
        wall, used = self._script()
        checked = self._check()
        self.row("script: start → files, without haproxy -c", wall, "s", f"haproxy -c of it: {checked:.2f} s")
        self.row("script: start → files, CPU", used["cpu"], "s")
        self.row("script: peak of memory", used["peak"], "MB")

    def _stage(self, *arguments: str) -> dict[str, Any]:
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.stages", *arguments],
            capture_output=True,
            text=True,
            env=environment(),
            cwd=CHECKOUT,
            timeout=LIMIT,
            check=False,
        )
        if done.returncode:
            raise Failed(f"{' '.join(arguments[:1])}: {done.stderr[-2000:]}")
        told: dict[str, Any] = json.loads(done.stdout)
        return told

    def _script(self) -> tuple[float, dict[str, Any]]:
        """Seconds of the script as a user runs it, but for ``haproxy -c``; and what it had of CPU and memory."""
        program = str(CHECKOUT / "marathon-update-haproxy.py")
        began = monotonic()
        told = self._stage(
            "script", program, *self.world.arguments(), "--skip-validation", "--command=/bin/true"
        )
        if told["status"]:
            raise Failed(f"the script: exit status {told['status']}")
        return monotonic() - began, told

    def _check(self) -> float:
        """Seconds of ``haproxy -c`` of what the script wrote."""
        began = monotonic()
        done = subprocess.run(
            [self.world.haproxy, "-c", "-f", str(self.world.directory / "haproxy.cfg")],
            capture_output=True,
            text=True,
            timeout=LIMIT,
            check=False,
        )
        took = monotonic() - began
        if done.returncode:
            raise Failed(f"haproxy -c: {done.stderr[-2000:]}")
        for path in self.world.directory.glob("haproxy.cfg*"):
            path.unlink()  # the daemon shall not find what it did not write
        return took

    def treq(self) -> dict[str, float]:
        """Seconds of a bare request for one app: on the wall and of CPU."""
        if not self._treq:
            self._treq = self._stage("treq", f"{self.world.url}/v2/apps{app_id_of(0)}", "300")
        return self._treq

    # with a daemon

    def unchanged(self, controller: Controller) -> None:
        """Events that tell what was so before."""
        plan, child = self.plan, controller.child
        child.idle()
        before, cpu, reloads = self.world.counts(), child.cpu(), controller.reloads()
        self.world.move("unchanged", count=plan.events, apps=100, rate=plan.event_rate)
        child.idle()
        used, served = (child.cpu() - cpu) / plan.events, self.world.counts().since(before)
        told = "events that change nothing"
        many = f"{plan.events:,} events of 100 apps, {plan.event_rate:g} a second"
        self.compared(f"{told}: CPU of one", used, "ms", self.treq()["cpu"], "a treq request", 1000)
        self.row(f"{told}: fetches of the whole", served.requests.get("/v2/apps", 0), "requests", many)
        self.row(f"{told}: fetches of an app", served.requests.get(marathon.ONE_APP, 0), "requests", many)
        self.row(f"{told}: reloads", controller.reloads() - reloads, "reloads", many)
        before = self.world.counts()
        os.kill(child.pid, signal.SIGHUP)
        self.world.move("unchanged", count=plan.events, apps=100, rate=plan.event_rate)
        child.idle()
        whole = self.world.counts().since(before).requests.get("/v2/apps", 0)
        self.row(f"{told}, after SIGHUP: fetches of the whole", whole, "requests", many)

    def churn(self, controller: Controller) -> None:
        """Replace tasks at a rate for some seconds, then at a higher rate, until the controller falls behind."""
        kept = 0.0
        for number, rate in enumerate(self.plan.rates):
            seconds = self.plan.churn if number == 0 else min(self.plan.churn, 3.0)
            lag, each = self._churn(controller, rate, seconds)
            if number == 0:
                many = f"{rate:g} tasks a second for {seconds:g} s"
                self.row("churn: the last one is served after", lag, "s", many)
                self.compared("churn: CPU of one", each.own, "ms", self.treq()["cpu"], "a treq request", 1000)
                self.row("churn: CPU of one, of writing the file behind", each.behind * 1000, "ms")
            if lag > KEEPS_UP:
                break
            kept = rate
        tried = f"tried: {', '.join(f'{rate:g}' for rate in self.plan.rates)}"
        self.row(f"churn: served within {KEEPS_UP:g} s", kept, "tasks/s", tried)

    def _churn(self, controller: Controller, rate: float, seconds: float) -> tuple[float, Cpu]:
        """Seconds until the last of many replaced tasks is served, and the CPU of each."""
        controller.child.idle()
        before = controller.child.cpu_by_threads()
        told = self.world.move("churn", first=self._next, rate=rate, seconds=seconds)
        self._next += len(told)
        end = told[-1]["at"]
        latest = {each["host"]: each for each in told}
        for each in list(latest.values())[: -LAST - 1 : -1]:
            end = max(end, self.served(each))
        controller.child.idle()
        return end - told[-1]["at"], controller.child.cpu_by_threads().each(before, len(told))

    def resync(self, controller: Controller) -> None:
        """Measure a full comparison that finds nothing, then rest, and then the memory."""
        controller.child.idle()
        cpu, rest = controller.child.cpu(), self.plan.rest
        sleep(rest)
        self.row("CPU of the controller at rest", (controller.child.cpu() - cpu) / rest * 1000, "ms/s")
        steady, _ = controller.child.memory()
        cpu, before = controller.child.cpu(), self.world.counts()
        os.kill(controller.child.pid, signal.SIGHUP)
        controller.child.wait_until(
            lambda: self.world.counts().since(before).requests.get("/v2/apps"), "waiting for SIGHUP"
        )
        controller.child.idle()
        self.row("full comparison that finds nothing, CPU", controller.child.cpu() - cpu, "s")
        self.row("memory of the controller, steady", steady, "MB")
        self.row(
            "memory of the controller, peak, that comparison included", controller.child.memory()[1], "MB"
        )

    def lasting(self, controller: Controller) -> None:
        """Memory before and after very many events, most of them in bursts."""
        plan, child = self.plan, controller.child
        before, _ = child.memory()
        self.world.move("unchanged", count=plan.lasting, apps=100, rate=plan.lasting_rate)
        child.idle()
        grown = child.memory()[0] - before
        self.row(
            f"memory of the controller, grown over {plan.lasting:,} events",
            grown,
            "MB",
            f"from {before:.0f} MB",
        )

    def served(self, told: dict[str, Any]) -> float:
        """When a replaced task was first seen to be served: fresh connections, one after the other. Raises `Failed`."""
        asked = monotonic()
        while (answer := self.world.frontend.ask(told["host"])).address != told["address"]:
            waited = answer.at - asked
            if waited > LIMIT:
                raise Failed(f"{told['host']}: a replaced task is not served within {LIMIT:g} s")
            if waited > 0.1:  # asking shall not take the CPU from what is waited for
                sleep(waited / 100)
        return answer.at
