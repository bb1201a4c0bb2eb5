"""The daemon: what triggers it, by the mode, and what it receives."""

from __future__ import annotations

import os
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from marathonlb.errors import AlreadyRunning, UsageError
from marathonlb.exclusive import ExclusiveService
from marathonlb.haproxy.files.lock import occupied
from marathonlb.marathon.events.poller import Poller
from marathonlb.marathon.events.stream import EventStream
from marathonlb.marathon.events.subscription import Subscription
from marathonlb.service import Controller, make_daemon, make_service, sources
from marathonlb.settings import NamedCluster, Settings
from tests.test_parts import PoolReactor

CLUSTERS = (
    NamedCluster(name="east", marathon=("http://m1:8080",)),
    NamedCluster(name="west", marathon=("http://m2:8080",)),
)


class DaemonTests(SynchronousTestCase):
    """The daemon's service."""

    def settings(self, **settings: Any) -> Settings:
        directory = self.mktemp()
        os.makedirs(directory)
        return Settings(
            haproxy_config=os.path.join(directory, "haproxy.cfg"),
            state_dir=os.path.join(directory, "state"),
            **settings,
        )

    def controller(self, **settings: Any) -> Controller:
        service = make_service(self.settings(**settings), PoolReactor())
        assert isinstance(service, Controller)
        return service

    def test_sources(self) -> None:
        """Each mode has its source of hints."""
        for mode, kind in (("sse", EventStream), ("event", Subscription), ("poll", Poller)):
            controller = self.controller(mode=mode, callback_url="http://lb:8081/")
            (source,) = sources(controller.parts, PoolReactor()).values()
            self.assertIsInstance(source, kind)

    def test_sources_of_clusters(self) -> None:
        """Each named cluster has a stream of its own that carries its name; one poller asks all of them."""
        streams = sources(self.controller(named_clusters=CLUSTERS, marathon=()).parts, PoolReactor())
        self.assertEqual(list(streams), ["east", "west"])
        for name, source in streams.items():
            assert isinstance(source, EventStream)
            self.assertTrue(source.name.endswith(f" of {name}"), source.name)
        pollers = sources(
            self.controller(mode="poll", named_clusters=CLUSTERS, marathon=()).parts, PoolReactor()
        )
        self.assertEqual(len({id(source) for source in pollers.values()}), 1)

    def test_listening(self) -> None:
        """An endpoint that Twisted does not know stops the start."""
        error = self.assertRaises(UsageError, self.controller, mode="event", listening="haproxy:nonsense")
        self.assertIn("--listening", str(error))

    def test_metrics(self) -> None:
        """The requests to Marathon are counted in the daemon's own metrics."""
        controller = self.controller()
        (member,) = controller.parts.members
        self.assertEqual(member.name, "")
        self.assertIs(controller.parts.reconciler.event_log, controller.recorder)
        self.assertIn(b"marathon_lb_build_info", controller.recorder.metrics.exposition())


class ExclusiveTests(SynchronousTestCase):
    """The locks of a daemon."""

    def test_released(self) -> None:
        """A daemon that cannot be made leaves its locks free."""
        directory = self.mktemp()
        os.makedirs(directory)
        settings = Settings(
            haproxy_config=os.path.join(directory, "haproxy.cfg"),
            state_dir=os.path.join(directory, "state"),
            mode="event",
            listening="haproxy:nonsense",
        )
        self.assertRaises(UsageError, make_daemon, settings, PoolReactor())
        with occupied(settings, 0.0, []):
            pass

    def test_alone(self) -> None:
        """A second daemon with the same files is refused until the first one has stopped."""
        directory = self.mktemp()
        os.makedirs(directory)
        settings = Settings(
            haproxy_config=os.path.join(directory, "haproxy.cfg"), state_dir=os.path.join(directory, "state")
        )
        first = make_daemon(settings, PoolReactor())
        self.assertIsInstance(first, ExclusiveService)
        self.assertRaises(AlreadyRunning, make_daemon, settings, PoolReactor())
        self.successResultOf(first.stopService())
        second = make_daemon(settings, PoolReactor())
        self.successResultOf(second.stopService())
