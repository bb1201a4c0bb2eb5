"""What HAProxy has counted outlasts a reload."""

from __future__ import annotations

import signal

from twisted.internet.threads import deferToThread

from tests.integration.controllers import HOST, Controlled, app, get
from tests.integration.haproxies import PACKAGE, WHEEL, free_port
from tests.integration.minimarathons import MarathonTestCase, until


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

        await until(
            kept, 60, 6
        )  # a worker of 2.6 or 2.8 that lives for less than 5 s has nothing to hand over
        self.assertNotIn("Traceback", self.log())

    async def limited(self) -> bool:
        """Whether the next request is one too many."""
        return " 429 " in await deferToThread(get, self.ports["http"], HOST)
