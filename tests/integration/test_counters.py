"""What HAProxy has counted outlasts a reload."""

from __future__ import annotations

import base64
import signal

from twisted.internet.threads import deferToThread

from tests.integration.controllers import HOST, Controlled, app, get
from tests.integration.haproxies import PACKAGE, WHEEL, free_port
from tests.integration.minimarathons import MarathonTestCase, until

BETWEEN = 13
"""Seconds between two reloads: a worker of 2.6 or 2.8 that lives for less than 10 has nothing to hand over."""


class CounterTests(Controlled, MarathonTestCase):
    """A client that has asked too often, and a reload."""

    haproxy = WHEEL or PACKAGE
    skip = None if haproxy else "there is no HAProxy"

    async def test_rate_limit(self) -> None:
        """A client that is over its limit is so after a reload, too, where HAProxy has run for some seconds."""
        service = self.marathon()
        daemon = self.daemon(service.url)
        await self.create(service, app("shop", free_port(), HAPROXY_0_RATE_LIMIT="3/m"))

        async def kept() -> bool:
            await until(self.limited, 20, 0)
            before = self.reloads()
            daemon.send_signal(signal.SIGUSR1)
            await until(lambda: self.reloads() > before, 20)
            return await self.limited()

        await until(kept, 60, BETWEEN)
        self.assertNotIn("Traceback", self.log())

    async def test_wrong_passwords(self) -> None:
        """A client that has guessed too often is shut out after a reload, too."""
        service = self.marathon()
        daemon = self.daemon(service.url)
        labels = {"HAPROXY_0_AUTH": "realm:joe:$1$salt$qJH7.N4xYta3aEG/dfqo/0"}
        await self.create(service, app("shop", free_port(), **labels))

        async def kept() -> bool:
            await until(self.shut_out, 20, 0)
            before = self.reloads()
            daemon.send_signal(signal.SIGUSR1)
            await until(lambda: self.reloads() > before, 20)
            return await self.shut_out()

        await until(kept, 90, BETWEEN)

    async def shut_out(self) -> bool:
        """Return whether the next wrong password exceeds the limit."""
        wrong = base64.b64encode(b"joe:guess").decode()
        answer = await deferToThread(get, self.ports["http"], f"{HOST}\r\nAuthorization: Basic {wrong}")
        return " 429 " in answer

    async def limited(self) -> bool:
        """Return whether the next request exceeds the limit."""
        return " 429 " in await deferToThread(get, self.ports["http"], HOST)
