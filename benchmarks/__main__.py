"""
``python -m benchmarks``: runs all measurements and prints one table.

All processes use the loopback interface and end with the run. A run takes about seven minutes, with ``--quick`` one.
"""

from __future__ import annotations

import argparse
import json
import resource
import shlex
import shutil
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from attrs import evolve

from benchmarks.arrivals import FakeNewApps
from benchmarks.cluster import Shape
from benchmarks.measure import QUICK, Measures, Plan
from benchmarks.report import Row, as_json, between_sizes, machine, table
from benchmarks.rounds import GROW
from benchmarks.startup import startup
from benchmarks.traffic import QUICK_TRAFFIC, Cost, Restarts, Traffic, cost_rows, costs, few
from benchmarks.world import Failed, World, own_network
from marathonlb.options.settings import Machine

SIZES = ((1_000, 10), (10_000, 10))


def main(argv: list[str]) -> int:
    """Run the measurements; return the exit status."""
    options = _parser().parse_args(argv)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # exit normally, so child processes are ended
    haproxy = options.haproxy or find_haproxy()
    if haproxy is None:
        print("benchmarks: HAProxy was not found; give its path with --haproxy", file=sys.stderr)
        return 2
    sizes = SIZES[:1] if options.quick else SIZES
    if options.apps or options.tasks:
        sizes = ((options.apps or 1_000, options.tasks or 10),)
    network = own_network()
    shapes = [Shape(apps, tasks, options.seed, network) for apps, tasks in sizes]
    plans = (QUICK, QUICK_TRAFFIC) if options.quick else (Plan(), Traffic())
    older = shlex.split(options.older)
    rows, failures = measure(shapes, plans[0], haproxy, _say, traffic=plans[1], older=older)
    about = machine(haproxy)
    print(", ".join(f"{name} {value}" for name, value in about.items()), end="\n\n")
    print(table(rows))
    if options.json:
        Path(options.json).write_text(json.dumps(as_json(rows, about), indent=1) + "\n")
    for failure in failures:
        print(f"benchmarks: {failure}", file=sys.stderr)
    return 1 if failures else 0


def measure(
    shapes: Sequence[Shape],
    plan: Plan,
    haproxy: str,
    say: Callable[[str], object],
    parent: str = "/tmp",
    traffic: Traffic | None = None,
    older: Sequence[str] = (),
) -> tuple[list[Row], list[str]]:
    """
    Return the rows of all sizes, and the failures.

    :param say: takes a progress line.
    :param parent: the directory for temporary directories.
    :param older: see `benchmarks.startup`.
    """
    traffic = traffic or Traffic()
    rows: list[Row] = []
    failures: list[str] = []
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    for shape in shapes:
        if 0 <= limit < shape.files:
            failures.append(f"{shape}: HAProxy needs {shape.files} open files; ulimit -Hn allows {limit}")
            continue
        with World(shape, haproxy, parent) as world:
            measures = Measures(world, plan, say)
            try:
                world.start()
                measures.all()
            except Failed as failed:
                failures.append(f"{shape}: {failed}")
            rows += measures.rows
        rows += fake(shape, plan, say, failures)
    rows += between_sizes(rows, GROW)
    for part in (hosts, restarts):
        try:
            rows += part(shapes, traffic, haproxy, say, parent)
        except Failed as failed:
            failures.append(str(failed))
    try:
        rows += startup(shapes[0], haproxy, plan.starts, older, say, parent)
    except Failed as failed:
        failures.append(str(failed))
    return rows, failures


def fake(shape: Shape, plan: Plan, say: Callable[[str], object], failures: list[str]) -> list[Row]:
    """Measure new apps with a simulated HAProxy 3.4."""
    say(f"{shape}: new apps, with a simulated HAProxy 3.4")
    with TemporaryDirectory(prefix="bench-") as directory:
        measurement = FakeNewApps(shape, plan.arrivals, Path(directory))
        try:
            measurement.measure()
        except Failed as failed:
            failures.append(f"{shape}: {failed}")
    return measurement.rows


def hosts(
    shapes: Sequence[Shape], plan: Traffic, haproxy: str, say: Callable[[str], object], parent: str
) -> list[Row]:
    """Measure HAProxy's CPU per request with few and with many virtual hosts. Raises `Failed`."""
    measured: dict[Shape, tuple[Cost, Cost]] = {}
    for shape in (few(shapes[0]), *shapes):
        say(f"{shape}: requests to all virtual hosts")
        with World(shape, haproxy, parent) as world:
            world.start()
            measured[shape] = costs(world, plan)
    reference = measured[few(shapes[0])][0]
    return [row for shape in shapes for row in cost_rows(shape, measured[shape], reference)]


def restarts(
    shapes: Sequence[Shape], plan: Traffic, haproxy: str, say: Callable[[str], object], parent: str
) -> list[Row]:
    """Measure rolling restarts in the smallest cluster. Raises `Failed`."""
    with World(evolve(shapes[0], mortal=2 * plan.apps), haproxy, parent) as world:
        world.start()
        measurement = Restarts(world, plan, say)
        measurement.all()
    return measurement.rows


def find_haproxy() -> str | None:
    """Return the HAProxy of the extra ``haproxy``, whose version is fixed, or else the one on the path."""
    local = Machine()
    return (
        local.bundled_haproxy()
        or shutil.which("haproxy")
        or shutil.which("haproxy", path="/usr/sbin:/usr/local/sbin")
    )


def _say(line: str) -> None:
    print(f"… {line}", file=sys.stderr, flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measure the load balancer.")
    parser.add_argument(
        "--quick", action="store_true", help="1,000 × 10 tasks and few rounds; takes one minute"
    )
    parser.add_argument("--apps", type=int, help="number of apps; measures only this size")
    parser.add_argument("--tasks", type=int, help="number of tasks per app")
    parser.add_argument("--seed", type=int, default=1, help="seed of the generated cluster")
    parser.add_argument("--json", metavar="FILE", help="also write the rows to this file")
    parser.add_argument(
        "--haproxy",
        metavar="PATH",
        help="path of the HAProxy binary; default: the extra's or the installed one",
    )
    parser.add_argument(
        "--older",
        metavar="COMMAND",
        default="",
        help="a script with the same options, to compare its startup with",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
