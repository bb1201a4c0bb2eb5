"""The web server with its pages, put together."""

from __future__ import annotations

import os
import shutil
import tempfile

from attrs import evolve
from twisted.internet.testing import MemoryReactorClock

from marathonlb.haproxy.files.state_directory import WEB_SOCKET
from marathonlb.web.factory import make_web
from marathonlb.web.server import WebServer
from tests.reconciling import NoHosts
from tests.web.contexts import SETTINGS, PagesTestCase


class SocketReactor(MemoryReactorClock):
    """A reactor whose UNIX sockets are empty files."""

    def listenUNIX(self, address, factory, backlog=50, mode=0o666, wantPID=0):  # type: ignore[no-untyped-def]
        with open(address, "x"):
            return super().listenUNIX(address, factory, backlog, mode, wantPID)


class FactoryTests(PagesTestCase):
    """`make_web`."""

    def setUp(self) -> None:
        self.directory = tempfile.mkdtemp(prefix="mlb-")
        self.addCleanup(shutil.rmtree, self.directory)
        super().setUp()

    def server(self, reactor: SocketReactor) -> WebServer:
        """Return the server of this controller."""
        settings = evolve(SETTINGS, state_dir=self.directory, manage_haproxy=False)
        return make_web(
            settings,
            reactor,
            reconciler=self.reconciler,
            planner=self.context.planner,
            gatherer=self.context.gatherer,
            clusters=self.context.clusters,
            applier=self.applier,
            hold=self.hold,
            resolve=NoHosts().address,
            recorder=self.record,
        )

    def test_socket(self) -> None:
        """It listens on the socket in the state directory that HAProxy's default configuration names."""
        reactor = SocketReactor()
        server = self.server(reactor)
        server.startService()
        self.assertEqual(os.listdir(self.directory), [WEB_SOCKET])
        self.assertEqual([each[0] for each in reactor.unixServers], [f"{self.directory}/{WEB_SOCKET}.new"])
        server.stopService()
