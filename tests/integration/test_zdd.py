"""``marathon-lb-zdd`` between a Marathon, the load balancer and HAProxy, under load."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from twisted.internet.threads import deferToThread

from minimarathon.service import MiniMarathon
from tests.integration.controllers import Controlled
from tests.integration.haproxies import PACKAGE, WHEEL, free_port
from tests.integration.minimarathons import MarathonTestCase, until
from tests.integration.test_no_request_lost import UnderLoad, loaded
from tests.paths import CHECKOUT

ZDD = "from marathonlb.zdd.script import script; script()"
KINDS = {"get": 2, "keep-alive": 1, "post": 2, "h2": 1, "slow": 1}


class Tool:
    """One run of the tool."""

    def __init__(self, directory: Path, *arguments: str) -> None:
        self.output = directory / f"zdd-{len(list(directory.glob('zdd-*')))}"
        with self.output.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-c", ZDD, *arguments],
                cwd=directory,
                env={**os.environ, "PYTHONPATH": str(CHECKOUT)},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    async def status(self) -> int:
        """Wait for its end, and return the exit status."""
        return int(await deferToThread(self.process.wait, 120))

    def said(self) -> list[dict[str, Any]]:
        """Its lines."""
        lines = self.output.read_text().splitlines()
        return [json.loads(line) for line in lines if line.startswith("{")]

    def events(self) -> list[str]:
        """Return the events, without those that were waited for."""
        return [line["event"] for line in self.said() if line["event"] != "waiting"]

    def kill(self) -> None:
        """End it where a test has failed before."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


class SignalTests(MarathonTestCase):
    """Signals that end the tool."""

    timeout = 480

    def setUp(self) -> None:
        self.directory = Path(self.mktemp()).resolve()
        self.directory.mkdir(parents=True)
        self.file = self.directory / "shop.json"
        labels = {"HAPROXY_DEPLOYMENT_GROUP": "shop", "HAPROXY_DEPLOYMENT_ALT_PORT": str(free_port())}
        checks = [{"protocol": "HTTP", "portIndex": 0, "gracePeriodSeconds": 600}]
        body = {"id": "/shop", "cmd": "exec sleep 600", "labels": labels, "healthChecks": checks}
        self.file.write_text(json.dumps({**body, "portDefinitions": [{"port": free_port()}]}))

    async def test_turned_back(self) -> None:
        """Ctrl-C, and SIGTERM as CI sends it, take back what was begun."""
        service = self.marathon()
        for number in (signal.SIGINT, signal.SIGTERM):
            tool = Tool(self.directory, "-m", service.url, "--json", "--step-interval=0.1", str(self.file))
            self.addCleanup(tool.kill)
            await until(lambda tool=tool: "created" in tool.events(), 60)
            tool.process.send_signal(number)
            self.assertEqual(130, await tool.status(), tool.output.read_text())
            self.assertEqual("rolled-back", tool.events()[-1])
            _, body = await self.ask(service, "GET", "/v2/apps")
            self.assertEqual([], body["apps"])


class Deploying(UnderLoad):
    """An app of two instances, a load balancer, and the tool."""

    haproxy = WHEEL
    service: MiniMarathon

    def app_file(self, version: str, **more: Any) -> str:
        """A new version of the app, as its owner keeps it."""
        body = loaded("shop", 2, **self.labels)
        body |= {"id": "/shop", "env": {**body["env"], "VERSION": version}, **more}
        body["portDefinitions"] = [{"port": self.port}]
        path = self.directory / f"{version}.json"
        path.write_text(json.dumps(body))
        return str(path)

    def tool(self, *arguments: str) -> Tool:
        """Run it."""
        common = ("-m", self.service.url, "-l", f"127.0.0.1:{self.ports['stats']}", "-f", "--json")
        tool = Tool(self.directory, *common, "--step-interval", "0.1", *arguments)
        self.addCleanup(tool.kill)
        return tool

    async def instances(self) -> dict[str, int]:
        """The apps and how many instances each shall have."""
        _, body = await self.ask(self.service, "GET", "/v2/apps")
        return {app["id"]: app["instances"] for app in body["apps"]}

    async def begin(self) -> None:
        """A first version that is served."""
        self.port = free_port()
        self.labels = {
            "HAPROXY_DEPLOYMENT_GROUP": "shop",
            "HAPROXY_DEPLOYMENT_ALT_PORT": str(free_port()),
        }
        await self.world()
        first = self.tool(self.app_file("1"))
        self.assertEqual(0, await first.status(), first.output.read_text())
        self.assertEqual(["planned", "created", "done"], first.events())
        await self.answers("200 OK", "shop.example.com")

    async def world(self, *apps: dict[str, Any], options: tuple[str, ...] = ()) -> MiniMarathon:
        """A Marathon without apps, and the load balancer."""
        self.service = self.marathon()
        self.more = options
        self.daemon(self.service.url, "sse", *options)
        await until(lambda: self.settled() and self.reloads(), 20)
        return self.service


class ZddTests(Deploying, MarathonTestCase):
    """Forward, split, and back."""

    skip = None if WHEEL else "this HAProxy is not installed"

    async def test_no_request_lost(self) -> None:
        """A deployment is interrupted, one goes all the way, one is a split and is taken back: nothing is lost."""
        await self.begin()
        running = self.load("shop", KINDS)
        stopped = self.tool(self.app_file("2"))
        await until(lambda: "ended" in stopped.events() or stopped.process.poll() is not None, 30)
        stopped.process.send_signal(signal.SIGINT)
        self.assertEqual(130, await stopped.status(), stopped.output.read_text())
        self.assertEqual({"/shop-blue": 2}, await self.instances())
        forward = self.tool(self.app_file("2"))
        self.assertEqual(0, await forward.status(), forward.output.read_text())
        self.assertEqual({"/shop-green": 2}, await self.instances())
        split = self.tool(self.app_file("3"), "--new-instances", "1")
        self.assertEqual(0, await split.status(), split.output.read_text())
        self.assertEqual({"/shop-green": 1, "/shop-blue": 1}, await self.instances())
        back = self.tool(self.app_file("3"), "--complete-prev")
        self.assertEqual(0, await back.status(), back.output.read_text())
        self.assertEqual({"/shop-green": 2}, await self.instances())
        await self.nothing_lost(running)


class Second(Controlled):
    """Another load balancer beside a test's own; with it they share the service ports."""

    haproxy = PACKAGE or WHEEL

    def __init__(self, case: MarathonTestCase) -> None:
        self.addCleanup = case.addCleanup
        Controlled.setUp(self)


TWO_SERVERS = "PORT0=$PORT1 {0} --name admin & exec {0} --name shop"


class BalancersTests(Deploying, MarathonTestCase):
    """Two load balancers, and an app of two ports."""

    skip = None if WHEEL and PACKAGE else "these HAProxies are not installed"

    def app_file(self, version: str, **more: Any) -> str:
        """The app with another server on another port."""
        path = super().app_file(version, **more)
        body = json.loads(Path(path).read_text())
        body["cmd"] = TWO_SERVERS.format(f'"{sys.executable}" -S -m tests.integration.tasks web')
        body["portDefinitions"].append({"port": self.other_port})
        body["labels"] |= {"HAPROXY_1_VHOST": "admin.example.com", "HAPROXY_1_BIND_ADDR": "127.0.0.1"}
        body["healthChecks"].append({**body["healthChecks"][0], "portIndex": 1})
        Path(path).write_text(json.dumps(body))
        return path

    def tool(self, *arguments: str) -> Tool:
        """Run it for both load balancers."""
        return super().tool("-l", f"127.0.0.1:{self.second.ports['stats']}", *arguments)

    async def world(self, *apps: dict[str, Any], options: tuple[str, ...] = ()) -> MiniMarathon:
        """With the other load balancer."""
        await super().world(*apps, options=options)
        self.second = Second(self)
        self.second.daemon(self.service.url)
        await until(lambda: self.second.settled() and self.second.reloads(), 60)
        return self.service

    async def test_no_request_lost(self) -> None:
        """A tool is killed in the middle, and another one goes on: no port loses a request, at no load balancer."""
        self.other_port = free_port()
        await self.begin()
        for each in (self, self.second):
            await each.answers("200 OK", "shop.example.com")
            await each.answers("200 OK", "admin.example.com")
        loads = [UnderLoad.load(self, "shop admin", KINDS)]
        first, self.ports = self.ports, self.second.ports
        loads.append(UnderLoad.load(self, "shop admin", KINDS))
        self.ports = first
        killed = self.tool(self.app_file("2"))
        await until(lambda: "ended" in killed.events() or killed.process.poll() is not None, 60)
        killed.kill()
        refused = self.tool(self.app_file("2"))
        self.assertEqual(2, await refused.status(), refused.output.read_text())
        self.assertIn("a deployment is under way", refused.output.read_text())
        on = self.tool(self.app_file("2"), "--resume")
        self.assertEqual(0, await on.status(), on.output.read_text())
        self.assertEqual({"/shop-green": 2}, await self.instances())
        for load in loads:
            await self.nothing_lost(load)
