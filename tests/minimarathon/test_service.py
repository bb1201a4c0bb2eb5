"""The service, on a reactor in memory."""

from __future__ import annotations

from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from minimarathon.service import Config, MiniMarathon
from tests.minimarathon.clusters import app


class ServiceTests(SynchronousTestCase):
    """`MiniMarathon`, without processes."""

    def setUp(self) -> None:
        self.reactor = MemoryReactorClock()
        config = Config(processes=False, host="127.0.0.2", port=8080, task_ports=(5, 6))
        self.service = MiniMarathon(
            self.reactor, config, {"/web": app()}, lambda: 1_600_000_000 + self.reactor.seconds()
        )

    def test_start(self) -> None:
        """It listens once, and its apps run and are shown."""
        self.service.privilegedStartService()
        self.service.startService()
        self.addCleanup(self.service.stopService)
        ((port, _, _, host),) = self.reactor.tcpServers
        self.assertEqual((8080, "127.0.0.2"), (port, host))
        for _ in range(5):
            self.reactor.advance(0)
        (task,) = self.service.engine.state.tasks("/web")
        self.assertEqual(("TASK_RUNNING", (5,)), (task.state, task.ports))

    def test_url(self) -> None:
        """The URL names the host and the port that was bound."""
        self.service.startService()
        self.addCleanup(self.service.stopService)
        self.assertRegex(self.service.url, r"\Ahttp://127\.0\.0\.2:\d+\Z")

    def test_stop(self) -> None:
        """A stop ends the timers, and fires when all is done."""
        self.service.startService()
        self.assertIsNone(self.successResultOf(self.service.stopService()))
        self.assertEqual([], self.reactor.getDelayedCalls())

    def test_credentials_stay_hidden(self) -> None:
        """The credentials are not in the representation of the configuration."""
        self.assertNotIn("secret", repr(Config(credentials="user:secret")))
