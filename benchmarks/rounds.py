"""Replaced tasks, one at a time: the time until the new task gets traffic, and the CPU per task."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from time import monotonic, sleep
from typing import TYPE_CHECKING

from attrs import define, field

from benchmarks import marathon
from benchmarks.cluster import virtual_host
from benchmarks.world import Controller, Counts, Cpu

if TYPE_CHECKING:
    from benchmarks.measure import Measures, Plan

WORK_ENDS = 0.25
"""Seconds after the first response of the new task in which the controller completes its immediate work."""

REQUESTS = 100
"""Number of requests for measuring the duration of one."""

MEDIAN = "event → traffic, median"
LATE = "event → traffic, 99th percentile"
CPU = "CPU of the controller per replaced task"
GROW = (MEDIAN, LATE, CPU)


@define
class Rounds:
    """
    Replaced tasks, one at a time: some after a pause and, if these need no reload, many without pauses.

    The same work takes longer after a pause of the processor, so both are measured.
    """

    measures: Measures
    controller: Controller
    rested: list[float] = field(factory=list)
    rapid: list[float] = field(factory=list)
    cpu: list[float] = field(factory=list)
    cpu_after: list[float] = field(factory=list)

    def measure(self) -> None:
        """Measure all rows about one replaced task."""
        plan, world = self.measures.plan, self.measures.world
        before, reloads = world.counts(), self.controller.reloads()
        documents = list(self._paced(plan))
        fetched = world.counts().since(before)
        reloaded = self.controller.reloads() - reloads
        used = None if reloaded else self._rapid(plan.rapid)
        rest = f", after a pause of {plan.pause:g} s"
        self._times(rest)
        self._costs(used, rest)
        self._fetched(fetched, reloaded, documents)

    def _paced(self, plan: Plan) -> Iterator[int]:
        """Measure rounds with pauses in which all work completes; yield the size in bytes of each app's document."""
        last = monotonic() + plan.seconds
        child = self.controller.child
        for _ in range(plan.rounds):
            reloads, cpu = self.controller.reloads(), child.cpu()
            document = self._round(self.rested)
            sleep(WORK_ENDS)
            served = child.cpu()
            # After a reload the controller waits twice its duration before the next one.
            sleep(max(plan.pause, 2 * self.rested[-1] if self.controller.reloads() > reloads else 0))
            child.idle()
            self.cpu.append(served - cpu)
            self.cpu_after.append(child.cpu() - served)
            yield document
            if monotonic() > last:
                return

    def _rapid(self, count: int) -> Cpu:
        child = self.controller.child
        before = child.cpu_by_threads()
        for _ in range(count):
            self._round(self.rapid)
        child.idle()
        return child.cpu_by_threads().each(before, count)

    def _round(self, took: list[float]) -> int:
        replaced = self.measures.world.move("replace", app=self.measures.next_app())
        took.append(self.measures.served(replaced) - replaced["at"])
        return int(replaced["document"])

    def _times(self, rest: str) -> None:
        measures, took = self.measures, sorted(self.rapid or self.rested)
        many = f"{len(took)} rounds"
        request, alone = "a treq request", measures.treq()["wall"]
        measures.compared(MEDIAN, statistics.median(took), "ms", alone, request, 1000)
        if len(took) >= 100:
            measures.row(LATE, took[len(took) * 99 // 100] * 1000, "ms", many)
        measures.row("event → traffic, slowest", took[-1] * 1000, "ms", many)
        if self.rapid:
            measures.compared(f"{MEDIAN}{rest}", statistics.median(self.rested), "ms", alone, request, 1000)
        host, durations = virtual_host(0), []
        for _ in range(REQUESTS):
            start = monotonic()
            durations.append(measures.world.frontend.ask(host).at - start)
        tasks = f"{measures.world.shape.tasks} tasks, round robin"
        measures.row("one request to the app, median", statistics.median(durations) * 1000, "ms", tasks)

    def _costs(self, used: Cpu | None, rest: str) -> None:
        measures, treq = self.measures, self.measures.treq()["cpu"]
        request, rested = "a treq request", statistics.mean(self.cpu)
        measures.compared(CPU, used.own if used else rested, "ms", treq, request, 1000)
        if used:
            measures.row(f"{CPU}, for background file writing", used.behind * 1000, "ms")
            measures.compared(f"{CPU}{rest}", rested, "ms", treq, request, 1000)
        measures.row(
            "CPU of the controller in the pause after a replaced task",
            statistics.mean(self.cpu_after) * 1000,
            "ms",
        )

    def _fetched(self, fetched: Counts, reloaded: int, documents: list[int]) -> None:
        measures, count = self.measures, len(documents)
        bytes_of_app = fetched.bytes.get(marathon.ONE_APP, 0) / count
        measures.compared(
            "bytes fetched for the app per replaced task",
            bytes_of_app,
            "B",
            statistics.mean(documents),
            "its document",
        )
        rest = sum(fetched.bytes.values()) / count - bytes_of_app
        measures.row(
            "other bytes fetched per replaced task",
            rest,
            "B",
            " ".join(sorted(set(fetched.bytes) - {marathon.ONE_APP})),
        )
        measures.row("reloads per replaced task", reloaded / count, "reloads")
