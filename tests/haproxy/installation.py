"""A directory, a HAProxy in memory that reads its files there, and the controllers that come and go."""

from __future__ import annotations

import os
from collections.abc import Iterable

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from marathonlb.config.text.diff import split
from marathonlb.config.text.model import Config
from marathonlb.haproxy.applier import Applier
from marathonlb.haproxy.config_store import ConfigStore
from marathonlb.haproxy.dynamic.executor import IDLE_WAITS
from marathonlb.haproxy.dynamic.updater import RuntimeUpdater
from marathonlb.haproxy.files.disk import Disk
from marathonlb.haproxy.files.publish import Files
from marathonlb.haproxy.files.state_directory import StateDirectory
from marathonlb.haproxy.interfaces import ReloadResult
from marathonlb.haproxy.outcome import Outcome, action_word
from marathonlb.haproxy.rollback.archive import Archive
from tests.fakes.haproxy import FakeChecker, FakeReloader
from tests.fakes.worker import FakeWorker
from tests.haproxy.samples import backend, config

S = tuple(f"server s{number} 10.0.0.{number}:80 id {number}" for number in range(10))
"""Server lines."""


def shops(*shop: str, cart: Iterable[str] = (S[9],), maps: dict[str, str] | None = None) -> Config:
    """A configuration with two backends; these are the server lines of one of them."""
    balance = "balance roundrobin"
    return config(backend("shop", balance, *shop), backend("cart", balance, *cart), **(maps or {"a": "shop"}))


class ReadingReloader(FakeReloader):
    """Lets the worker in memory read what lies on disk, as another process."""

    def __init__(self, worker: FakeWorker, files: Files) -> None:
        super().__init__()
        self.worker = worker
        self.files = files
        self.health: list[str] = []
        self.state = ""

    async def _reload(self, config: Config) -> ReloadResult:
        path = os.path.join(self.state, "server-state")
        if self.state and os.path.exists(path):
            with open(path, encoding="utf-8") as file:
                self.health.append(file.read())
        outcome = await super()._reload(config)
        self.read()
        return outcome

    def read(self) -> None:
        """What a worker does when it begins."""
        disk = self.files.read()
        assert disk is not None
        self.worker.load(split(disk.text, disk.maps), self.files.directory)


class Installation:
    """
    One directory.

    :ivar worker: what HAProxy holds.
    """

    def __init__(self, directory: str) -> None:
        self.directory = os.path.abspath(directory)
        self.path = os.path.join(self.directory, "haproxy.cfg")
        os.makedirs(self.directory, exist_ok=True)
        self.clock = Clock()
        self.worker = FakeWorker()
        self.checker = FakeChecker()
        self.reloader = ReadingReloader(self.worker, Files(self.path))
        self.reloader.state = os.path.join(self.directory, "state")

    def controller(self, disk: Disk | None = None) -> Applier:
        """One that begins."""
        state = StateDirectory(os.path.join(self.directory, "state"), disk=disk)
        return Applier(
            store=ConfigStore(Files(self.path, disk), state, Archive(state, 9), self.clock),
            checker=self.checker,
            reloader=self.reloader,
            updater=RuntimeUpdater(self.worker.connect, self.directory, self.clock),
            clock=self.clock,
        )

    def text(self) -> str:
        with open(self.path, encoding="utf-8") as file:
            return file.read()

    def holds(self, wanted: Config) -> bool:
        """Whether the files are those of a configuration."""
        return self.reloader.files.read(wanted.maps) == self.reloader.files.texts(wanted)

    def serves(self, wanted: Config) -> bool:
        """Whether the worker holds the servers and maps of a configuration, those in maintenance apart."""
        should = FakeWorker()
        should.load(wanted, self.directory)
        return _shape(self.worker) == _shape(should)


def _shape(worker: FakeWorker) -> object:
    servers = {
        (backend, name, s.address, s.port, 0 if s.admin & 8 else s.weight, s.arguments)
        for backend, servers in worker.backends.items()
        for name, s in servers.items()
        if not s.admin & 1
    }
    return servers, {path: sorted(m.versions[m.current]) for path, m in worker.maps.items()}


class InstallationCase(SynchronousTestCase):
    """A installation with one controller."""

    def setUp(self) -> None:
        self.installation = Installation(self.mktemp())
        self.worker, self.reloader = self.installation.worker, self.installation.reloader
        self.applier = self.installation.controller()

    def apply(self, wanted: Config, applier: Applier | None = None, **how: object) -> Outcome:
        waiting = (applier or self.applier).apply(wanted, **how)  # type: ignore[arg-type]
        done: list[object] = []

        def tell(result: Outcome) -> Outcome:
            done.append(result)
            return result

        waiting.addBoth(tell)
        for seconds in IDLE_WAITS:
            if not done:
                self.installation.clock.advance(seconds)
        return self.successResultOf(waiting)

    def begin(self, *shop: str, **more: dict[str, str]) -> None:
        """Let HAProxy run a configuration."""
        self.assertEqual(action_word(self.apply(shops(*shop, **more))), "reload")  # type: ignore[arg-type]
        self.worker.commands()

    def reloads(self) -> int:
        return len(self.reloader.reloaded)

    def waits(self, waiting: Deferred[Outcome]) -> None:
        self.assertNoResult(waiting)
