"""A directory with a HAProxy in memory that has no runtime API, and the controllers that come and go."""

from __future__ import annotations

import os
from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from marathonlb.config.text.model import Config
from marathonlb.errors import HAProxyUnavailable
from marathonlb.haproxy.applier import Applier
from marathonlb.haproxy.config_store import ConfigStore
from marathonlb.haproxy.dynamic.updater import RuntimeUpdater
from marathonlb.haproxy.files.disk import Disk
from marathonlb.haproxy.files.publish import Files
from marathonlb.haproxy.files.state_directory import StateDirectory
from marathonlb.haproxy.outcome import Outcome
from marathonlb.haproxy.process.port_check import Bind, PortChecker
from marathonlb.haproxy.rollback.archive import Archive
from marathonlb.haproxy.runtime.interfaces import IRuntimeConnection
from tests.fakes.haproxy import FakeChecker, FakeReloader


async def no_runtime_api(config: Config) -> IRuntimeConnection:
    raise HAProxyUnavailable(reason="there is no stats socket")


class PlainInstallation:
    """A directory, and the controllers that come and go in it."""

    def __init__(self, directory: str) -> None:
        self.directory = directory
        self.path = os.path.join(directory, "haproxy.cfg")
        os.makedirs(directory, exist_ok=True)
        self.clock = Clock()
        self.checker, self.reloader = FakeChecker(), FakeReloader()
        self.taken: set[Bind] = set()

    def controller(self, disk: Disk | None = None) -> Applier:
        """One that begins."""
        state = StateDirectory(os.path.join(self.directory, "state"), disk=disk)
        return Applier(
            store=ConfigStore(Files(self.path, disk), state, Archive(state, 3), self.clock),
            checker=PortChecker(
                self.checker,
                os.path.abspath(self.directory),
                lambda bind: "Address already in use" if bind in self.taken else None,
            ),
            reloader=self.reloader,
            updater=RuntimeUpdater(no_runtime_api, self.directory, self.clock),
            clock=self.clock,
        )

    def text(self) -> str:
        with open(self.path, encoding="utf-8") as file:
            return file.read()

    def holds(self, config: Config) -> bool:
        return self.text() == config.text(os.path.abspath(self.directory))


class PlainInstallationCase(SynchronousTestCase):
    """A installation with one controller."""

    def setUp(self) -> None:
        self.installation = PlainInstallation(self.mktemp())
        self.reloader, self.checker = self.installation.reloader, self.installation.checker
        self.applier = self.installation.controller()

    def apply(self, wanted: Config, applier: Applier | None = None) -> Outcome:
        return self.successResultOf((applier or self.applier).apply(wanted))

    def refused(self, wanted: Config, kind: type[Exception], applier: Applier | None = None) -> Any:
        return self.failureResultOf((applier or self.applier).apply(wanted), kind).value
