"""Thousands of connections that say nothing, or too little, at the callback and at the stats address."""

from __future__ import annotations

import contextlib
import os
import resource
import socket
from concurrent.futures import ThreadPoolExecutor

from twisted.internet.threads import deferToThread

from minimarathon.service import MiniMarathon
from tests.integration.controllers import Controlled, app, get
from tests.integration.haproxies import free_port, on_each
from tests.integration.minimarathons import MarathonTestCase, until
from tests.integration.test_stats_address import asked

DESCRIPTORS = 1024
"""The usual limit of file descriptors per process."""


class IdleMixin(Controlled):
    """A controller and its HAProxy with few descriptors."""

    binary = ""

    def setUp(self) -> None:
        self.haproxy = self.binary
        super().setUp()
        self.sockets: list[socket.socket] = []
        self.addCleanup(self.hang_up)
        self.callback = free_port()

    def hang_up(self) -> None:
        """End every connection."""
        for each in self.sockets:
            each.close()
        self.sockets.clear()

    def open(self, port: int, count: int, says: bytes = b"", source: str = "127.0.0.1") -> None:
        """Connections that stay open, some fifty at once: the queue of a listener is short."""

        def one(_: int) -> None:
            with contextlib.suppress(OSError):
                each = socket.create_connection(("127.0.0.1", port), 5, (source, 0))
                self.sockets.append(each)
                if says:
                    each.sendall(says)

        with ThreadPoolExecutor(50) as threads:
            list(threads.map(one, range(count)))

    async def begin(self) -> tuple[MiniMarathon, int]:
        """Serve one app in event mode."""
        service = self.marathon("1.4")
        limits = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (DESCRIPTORS, limits[1]))
        try:
            daemon = self.daemon(service.url, "event", "--callback-url", f"127.0.0.1:{self.callback}")
            resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE, (DESCRIPTORS, DESCRIPTORS))
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, limits)
        await self.create(service, app("shop", free_port()))
        await self.answers("shop task=", "shop.example.com")
        return service, daemon.pid

    async def goes_on(self, service: MiniMarathon, name: str) -> None:
        """A new app is served, and so is the stats address."""
        await self.create(service, app(name, free_port()))
        await self.answers(f"{name} task=", f"{name}.example.com")
        await self.page_answers("/api/status")

    async def page_answers(self, path: str) -> None:
        """The stats address answers."""

        async def answered() -> bool:
            status, _ = await deferToThread(asked, self.ports["stats"], path)
            return status == 200

        await until(answered, 20)

    async def test_callback(self) -> None:
        """The controller goes on with 3,000 connections to its callback that are idle or slow, and hears events."""
        service, pid = await self.begin()
        await deferToThread(self.open, self.callback, 1500)
        head = b"POST / HTTP/1.1\r\nHost: lb\r\nContent-Length: 10000\r\n\r\n{"
        await deferToThread(self.open, self.callback, 1500, head)
        self.assertLess(len(os.listdir(f"/proc/{pid}/fd")), DESCRIPTORS // 2)
        await self.goes_on(service, "cart")
        self.assertNotIn("Traceback", self.log())

    async def test_stats(self) -> None:
        """Traffic, the controller and other clients go on with 1,500 idle connections to the stats address."""
        service, _ = await self.begin()
        await deferToThread(self.open, self.ports["stats"], 1500, b"", "127.0.0.2")
        self.assertIn("shop task=", await deferToThread(get, self.ports["http"], "shop.example.com"))
        status, _ = await deferToThread(asked, self.ports["stats"], "/_haproxy_health_check")
        self.assertEqual(status, 200)
        await self.goes_on(service, "cart")

    async def test_bodies(self) -> None:
        """Bodies that never come take nothing from whoever asks for a page, and a forbidden one is not waited for."""
        service, pid = await self.begin()
        head = b"POST /api/pin HTTP/1.1\r\nHost: lb\r\nOrigin: null\r\nContent-Length: 10000\r\n\r\n{"
        await deferToThread(self.open, self.ports["stats"], 200, head)
        heard = await deferToThread(self.sockets[0].recv, 1000)
        self.assertIn(b" 403 ", heard)
        self.assertLess(len(os.listdir(f"/proc/{pid}/fd")), DESCRIPTORS // 2)
        await self.page_answers("/api/status")
        await self.goes_on(service, "cart")


on_each(IdleMixin, globals(), MarathonTestCase)
