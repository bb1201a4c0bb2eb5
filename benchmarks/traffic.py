"""
What those who ask notice: rolling restarts under load, and many virtual hosts.

The load is that of the tests, `tests.integration.load`: a process of its own that forgives nothing.
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
"""Virtual hosts of the cluster that many are compared with."""

GRACE = 0.5
"""Seconds that tasks serve on after they were told to end, where they do."""

ANY = {"get": 2, "keep-alive": 2, "post": 1, "post-keep-alive": 1, "h2": 1, "h2-post": 1}
IDEMPOTENT = {"get": 2, "keep-alive": 2, "h2": 2}

COST = f"HAProxy: CPU of a request, always to the same {FEW} virtual hosts"
COST_OF_ANY = "HAProxy: CPU of a request, to any of the virtual hosts"
RATE = f"requests a second, always to the same {FEW} virtual hosts"
RATE_OF_ANY = "requests a second, to any of the virtual hosts"


@frozen(kw_only=True)
class Traffic:
    """
    How much is measured.

    :param apps: so many apps are restarted, `tasks` of each, `rate` tasks a second.
    :param requests: so many for each figure of what a request costs.
    """

    apps: int = 100
    tasks: int = 10
    rate: float = 100.0
    requests: int = 20_000


QUICK_TRAFFIC = Traffic(apps=20, requests=5_000)


@define
class Restarts:
    """
    Rolling restarts in a world whose every other app binds its clients by a cookie.

    :param say: takes a line for whoever waits.
    """

    world: World
    plan: Traffic
    say: Callable[[str], object]
    rows: list[Row] = field(factory=list)

    def all(self) -> None:
        """Everything. Raises `Failed`; the rows before that are there."""
        controller = self.world.controller()
        self.restart(controller, "rolling restart", 1, GRACE, ANY)
        self.restart(controller, "rolling restart, with cookies", 0, GRACE, ANY)
        self.restart(controller, "rolling restart, tasks end at once", 1, 0, IDEMPOTENT)

    def restart(
        self, controller: Controller, what: str, first: int, grace: float, clients: dict[str, int]
    ) -> None:
        """
        One restart of some apps.

        :param first: the first app; every other one follows.
        :param clients: kinds of clients, and how many of each.
        """
        shape, plan = self.world.shape, self.plan
        self.say(f"{shape}: {what}")
        indices = range(first, shape.apps, 2)[: plan.apps]
        tasks = min(plan.tasks, shape.tasks)
        before = controller.reloads()
        asking = Asking(shape, [virtual_host(index) for index in indices], clients)
        try:
            asked = {"first": first, "apps": len(indices), "tasks": tasks, "rate": plan.rate, "grace": grace}
            done = self.world.move("restart", **asked)
            controller.child.idle()
        finally:
            report = asking.end()
        many = f"{done:,} tasks, {plan.rate:g} a second"
        self._row(f"{what}: reloads", controller.reloads() - before, "reloads", many)
        said = f"of {sum(report.asked.values()):,}: {', '.join(sorted(report.asked))}"
        self._row(f"{what}: requests that failed", len(report.lost), "requests", said)
        self._row(f"{what}: slowest request", max(report.slowest.values()) * 1000, "ms", many)

    def _row(self, name: str, value: float, unit: str, reference: str) -> None:
        self.rows.append(Row(name, str(self.world.shape), value, unit, reference))


class Asking:
    """Clients that ask some virtual hosts until they are told to end."""

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
        """End them, and what came of it. Raises `Failed`."""
        try:
            told, _ = self._process.communicate(timeout=60)
            return msgspec.json.decode(told, type=Report)
        except (subprocess.TimeoutExpired, msgspec.DecodeError) as error:
            self._process.kill()
            self._process.wait()
            raise Failed(f"the load did not end as it should: {error}") from None


@frozen
class Cost:
    """
    What requests cost.

    :param cpu: seconds of HAProxy's CPU for one of them.
    :param rate: so many a second one client had, each asked when the one before was answered.
    """

    cpu: float
    rate: float


def cost(world: World, controller: Controller, requests: int, hosts: int) -> Cost:
    """Measure what requests to a number of virtual hosts cost, on a connection that is kept open."""
    (worker,) = controller.workers()
    random = Random(world.shape.seed)
    names = [virtual_host(index) for index in random.sample(range(world.shape.apps), hosts)]
    heads = [
        f"GET /{number} HTTP/1.1\r\nHost: {random.choice(names)}\r\n\r\n".encode()
        for number in range(requests)
    ]
    with socket.create_connection((world.shape.frontend, HTTP_PORT), 5) as connection:
        _ask(connection, heads[: len(heads) // 10])  # what is slow once
        began, at = clock_gettime((~worker << 3) | 2), monotonic()
        _ask(connection, heads)
        took = monotonic() - at
        return Cost((clock_gettime((~worker << 3) | 2) - began) / len(heads), len(heads) / took)


def _ask(connection: socket.socket, heads: Sequence[bytes]) -> None:
    for head in heads:
        connection.sendall(head)
        heard = connection.recv(65536)
        while heard and b"\r\n\r\n127." not in heard:
            heard += connection.recv(65536)
        if not heard.startswith(b"HTTP/1.1 200 "):
            raise Failed(f"{head!r} was answered by {heard[:200]!r}")


def costs(world: World, plan: Traffic) -> tuple[Cost, Cost]:
    """Measure what a request costs: to few of the virtual hosts in turn, and to all of them. Raises `Failed`."""
    controller = world.controller()
    there = world.shape.apps
    some = cost(world, controller, plan.requests, min(FEW, there))
    return some, cost(world, controller, plan.requests, there)


def cost_rows(shape: Shape, here: tuple[Cost, Cost], reference: Cost) -> list[Row]:
    """Measure what a request costs here, compared with a HAProxy of few virtual hosts."""
    said, size = f"with {FEW} virtual hosts", str(shape)
    cpu = [
        compared(name, size, found.cpu, "µs", reference.cpu, said, 1e6)
        for name, found in zip((COST, COST_OF_ANY), here, strict=True)
    ]
    rates = [
        compared(name, size, found.rate, "requests/s", reference.rate, said)
        for name, found in zip((RATE, RATE_OF_ANY), here, strict=True)
    ]
    return [*cpu, *rates]


def few(shape: Shape) -> Shape:
    """Make a cluster of few virtual hosts."""
    return evolve(shape, apps=min(FEW, shape.apps))
