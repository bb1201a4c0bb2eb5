"""New apps with HAProxy 3.4 and later: their hosts are served before any reload. Without one the text is tried."""

from __future__ import annotations

import re
import signal
import subprocess
from pathlib import Path
from typing import Any

from twisted.internet.threads import deferToThread

from marathonlb.config.render import Renderer
from marathonlb.config.templates.loader import load_templates
from marathonlb.config.text.named_defaults import SINCE
from marathonlb.marathon.model import HealthCheck
from minimarathon.service import MiniMarathon
from tests.integration.controllers import Controlled, app, get
from tests.integration.haproxies import MORE, PACKAGE, WHEEL, free_port, on_each
from tests.integration.minimarathons import MarathonTestCase, until
from tests.integration.settling import version
from tests.integration.worlds import World

FLOOR = "--min-reload-interval=12"
"""Long enough that what is served before a reload is seen, however slow the machine is."""


class NewAppsMixin(Controlled):
    """The tests for a HAProxy that adds backends at run time; a subclass for each binary."""

    async def begun(self, *more: str) -> MiniMarathon:
        """A Marathon and a controller with one app, which is served; from now on no reload is for a while."""
        service: MiniMarathon = self.marathon()  # type: ignore[attr-defined]
        await self.create(service, self.loopback("shop"))
        await until(lambda: self.healthy(service, "/shop"), 30)
        self.daemon(service.url, "sse", *more)
        await self.answers("shop task=")
        await until(lambda: self.settled() and self.reloads(), 20)
        return service

    def loopback(self, name: str, **labels: str) -> dict[str, Any]:
        return app(name, free_port(), HAPROXY_0_BIND_ADDR="127.0.0.1", **labels)

    async def test_host_before_the_reload(self: Any) -> None:
        """The host of a new app is served, its tasks follow by steps, and one reload adds the ports of all."""
        service = await self.begun(FLOOR)
        before, wanted = self.reloads(), [self.loopback(name) for name in ("cart", "blog")]
        for each in wanted:
            await self.create(service, each)
        for name in ("cart", "blog"):
            await self.answers(f"{name} task=", f"{name}.example.com")
        self.assertEqual(self.reloads(), before, self.log())
        ports = [each["portDefinitions"][0]["port"] for each in wanted]
        self.assertEqual([get(port) for port in ports], ["", ""])
        self.assertRegex(self.log(), r"1 backend added")
        await until(lambda: self.reloads() > before, 30)
        for port, name in zip(ports, ("cart", "blog"), strict=True):
            self.assertIn(f"{name} task=", await until(lambda port=port: deferToThread(get, port), 10))
        self.assertEqual(self.reloads(), before + 1, self.log())
        self.assertRegex(self.log(), r"frontend \w+_in is new")
        self.assertEqual(
            subprocess.run([self.haproxy, "-c", "-f", str(self.directory / "haproxy.cfg")]).returncode, 0
        )

    async def test_killed_before_the_reload(self: Any) -> None:
        """A controller that is killed before the reload leaves the host served, and the next one adds the port."""
        service = await self.begun(FLOOR)
        cart = self.loopback("cart")
        await self.create(service, cart)
        await self.answers("cart task=", "cart.example.com")
        before = self.reloads()
        self.daemons[-1].send_signal(signal.SIGKILL)
        await deferToThread(self.daemons[-1].wait)
        self.assertIn("cart task=", await deferToThread(get, self.ports["http"], "cart.example.com"))
        self.daemon(service.url, "sse", FLOOR)
        await until(lambda: self.reloads() > before, 30)
        port = cart["portDefinitions"][0]["port"]
        self.assertIn("cart task=", await until(lambda: deferToThread(get, port), 10))
        self.assertEqual(self.reloads(), before + 1)

    async def test_hosts_alone(self: Any) -> None:
        """Where apps have hosts and no ports of their own they come and go without any reload."""
        templates = self.directory / "templates"
        templates.mkdir()
        (templates / "HAPROXY_FRONTEND_HEAD").write_text("# none\n")
        service = await self.begun()
        before = self.reloads()

        async def is_idle() -> bool:
            return bool(await self.ask(service, "GET", "/v2/deployments") == (200, []))

        for _ in range(2):
            await until(is_idle, 20)
            await self.create(service, self.loopback("cart"))
            await self.answers("cart task=", "cart.example.com")
            await self.ask(service, "DELETE", "/v2/apps/cart?force=true")
            await self.answers("503", "cart.example.com")
            await until(lambda: self.log().count("1 backend removed"), 20)
            await until(lambda: "cart" not in self.shown(), 20)
        self.assertEqual(self.reloads(), before, self.log())
        self.assertNotIn("backend cart", self.config())

    def shown(self) -> str:
        """The backends that HAProxy has."""
        script = (
            "import socket,sys; s=socket.socket(1); s.connect(sys.argv[1]); s.sendall(b'show backend\\n'); "
        )
        script += "print(s.makefile().read())"
        path = str(self.directory / "state" / "haproxy.sock")
        return subprocess.run(
            ["python3", "-c", script, path], capture_output=True, text=True, check=True
        ).stdout


class AcceptedMixin:
    """The backends' definitions in the file; a subclass for each binary."""

    binary = ""

    def test_in_silence(self: Any) -> None:
        """It changes nothing of the rest of the text, and no HAProxy says a word about it."""
        world = World(self.binary)
        self.addCleanup(world.end)
        labels: tuple[dict[str, str], ...] = (
            {},
            {"0_STICKY": "true", "0_USE_HSTS": "true"},
            {"0_REDIRECT_TO_HTTPS": "true", "0_HTTP_BACKEND_PROXYPASS_PATH": "/in"},
            {"0_AUTH": "r:u:$1$a$b"},
            {"0_RATE_LIMIT": "9/1s", "0_CORS": "*"},
            {"0_MODE": "tcp", "0_BALANCE": "source"},
        )
        for number, own in enumerate(labels):
            checks = (HealthCheck(path="/up"),) if number % 2 else ()
            world.app(f"app{number}", {"0_VHOST": f"{number}.example.com"} | own, health_checks=checks)
        plain = world.render().config.text(str(world.directory))
        renderer = Renderer(world.settings, load_templates(world.settings.templates, {}))
        renderer.write_defaults()
        text = renderer.render(world.services()).config.text(str(world.directory))
        self.assertTrue(text.startswith(plain))
        self.assertGreater(text.count("\ndefaults marathon_lb_backend_"), 4)
        (world.directory / "haproxy.cfg").write_text(text)
        self.assertEqual(world.check(), "")


on_each(AcceptedMixin, globals())

for _path in filter(None, (PACKAGE, WHEEL, *MORE)):
    if version(_path) < SINCE:
        continue
    _name = f"{re.sub(r'[^A-Za-z0-9]', '_', Path(_path).name)}Tests"
    globals()[_name] = type(
        _name,
        (NewAppsMixin, MarathonTestCase),
        {"__module__": __name__, "__doc__": "With one HAProxy.", "haproxy": _path},
    )
