"""
The measurements for one cluster size.

All values are measured from outside: traffic by requests through HAProxy, CPU and memory by the system's counters,
fetches by Marathon's and reloads by the counter of HAProxy's master. So the rows are comparable across versions.
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
"""Maximum number of seconds until a replaced task is served."""

KEEPS_UP = 1.0
"""Maximum number of seconds until the last of many replaced tasks is served if the controller keeps up."""

LAST = 50
"""Number of last replaced tasks of the churn to request."""


@frozen(kw_only=True)
class Plan:
    """
    The amount of work to measure.

    :param rounds: number of tasks replaced one at a time, for at most `seconds`.
    :param rapid: number of further tasks without pauses, if the first ones needed no reload.
    :param events: number of events without changes.
    :param pause: seconds between two rounds, in which background file writing completes.
    :param rest: seconds for measuring the idle controller.
    :param lasting: number of events for measuring memory growth, `lasting_rate` per second.
    :param starts: number of starts of the script for its CPU seconds.
    :param churn: seconds of replaced tasks at each of `rates` (tasks per second), until the controller falls behind.
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
    Measures one cluster, row by row.

    :param say: takes a progress line.
    """

    world: World
    plan: Plan
    say: Callable[[str], object]
    rows: list[Row] = field(factory=list)
    _next: int = 0
    _treq: dict[str, float] = field(factory=dict)

    def all(self) -> None:
        """Run all measurements. Raises `Failed`, keeping the rows so far."""
        self._say("one-shot")
        self.once()
        self._say("startup of the daemon")
        controller = self.world.controller()
        self.row("daemon: start → all apps served", controller.started, "s")
        self._say("replaced tasks, one at a time")
        Rounds(self, controller).measure()
        self._say("events without changes")
        self.unchanged(controller)
        self._say("churn")
        self.churn(controller)
        self._say("full comparison")
        self.resync(controller)
        self._say("memory growth")
        self.lasting(controller)
        total = f"of {self.world.frontend.asked:,} while tasks were replaced"
        self.row("failed requests", self.world.frontend.failed, "requests", total)
        self._say("new apps")
        new_apps = NewApps(self.world, controller, self.plan.arrivals)
        new_apps.measure()
        self.rows += new_apps.rows

    def next_app(self) -> int:
        """Return the next app, in random order; each app comes once before any repeats."""
        apps = self.world.shape.apps
        self._next += 1
        return Random(self.world.shape.seed).sample(range(apps), apps)[self._next % apps]

    def _say(self, step: str) -> None:
        self.say(f"{self.world.shape}: {step}")

    def row(
        self, name: str, value: float, unit: str, reference: str = "", ratio: float | None = None
    ) -> None:
        """Add a row."""
        self.rows.append(Row(name, str(self.world.shape), value, unit, reference, ratio))

    def compared(
        self, name: str, value: float, unit: str, to: float, reference: str, scale: float = 1.0
    ) -> None:
        """Add a row with a reference: see `benchmarks.report.compared`."""
        self.rows.append(compared(name, str(self.world.shape), value, unit, to, reference, scale))

    # Without a daemon.

    def once(self) -> None:
        """Measure the stages of a one-shot run, and the whole script."""
        directory, size = self.world.directory, str(self.world.shape)
        apps = directory / "apps.json"
        apps.write_bytes(self.world.get("/v2/apps"))
        out = directory / "text"
        out.mkdir()
        parsed = self._stage("json", str(apps))
        text = self._stage("text", str(apps), str(out))
        reference = "json.loads of the same bytes"
        self.compared("one-shot: bytes → text", text["text"]["wall"], "s", parsed["wall"], reference)
        self.compared("one-shot: bytes → text, CPU", text["text"]["cpu"], "s", parsed["cpu"], reference)
        self.compared("one-shot: bytes → text, peak memory", text["peak"], "MB", parsed["peak"], reference)
        files = text["text"]["wall"] + text["file"]["wall"]
        self.compared("one-shot: bytes → text → files", files, "s", parsed["wall"], reference)
        expected = self.world.shape.apps * self.world.shape.tasks
        if text["servers"] != expected or text["problems"]:
            raise Failed(f"{size}: {text['servers']} servers and {text['problems']} problems in the text")
        wall, used = self._script()
        check = self._check()
        self.row("script: start → files, without haproxy -c", wall, "s", f"haproxy -c of it: {check:.2f} s")
        self.row("script: start → files, CPU", used["cpu"], "s")
        self.row("script: peak memory", used["peak"], "MB")

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
        result: dict[str, Any] = json.loads(done.stdout)
        return result

    def _script(self) -> tuple[float, dict[str, Any]]:
        """Return the seconds of a run of the script without ``haproxy -c``, and its CPU and memory."""
        program = str(CHECKOUT / "marathon-update-haproxy.py")
        start = monotonic()
        result = self._stage(
            "script", program, *self.world.arguments(), "--skip-validation", "--command=/bin/true"
        )
        if result["status"]:
            raise Failed(f"the script: exit status {result['status']}")
        return monotonic() - start, result

    def _check(self) -> float:
        """Return the seconds of ``haproxy -c`` with the script's configuration, and delete that."""
        start = monotonic()
        done = subprocess.run(
            [self.world.haproxy, "-c", "-f", str(self.world.directory / "haproxy.cfg")],
            capture_output=True,
            text=True,
            timeout=LIMIT,
            check=False,
        )
        seconds = monotonic() - start
        if done.returncode:
            raise Failed(f"haproxy -c: {done.stderr[-2000:]}")
        for path in self.world.directory.glob("haproxy.cfg*"):
            path.unlink()  # the daemon must not find it
        return seconds

    def treq(self) -> dict[str, float]:
        """Return the wall-clock and CPU seconds of a plain request for one app."""
        if not self._treq:
            self._treq = self._stage("treq", f"{self.world.url}/v2/apps{app_id_of(0)}", "300")
        return self._treq

    # With a daemon.

    def unchanged(self, controller: Controller) -> None:
        """Measure events without changes."""
        plan, child = self.plan, controller.child
        child.idle()
        before, cpu, reloads = self.world.counts(), child.cpu(), controller.reloads()
        self.world.move("unchanged", count=plan.events, apps=100, rate=plan.event_rate)
        child.idle()
        used, served = (child.cpu() - cpu) / plan.events, self.world.counts().since(before)
        name = "events without changes"
        total = f"{plan.events:,} events of 100 apps, {plan.event_rate:g} per second"
        self.compared(f"{name}: CPU per event", used, "ms", self.treq()["cpu"], "a treq request", 1000)
        self.row(f"{name}: fetches of all apps", served.requests.get("/v2/apps", 0), "requests", total)
        self.row(
            f"{name}: fetches of a single app", served.requests.get(marathon.ONE_APP, 0), "requests", total
        )
        self.row(f"{name}: reloads", controller.reloads() - reloads, "reloads", total)
        before = self.world.counts()
        os.kill(child.pid, signal.SIGHUP)
        self.world.move("unchanged", count=plan.events, apps=100, rate=plan.event_rate)
        child.idle()
        fetches = self.world.counts().since(before).requests.get("/v2/apps", 0)
        self.row(f"{name}, after SIGHUP: fetches of all apps", fetches, "requests", total)

    def churn(self, controller: Controller) -> None:
        """Replace tasks at increasing rates, until the controller falls behind."""
        sustained = 0.0
        for number, rate in enumerate(self.plan.rates):
            seconds = self.plan.churn if number == 0 else min(self.plan.churn, 3.0)
            lag, cpu = self._churn(controller, rate, seconds)
            if number == 0:
                total = f"{rate:g} tasks per second for {seconds:g} s"
                self.row("churn: time until the last task is served", lag, "s", total)
                name = "churn: CPU per replaced task"
                self.compared(name, cpu.own, "ms", self.treq()["cpu"], "a treq request", 1000)
                self.row(f"{name}, for background file writing", cpu.behind * 1000, "ms")
            if lag > KEEPS_UP:
                break
            sustained = rate
        tried = f"tried: {', '.join(f'{rate:g}' for rate in self.plan.rates)}"
        self.row(f"churn: served within {KEEPS_UP:g} s", sustained, "tasks/s", tried)

    def _churn(self, controller: Controller, rate: float, seconds: float) -> tuple[float, Cpu]:
        """Return the seconds until the last of many replaced tasks is served, and the CPU per task."""
        controller.child.idle()
        before = controller.child.cpu_by_threads()
        replaced = self.world.move("churn", first=self._next, rate=rate, seconds=seconds)
        self._next += len(replaced)
        end = replaced[-1]["at"]
        latest = {task["host"]: task for task in replaced}
        for task in list(latest.values())[: -LAST - 1 : -1]:
            end = max(end, self.served(task))
        controller.child.idle()
        return end - replaced[-1]["at"], controller.child.cpu_by_threads().each(before, len(replaced))

    def resync(self, controller: Controller) -> None:
        """Measure the idle controller, a full comparison without differences, and the memory."""
        controller.child.idle()
        cpu, rest = controller.child.cpu(), self.plan.rest
        sleep(rest)
        self.row("CPU of the controller when idle", (controller.child.cpu() - cpu) / rest * 1000, "ms/s")
        steady, _ = controller.child.memory()
        cpu, before = controller.child.cpu(), self.world.counts()
        os.kill(controller.child.pid, signal.SIGHUP)
        controller.child.wait_until(
            lambda: self.world.counts().since(before).requests.get("/v2/apps"), "waiting for SIGHUP"
        )
        controller.child.idle()
        self.row("full comparison without differences, CPU", controller.child.cpu() - cpu, "s")
        self.row("memory of the controller, steady", steady, "MB")
        self.row(
            "memory of the controller, peak, including a full comparison", controller.child.memory()[1], "MB"
        )

    def lasting(self, controller: Controller) -> None:
        """Measure the memory growth over many events."""
        plan, child = self.plan, controller.child
        before, _ = child.memory()
        self.world.move("unchanged", count=plan.lasting, apps=100, rate=plan.lasting_rate)
        child.idle()
        growth = child.memory()[0] - before
        self.row(
            f"memory of the controller, growth over {plan.lasting:,} events",
            growth,
            "MB",
            f"from {before:.0f} MB",
        )

    def served(self, task: dict[str, Any]) -> float:
        """Return the time of a replaced task's first response; request it on new connections. Raises `Failed`."""
        start = monotonic()
        while (response := self.world.frontend.ask(task["host"])).address != task["address"]:
            waited = response.at - start
            if waited > LIMIT:
                raise Failed(f"{task['host']}: a replaced task is not served within {LIMIT:g} s")
            if waited > 0.1:  # leave the CPU to the controller
                sleep(waited / 100)
        return response.at
