"""The benchmarks run, in miniature."""

from __future__ import annotations

import os
import shutil
import tempfile

from twisted.trial.unittest import SynchronousTestCase

from benchmarks.__main__ import find_haproxy, measure
from benchmarks.arrivals import BEFORE, FAKE, HOST, PORT, RELOADS, Arrivals
from benchmarks.cluster import Shape
from benchmarks.measure import Plan
from benchmarks.rounds import CPU, MEDIAN
from benchmarks.startup import HELP, TEN_APPS
from benchmarks.traffic import COST, COST_OF_ANY, RATE, RATE_OF_ANY, Traffic
from benchmarks.world import own_network
from marathonlb.haproxy.process.procfs import Procfs


class MiniatureTests(SynchronousTestCase):
    """Everything, small: real processes, a real HAProxy."""

    if find_haproxy() is None:
        skip = "there is no HAProxy"

    def test_all(self) -> None:
        """Each figure is measured, nothing fails, and neither a process nor a directory is left."""
        parent = tempfile.mkdtemp(prefix="mini-", dir="/tmp")
        self.addCleanup(shutil.rmtree, parent)
        plan = Plan(
            rounds=1,
            seconds=5,
            rapid=20,
            pause=0.1,
            rest=0.1,
            events=10,
            lasting=20,
            churn=0.1,
            starts=1,
            rates=(20,),
            arrivals=Arrivals(rounds=1, at_once=2),
        )
        said: list[str] = []
        shape = Shape(3, 2, network=own_network())
        traffic = Traffic(apps=1, tasks=2, rate=20, requests=50)
        rows, failures = measure([shape], plan, find_haproxy() or "", said.append, parent, traffic)
        self.assertEqual([], failures)
        self.assertEqual({"3 × 2", "10 × 2"}, {row.size for row in rows})
        values = {row.name: row.value for row in rows}
        self.assertIn("memory of the controller, growth over 20 events", values)
        for name in (
            MEDIAN,
            f"{MEDIAN}, after a pause of 0.1 s",
            CPU,
            f"{CPU}, after a pause of 0.1 s",
            "one-shot: bytes → text",
            "churn: CPU per replaced task",
            "memory of the controller, steady",
            COST,
            COST_OF_ANY,
            RATE,
            RATE_OF_ANY,
            "rolling restart, tasks end at once: slowest request",
            HOST,
            PORT,
            HELP,
            TEN_APPS,
        ):
            # of two replaced tasks the system may count no CPU: it counts hundredths of a second
            self.assertGreater(values[name] + ("CPU" in name), 0, name)
        self.assertEqual(0, values["events without changes: reloads"])
        self.assertEqual((0, 1), (values[FAKE + BEFORE], values[FAKE + RELOADS.format(count=2)]))
        self.assertEqual({0}, {value for name, value in values.items() if name.endswith("failed requests")})
        self.assertEqual([], os.listdir(parent))
        self.assertEqual(
            [], [line for line in command_lines() if parent in line or f" {shape.network}" in line]
        )


def command_lines() -> list[str]:
    """The processes of this machine, each as its arguments."""
    procfs = Procfs()
    return [" ".join(procfs.arguments(int(name))) for name in os.listdir("/proc") if name.isdigit()]
