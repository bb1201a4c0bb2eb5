"""Connections with real HAProxies, over the stats socket and over the master's."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from time import monotonic, sleep
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import CancelledError
from twisted.internet.task import deferLater
from twisted.trial.unittest import TestCase

from marathonlb.errors import HAProxyUnavailable
from marathonlb.haproxy.process import setsid_exec
from marathonlb.haproxy.runtime.connection import RuntimeSocket
from tests.coroutines import coroutine
from tests.haproxy.runtime.connections import RuntimeConnectionContract, two_backends
from tests.integration.haproxies import HEAD, Place, on_each


class MasterSocketMixin(RuntimeConnectionContract):
    """A connection with a real worker."""

    binary = ""
    socket = "master.sock"
    timeout = 240

    @coroutine
    async def setUp(self: Any) -> None:
        place = Place(self.binary)
        self.addCleanup(place.clean)
        self.directory = place.directory
        head = HEAD.replace(
            "defaults", f"  stats socket {place.directory}/stats.sock level admin\ndefaults", 1
        )
        config = two_backends(head, place.port)
        for name, text in {**config.map_texts(), "haproxy.cfg": config.text(place.directory)}.items():
            with open(f"{place.directory}/{name}", "w", encoding="utf-8") as file:
                file.write(text)
        master, path = f"{place.directory}/master.sock", f"{place.directory}/haproxy.cfg"
        process = subprocess.Popen(
            [sys.executable, setsid_exec.__file__, self.binary, "-W", "-S", master, "-f", path],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        self.process = process
        self.path = f"{place.directory}/{self.socket}"
        self.connection = await self.open(self.path)
        self.addCleanup(self.connection.close)

    async def another(self: Any) -> int:
        """Reload HAProxy, and return the process id of the new worker."""
        before, now = await self.connection.worker_pid(refresh=True), 0
        (await self.open(f"{self.directory}/master.sock")).close()  # before it listens a signal is lost
        os.kill(self.process.pid, signal.SIGUSR2)
        deadline = monotonic() + 60
        while now in (0, before):
            self.assertLess(monotonic(), deadline)
            with (
                contextlib.suppress(HAProxyUnavailable),
                contextlib.closing(await self.open(self.path)) as connection,
            ):
                now = await connection.worker_pid()
        return now

    @coroutine
    async def test_another_worker(self: Any) -> None:
        """Before another worker answers, a connection with the one before is over: who it was never changes."""
        before = await self.connection.worker_pid()
        self.assertNotEqual(await self.another(), before)
        await self.assertFailure(self.connection.worker_pid(), HAProxyUnavailable)
        await self.assertFailure(self.connection.execute(["show version"]), HAProxyUnavailable)

    @coroutine
    async def test_killed(self: Any) -> None:
        """With a worker that is killed the connection is over, too."""
        os.kill(await self.connection.worker_pid(), signal.SIGKILL)
        deadline = monotonic() + 60
        with self.assertRaises(HAProxyUnavailable):
            while monotonic() < deadline:
                await self.connection.worker_pid()
                await deferLater(reactor, 0.01, lambda: None)  # type: ignore[arg-type]

    async def open(self, path: str) -> Any:
        deadline = monotonic() + 60
        while True:
            try:
                connection = await RuntimeSocket.at(
                    reactor, path, master=path.endswith("master.sock")
                ).connect()
                await connection.worker_pid()
                await connection.execute(["show version"])
            except HAProxyUnavailable:
                if monotonic() > deadline:
                    raise
                sleep(0.02)
            else:
                return connection

    @coroutine
    async def test_many(self: Any) -> None:
        """A thousand commands and a payload near the limit are answered each, in order."""
        commands = [f"set server b/{'az'[n % 2]} weight {n % 256}" for n in range(1000)]
        commands[500] = "show version"
        answers = await self.connection.execute(commands)
        self.assertEqual([n for n, answer in enumerate(answers) if answer], [500])
        path = f"{self.directory}/some.map"
        payload = "".join(f"/{number:04} b\n" for number in range(1400))
        self.assertEqual(await self.connection.execute([f"add map {path} <<\n{payload}"]), [""])
        (held,) = await self.connection.execute([f"show map {path}"])
        self.assertEqual(len(held.splitlines()), 1401)

    @coroutine
    async def test_too_long(self: Any) -> None:
        """A command that HAProxy would swallow without a word is not said."""
        with self.assertRaises(ValueError):
            await self.connection.execute(["show version", "add map x <<\n" + "a b\n" * 4000])

    @coroutine
    async def test_closed(self: Any) -> None:
        """A connection that is over says so; one that is given up ends."""
        waiting = self.connection.execute(["show version"])
        waiting.cancel()
        await self.assertFailure(waiting, CancelledError)
        await self.assertFailure(self.connection.execute(["show version"]), HAProxyUnavailable)

    @coroutine
    async def test_nobody(self: Any) -> None:
        """A socket on which nobody listens is unavailable."""
        path = f"{self.directory}/nobody.sock"
        with self.assertRaises(HAProxyUnavailable):
            await RuntimeSocket.at(reactor, path).connect()


class StatsSocketMixin(MasterSocketMixin):
    """A connection with a real worker over its stats socket."""

    socket = "stats.sock"

    @coroutine
    async def test_another_worker(self: Any) -> None:
        """A connection over a worker's own socket stays with that worker."""
        before = await self.connection.worker_pid()
        self.assertNotEqual(await self.another(), before)
        self.assertEqual(await self.connection.worker_pid(), before)
        self.assertEqual(await self.connection.worker_pid(refresh=True), before)


on_each(MasterSocketMixin, globals(), TestCase)
on_each(StatsSocketMixin, globals(), TestCase)
