"""
The clients' view: rolling restarts under load, and many virtual hosts.

The load comes from the tests, `tests.integration.load`: a separate process that reports every failed request.
"""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Callable, Sequence
from random import Random
from time import clock_gettime, monotonic

import msgspec
from attrs import define, evolve, field, frozen

from benchmarks.cluster import Shape, virtual_host
from benchmarks.report import Row, compared
from benchmarks.world import CHECKOUT, HTTP_PORT, Controller, Failed, World, environment
from tests.integration.load import Plan as Load
from tests.integration.load import Report

FEW = 10
"""Number of virtual hosts of the small cluster, the reference for large ones."""

GRACE = 0.5
"""Seconds that tasks keep serving after the kill."""

ANY = {"get": 2, "keep-alive": 2, "post": 1, "post-keep-alive": 1, "h2": 1, "h2-post": 1}
IDEMPOTENT = {"get": 2, "keep-alive": 2, "h2": 2}

COST = f"HAProxy: CPU per request, to the same {FEW} virtual hosts"
COST_OF_ANY = "HAProxy: CPU per request, to all virtual hosts"
RATE = f"requests per second, to the same {FEW} virtual hosts"
RATE_OF_ANY = "requests per second, to all virtual hosts"


@frozen(kw_only=True)
class Traffic:
    """
    The amount of work to measure.

    :param apps: number of apps to restart, with `tasks` tasks each, `rate` tasks per second.
    :param requests: number of requests for each measurement of the CPU per request.
    """

    apps: int = 100
    tasks: int = 10
    rate: float = 100.0
    requests: int = 20_000


QUICK_TRAFFIC = Traffic(apps=20, requests=5_000)


@define
class Restarts:
    """
    Measures rolling restarts in a cluster in which every other app binds its clients by a cookie.

    :param say: takes a progress line.
    """

    world: World
    plan: Traffic
    say: Callable[[str], object]
    rows: list[Row] = field(factory=list)

    def all(self) -> None:
        """Run all measurements. Raises `Failed`, keeping the rows so far."""
        controller = self.world.controller()
        self.restart(controller, "rolling restart", 1, GRACE, ANY)
        self.restart(controller, "rolling restart, with cookies", 0, GRACE, ANY)
        self.restart(controller, "rolling restart, tasks end at once", 1, 0, IDEMPOTENT)

    def restart(
        self, controller: Controller, name: str, first: int, grace: float, clients: dict[str, int]
    ) -> None:
        """
        Measure one restart of some apps.

        :param first: index of the first app; every other app follows.
        :param clients: the number of clients of each kind.
        """
        shape, plan = self.world.shape, self.plan
        self.say(f"{shape}: {name}")
        indices = range(first, shape.apps, 2)[: plan.apps]
        tasks = min(plan.tasks, shape.tasks)
        before = controller.reloads()
        load = LoadProcess(shape, [virtual_host(index) for index in indices], clients)
        try:
            parameters = {
                "first": first,
                "apps": len(indices),
                "tasks": tasks,
                "rate": plan.rate,
                "grace": grace,
            }
            done = self.world.move("restart", **parameters)
            controller.child.idle()
        finally:
            report = load.end()
        total = f"{done:,} tasks, {plan.rate:g} per second"
        self._row(f"{name}: reloads", controller.reloads() - before, "reloads", total)
        requests = f"of {sum(report.asked.values()):,}: {', '.join(sorted(report.asked))}"
        self._row(f"{name}: failed requests", len(report.lost), "requests", requests)
        self._row(f"{name}: slowest request", max(report.slowest.values()) * 1000, "ms", total)

    def _row(self, name: str, value: float, unit: str, reference: str) -> None:
        self.rows.append(Row(name, str(self.world.shape), value, unit, reference))


class LoadProcess:
    """A process with clients that send requests to some virtual hosts until `end`."""

    def __init__(self, shape: Shape, hosts: Sequence[str], clients: dict[str, int]) -> None:
        load = Load(address=shape.frontend, http=HTTP_PORT, hosts=tuple(hosts), clients=clients)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.integration.load", msgspec.json.encode(load).decode()],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment(),
            cwd=CHECKOUT,
        )

    def end(self) -> Report:
        """End the clients, and return their report. Raises `Failed`."""
        try:
            output, _ = self._process.communicate(timeout=60)
            return msgspec.json.decode(output, type=Report)
        except (subprocess.TimeoutExpired, msgspec.DecodeError) as error:
            self._process.kill()
            self._process.wait()
            raise Failed(f"the load process did not return its report: {error}") from None


@frozen
class Cost:
    """
    The cost of requests.

    :param cpu: CPU seconds of HAProxy per request.
    :param rate: requests per second of one client that sends each request after the previous response.
    """

    cpu: float
    rate: float


def cost(world: World, controller: Controller, requests: int, hosts: int) -> Cost:
    """Measure the cost of requests to a number of virtual hosts, on one persistent connection."""
    (worker,) = controller.workers()
    random = Random(world.shape.seed)
    names = [virtual_host(index) for index in random.sample(range(world.shape.apps), hosts)]
    heads = [
        f"GET /{number} HTTP/1.1\r\nHost: {random.choice(names)}\r\n\r\n".encode()
        for number in range(requests)
    ]
    with socket.create_connection((world.shape.frontend, HTTP_PORT), 5) as connection:
        _ask(connection, heads[: len(heads) // 10])  # warm up
        cpu, start = clock_gettime((~worker << 3) | 2), monotonic()
        _ask(connection, heads)
        seconds = monotonic() - start
        return Cost((clock_gettime((~worker << 3) | 2) - cpu) / len(heads), len(heads) / seconds)


def _ask(connection: socket.socket, heads: Sequence[bytes]) -> None:
    for head in heads:
        connection.sendall(head)
        received = connection.recv(65536)
        while received and b"\r\n\r\n127." not in received:
            received += connection.recv(65536)
        if not received.startswith(b"HTTP/1.1 200 "):
            raise Failed(f"the response to {head!r} was {received[:200]!r}")


def costs(world: World, plan: Traffic) -> tuple[Cost, Cost]:
    """Measure the cost of requests to few virtual hosts, and to all of them. Raises `Failed`."""
    controller = world.controller()
    hosts = world.shape.apps
    of_few = cost(world, controller, plan.requests, min(FEW, hosts))
    return of_few, cost(world, controller, plan.requests, hosts)


def cost_rows(shape: Shape, measured: tuple[Cost, Cost], reference: Cost) -> list[Row]:
    """Return the rows about the cost of requests, compared with those of a cluster of few virtual hosts."""
    described, size = f"with {FEW} virtual hosts", str(shape)
    cpu = [
        compared(name, size, value.cpu, "µs", reference.cpu, described, 1e6)
        for name, value in zip((COST, COST_OF_ANY), measured, strict=True)
    ]
    rates = [
        compared(name, size, value.rate, "requests/s", reference.rate, described)
        for name, value in zip((RATE, RATE_OF_ANY), measured, strict=True)
    ]
    return [*cpu, *rates]


def few(shape: Shape) -> Shape:
    """Return the shape of a cluster of few virtual hosts."""
    return evolve(shape, apps=min(FEW, shape.apps))
