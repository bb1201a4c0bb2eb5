"""Tasks that are replaced, one at a time: how soon traffic reaches the newcomer, and what each costs."""

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
"""Seconds after a request was answered by the newcomer in which the controller ends what it does at once."""

ASKED = 100
"""Number of requests by which the duration of one is measured."""

MEDIAN = "event → traffic, median"
LATE = "event → traffic, 99th percentile"
CPU = "CPU of the controller per replaced task"
GROW = (MEDIAN, LATE, CPU)


@define
class Rounds:
    """
    Replaced tasks, each waited for: some after a rest, and where these need no reload many one right after the other.

    What a processor does after a rest takes it longer, so the two are told apart.
    """

    measures: Measures
    controller: Controller
    rested: list[float] = field(factory=list)
    rapid: list[float] = field(factory=list)
    cpu: list[float] = field(factory=list)
    cpu_after: list[float] = field(factory=list)

    def measure(self) -> None:
        """All rows about one replaced task."""
        plan, world = self.measures.plan, self.measures.world
        before, reloads = world.counts(), self.controller.reloads()
        documents = list(self._paced(plan))
        fetched = world.counts().since(before)
        reloaded = self.controller.reloads() - reloads
        used = None if reloaded else self._rapid(plan.rapid)
        rest = f", after a rest of {plan.pause:g} s"
        self._times(rest)
        self._costs(used, rest)
        self._fetched(fetched, reloaded, documents)

    def _paced(self, plan: Plan) -> Iterator[int]:
        """Measure rounds with everything ended in between, and return the bytes of each app's document."""
        last = monotonic() + plan.seconds
        child = self.controller.child
        for _ in range(plan.rounds):
            reloads, cpu = self.controller.reloads(), child.cpu()
            document = self._round(self.rested)
            sleep(WORK_ENDS)
            served = child.cpu()
            # A reload is followed by a pause of twice its time, in which nothing is reloaded.
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
        told = self.measures.world.move("replace", app=self.measures.next_app())
        took.append(self.measures.served(told) - told["at"])
        return int(told["document"])

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
        host, asked = virtual_host(0), []
        for _ in range(ASKED):
            began = monotonic()
            asked.append(measures.world.frontend.ask(host).at - began)
        tasks = f"{measures.world.shape.tasks} tasks answer in turn"
        measures.row(
            "one of the requests that ask for it, median", statistics.median(asked) * 1000, "ms", tasks
        )

    def _costs(self, used: Cpu | None, rest: str) -> None:
        measures, treq = self.measures, self.measures.treq()["cpu"]
        request, rested = "a treq request", statistics.mean(self.cpu)
        measures.compared(CPU, used.own if used else rested, "ms", treq, request, 1000)
        if used:
            measures.row(f"{CPU}, of writing the file behind", used.behind * 1000, "ms")
            measures.compared(f"{CPU}{rest}", rested, "ms", treq, request, 1000)
        measures.row(
            "CPU of the controller in the pause after it", statistics.mean(self.cpu_after) * 1000, "ms"
        )

    def _fetched(self, fetched: Counts, reloaded: int, documents: list[int]) -> None:
        measures, count = self.measures, len(documents)
        bytes_of_app = fetched.bytes.get(marathon.ONE_APP, 0) / count
        measures.compared(
            "fetched of the app per replaced task",
            bytes_of_app,
            "B",
            statistics.mean(documents),
            "its document",
        )
        rest = sum(fetched.bytes.values()) / count - bytes_of_app
        measures.row(
            "fetched of all else per replaced task",
            rest,
            "B",
            " ".join(sorted(set(fetched.bytes) - {marathon.ONE_APP})),
        )
        measures.row("reloads per replaced task", reloaded / count, "reloads")
