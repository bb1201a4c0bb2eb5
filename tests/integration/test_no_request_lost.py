"""
No request lost: clients ask without a pause while tasks, HAProxy's text, the controller and HAProxy itself change.

What is promised, and what cannot be, is in docs/promises.md; each promise has its test here.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections import Counter
from functools import partial
from pathlib import Path
from time import time
from typing import Any

import msgspec
from twisted.internet import reactor
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread

from minimarathon.service import MiniMarathon
from tests.integration.controllers import Controlled, app, get
from tests.integration.haproxies import MORE, PACKAGE, WHEEL, free_port
from tests.integration.load import Plan, Report
from tests.integration.minimarathons import MarathonTestCase, until
from tests.integration.worlds import certificate
from tests.paths import CHECKOUT

LONG = float(os.environ.get("MARATHON_LB_TEST_LOAD", "1"))
"""Factor for the duration of the scenarios."""


class Running:
    """A load that is under way."""

    def __init__(self, plan: Plan) -> None:
        arguments = [sys.executable, "-m", "tests.integration.load", msgspec.json.encode(plan).decode()]
        self._process = subprocess.Popen(
            arguments, cwd=CHECKOUT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )

    async def end(self) -> Report:
        """End it, and what came of it."""
        output, _ = await deferToThread(self._process.communicate)
        return msgspec.json.decode(output, type=Report)

    def kill(self) -> None:
        """End it where a test has failed before."""
        if self._process.poll() is None:
            self._process.kill()
            self._process.communicate()


ALL = {"get": 2, "keep-alive": 2, "post": 1, "post-keep-alive": 2, "h2": 1, "h2-post": 1, "h2-tls": 1}
"""Kinds of clients, and how many of each."""


def loaded(
    name: str, instances: int, kind: str = "web", *, checked: bool = True, **labels: str
) -> dict[str, Any]:
    """An app of `tests.integration.tasks`; its service port is on the loopback."""
    wanted = app(name, free_port(), instances, HAPROXY_0_BIND_ADDR="127.0.0.1", **labels)
    wanted["cmd"] = f'exec "{sys.executable}" -S -m tests.integration.tasks {kind} --name {name}'
    wanted["env"] |= {
        "LINGER": "2"
    }  # where HAProxy is 2.6, cookies take a reload, which waits for the one before
    wanted["upgradeStrategy"] = {"minimumHealthCapacity": 1, "maximumOverCapacity": 0.5}
    wanted["taskKillGracePeriodSeconds"] = 10
    if kind == "echo":
        wanted["labels"] |= {"HAPROXY_0_MODE": "tcp"}
        wanted["healthChecks"][0] |= {"protocol": "TCP", "path": None}
    return wanted if checked else {**wanted, "healthChecks": []}


def seconds(count: float) -> Any:
    """Let so much time pass, times what the run is to take."""
    return deferLater(reactor, count * LONG)


class UnderLoad(Controlled):
    """A world that clients ask without a pause, and what came of it."""

    timeout = 240 * LONG

    async def world(self, *apps: dict[str, Any], options: tuple[str, ...] = ()) -> MiniMarathon:
        """A Marathon with apps, all of them served."""
        self.service = self.marathon()  # type: ignore[attr-defined]
        pem = certificate(self.directory / "all.pem", "a.example.com")
        self.more = ("--ssl-certs", pem, "--log-level", "debug", *options)
        for each in apps:
            await self.create(self.service, each)
        for each in apps:
            if each["healthChecks"]:
                await until(lambda each=each: self.healthy(self.service, each["id"]), 30)
        self.daemon(self.service.url, "sse", *self.more)
        for each in apps:
            if each["labels"].get("HAPROXY_0_MODE") != "tcp":
                await self.answers("200 OK", f"{each['id'][1:]}.example.com")
        await until(lambda: self.settled() and self.reloads(), 20)
        return self.service

    def load(self, hosts: str, kinds: dict[str, int], echo: int = 0) -> Running:
        """Start clients by kind and number."""
        plan = Plan(
            http=self.ports["http"],
            https=self.ports["https"],
            tcp=echo,
            hosts=tuple(f"{host}.example.com" for host in hosts.split()),
            clients=kinds,
        )
        running = Running(plan)
        self.addCleanup(running.kill)  # type: ignore[attr-defined]
        return running

    async def nothing_lost(self, running: Running, *but: str) -> Report:
        """
        End a load: every exchange had its answer, and no POST was carried out twice.

        :param but: patterns of what may be lost, each of a kind and why.
        """
        report = await running.end()
        self.note(report)
        lost = [
            one for one in report.lost if not any(re.match(each, f"{one.kind}: {one.why}") for each in but)
        ]
        self.assertEqual([], lost, f"\n{self.figures(report)}\n{self.words()}")  # type: ignore[attr-defined]
        self.assertGreater(min(report.asked.values()), 1, self.figures(report))  # type: ignore[attr-defined]
        twice = [said for said, count in self.posted().items() if count > 1]
        self.assertEqual([], twice, "carried out twice")  # type: ignore[attr-defined]
        return report

    def figures(self, report: Report) -> str:
        """The figures of a load, kind by kind."""
        lost = Counter(each.kind for each in report.lost)
        return "\n".join(
            f"{kind}: {count} asked, {lost[kind]} lost, slowest {report.slowest.get(kind, 0):.2f} s, "
            f"{report.connections.get(kind, 0)} connections"
            for kind, count in report.asked.items()
        )

    def note(self, report: Report) -> None:
        """Keep the figures for whoever asked for them."""
        path = os.environ.get("MARATHON_LB_TEST_FIGURES")
        if path:
            with open(path, "a", encoding="utf-8") as file:
                told = {"test": self.id(), "reloads": self.reloads(), **msgspec.to_builtins(report)}
                file.write(json.dumps(told) + "\n")

    def words(self) -> str:
        """Return the end of HAProxy's log."""
        return (self.directory / "state" / "haproxy.log").read_text()[-3000:]

    def posted(self) -> Counter[str]:
        """Return the bodies of the posts that tasks have processed, with their numbers."""
        found: Counter[str] = Counter()
        for path in Path(self.service.config.work_dir).glob("*/output"):
            found.update(re.findall(r"^POST (.*)$", path.read_text(errors="replace"), re.MULTILINE))
        return found

    async def deployed(self) -> None:
        """Wait until Marathon has nothing under way."""

        async def over() -> bool:
            return await self.ask(self.service, "GET", "/v2/deployments") == (200, [])

        await until(over, 60)

    def echo(self) -> int:
        """The service port of the echo."""
        found = re.search(r"frontend e_\d+.*\n  bind 127.0.0.1:(\d+)", self.config())
        assert found is not None
        return int(found[1])

    async def kill_a_task(self, name: str) -> None:
        """Kill a task of an app without notice."""
        task, *_ = await self.tasks(self.service, f"/{name}")  # type: ignore[attr-defined]
        for pid in pids_on(task["ports"][0]):
            os.kill(pid, signal.SIGKILL)


class NoRequestLostMixin(UnderLoad):
    """The tests for every HAProxy; a subclass for each binary."""

    async def test_rolling_restart(self) -> None:
        """Every app is restarted, task by task: nothing is lost, whatever is spoken and however."""
        await self.world(loaded("a", 4), loaded("b", 4, HAPROXY_0_STICKY="true"), loaded("e", 2, "echo"))
        kinds = ALL | {"slow": 1, "slow-post": 1, "download": 1, "h2-download": 1, "tcp": 1}
        running = self.load("a b", kinds, echo=self.echo())
        await seconds(0.5)
        for name in "abe":
            await self.ask(self.service, "POST", f"/v2/apps/{name}/restart")
        await self.deployed()
        await seconds(0.5)
        await self.nothing_lost(running)

    async def test_unchecked(self) -> None:
        """The one task of an app without health checks is replaced: what comes too early waits until it listens."""
        await self.world(loaded("a", 1, checked=False))
        running = self.load("a", ALL)
        for _ in range(2):
            await seconds(0.5)
            await self.ask(self.service, "POST", "/v2/apps/a/restart")
            await self.deployed()
        await seconds(1.5)
        await self.nothing_lost(running)

    async def test_killed_tasks(self) -> None:
        """Of tasks that are killed without a word others do the work again, but for what is not to be done twice."""
        await self.world(loaded("a", 4), loaded("b", 4, HAPROXY_0_STICKY="true"))
        running = self.load("a b", ALL | {"slow": 3, "slow-put": 2, "slow-post": 2})
        for _ in range(3):
            await seconds(0.7)
            await self.kill_a_task("a")
            await self.kill_a_task("b")
        await seconds(0.7)
        await self.nothing_lost(running, ".*post.*: ")

    async def test_reload_after_reload(self) -> None:
        """A reload a second: nothing is lost, and what takes longer than the time between two of them is finished."""
        await self.world(loaded("a", 2), loaded("e", 1, "echo"), options=("--min-reload-interval", "0"))
        long = {"download": 2, "h2-download": 1, "websocket": 2, "tcp-long": 2}
        kinds = ALL | {"idle": 2, "h2-idle": 2, "tcp": 1} | long
        running = self.load("a", kinds, echo=self.echo())
        for _ in range(int(6 * LONG)):
            before = self.reloads()
            self.daemons[-1].send_signal(signal.SIGUSR1)
            await deferLater(reactor, 1)
            await until(lambda before=before: self.reloads() > before, 60)
        report = await self.nothing_lost(running)
        stayed = {kind: report.connections[kind] for kind in ("websocket", "tcp-long")}
        self.assertEqual({"websocket": 2, "tcp-long": 2}, stayed)  # type: ignore[attr-defined]

    async def test_grouped_https(self) -> None:
        """Reloads while hosts with a certificate of their own come and go: HAProxy's way to itself is never gone."""
        own = certificate(self.directory / "own.pem", "a.example.com")
        options = ("--group-https-by-vhost", "--min-reload-interval", "0")
        await self.world(loaded("a", 2, HAPROXY_0_SSL_CERT=own), loaded("b", 1), options=options)
        running = self.load("a", {"get": 1, "h2-tls": 3})
        for _ in range(int(3 * LONG)):
            other = loaded("c", 1, HAPROXY_0_SSL_CERT=own)
            for change in (partial(self.create, self.service, other), partial(self.remove, "c")):
                before = self.reloads()
                await change()
                await self.deployed()
                await until(lambda before=before: self.reloads() > before, 60)
        await self.nothing_lost(running)

    async def remove(self, name: str) -> None:
        """End an app."""
        await self.ask(self.service, "DELETE", f"/v2/apps/{name}")

    async def test_hard_stop(self) -> None:
        """What lasts is let be until --hard-stop-after has passed since a reload, and is ended then."""
        await self.world(loaded("a", 2), options=("--hard-stop-after", "3s"))
        running = self.load("a", {"get": 1, "keep-alive": 1, "download": 2, "websocket": 2})
        await until(lambda: self.open_connections(5), 30)  # those that stay: all but the first one's
        reloaded, before = time(), self.reloads()
        self.daemons[-1].send_signal(signal.SIGUSR1)
        await until(lambda: self.reloads() > before, 60)
        await until(self.alone, 60)
        over = time()
        report = await self.nothing_lost(running, "websocket: ")
        ended = [round(lost.began + lost.seconds - reloaded, 1) for lost in report.lost]
        self.assertEqual(2, len(ended), ended)  # type: ignore[attr-defined]
        self.assertTrue(2.9 < min(ended) <= max(ended) < over - reloaded + 1, ended)  # type: ignore[attr-defined]

    async def open_connections(self, count: int) -> bool:
        """Return whether the HTTP frontend has at least this number of connections."""
        told = await deferToThread(get, self.ports["stats"], "a", "/haproxy?stats;csv")
        found = re.search(r"^marathon_http_in,FRONTEND,,,(\d+),", told, re.MULTILINE)
        return found is not None and int(found[1]) >= count

    def alone(self) -> bool:
        """Return whether all old workers have ended."""
        (master,) = self.haproxy_pids()
        return len(workers(master)) == 1

    async def test_controller_killed(self) -> None:
        """The controller is killed and started again, a task dies in between: nothing is lost, no reload is needed."""
        await self.world(loaded("a", 4), loaded("b", 1))
        running, before = self.load("a", ALL | {"websocket": 1}), self.reloads()
        lasting = self.load("b", {"download": 1, "h2-download": 1, "websocket": 2})
        await seconds(0.5)
        self.daemons[-1].kill()
        await deferToThread(self.daemons[-1].wait)
        await self.kill_a_task("a")
        await seconds(1.5)
        self.daemon(self.service.url, "sse", *self.more)
        await until(lambda: self.log().count("Listening to the events") == 2, 20)
        await seconds(1)
        await self.nothing_lost(running, ".*post.*: ", "websocket: ")
        report = await self.nothing_lost(lasting)
        self.assertEqual(2, report.connections["websocket"])  # type: ignore[attr-defined]
        self.assertEqual(before, self.reloads())  # type: ignore[attr-defined]

    async def test_haproxy_killed(self) -> None:
        """HAProxy's worker or master is killed: what it had in hand is lost, and a moment later all is served again."""
        await self.world(loaded("a", 3))
        running = self.load("a", ALL)
        times = []
        for whom in ("worker", "master"):
            await seconds(0.5)
            (master,) = self.haproxy_pids()
            (worker,) = workers(master)
            killed = time()
            os.kill(worker if whom == "worker" else master, signal.SIGKILL)
            await until(lambda master=master: self.haproxy_pids() not in ([], [master]), 60)
            await self.answers("200 OK", "a.example.com")
            times.append((killed, time()))
            await seconds(1)
        report = await running.end()
        self.note(report)
        for lost in report.lost:
            within = any(killed - 1 < lost.began < served + 0.1 for killed, served in times)
            self.assertTrue(within, f"{lost} {times}\n{self.figures(report)}")  # type: ignore[attr-defined]


def pids_on(port: int) -> list[int]:
    """Return the ids of the processes whose PORT0 is this port."""
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            if f"PORT0={port}\0".encode() in path.read_bytes():
                found.append(int(path.parent.name))
        except OSError:
            continue
    return found


def workers(master: int) -> list[int]:
    """The children of a process."""
    return [int(pid) for pid in Path(f"/proc/{master}/task/{master}/children").read_text().split()]


for _word, _binary in {
    "Package": PACKAGE,
    "Wheel": WHEEL,
    **{Path(path).name: path for path in MORE},
}.items():
    _name = f"{re.sub(r'[^A-Za-z0-9]', '_', _word)}Tests"
    globals()[_name] = type(
        _name,
        (NoRequestLostMixin, MarathonTestCase),
        {
            "__module__": __name__,
            "__doc__": "With one HAProxy.",
            "haproxy": _binary,
            "skip": None if _binary else "this HAProxy is not installed",
        },
    )
