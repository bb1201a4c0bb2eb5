"""The parts of the controller, joined as the settings say."""

from __future__ import annotations

import os
from typing import Any

from twisted.internet.testing import MemoryReactorClock
from twisted.python.threadpool import ThreadPool
from twisted.trial.unittest import SynchronousTestCase

from marathonlb.controller.event_log import EventLog
from marathonlb.errors import UsageError
from marathonlb.marathon.federation import AllClusters, Federation
from marathonlb.parts import Parts, make_parts, with_state_directory, with_system_ca
from marathonlb.settings import NamedCluster, Settings


class PoolReactor(MemoryReactorClock):
    """A reactor in memory with a thread pool, which no test starts."""

    nameResolver: Any = None

    def getThreadPool(self) -> ThreadPool:
        return ThreadPool(0, 1)

    def callFromThread(self, callable: Any, *args: object, **kwargs: object) -> None:
        callable(*args, **kwargs)


EAST = NamedCluster(name="east", marathon=("http://m1:8080",))
WEST = NamedCluster(name="west", marathon=("http://m2:8080",))


class PartsTests(SynchronousTestCase):
    """`make_parts`."""

    def make(self, *, once: bool = False, **settings: Any) -> Parts:
        directory = self.mktemp()
        os.makedirs(directory)
        made = Settings(
            haproxy_config=os.path.join(directory, "haproxy.cfg"),
            state_dir=os.path.join(directory, "state"),
            **settings,
        )
        return make_parts(made, PoolReactor(), EventLog(), once=once)

    def test_unnamed(self) -> None:
        """A cluster without a name has one gatherer, in the daemon and in a single run."""
        for once in (False, True):
            made = self.make(once=once)
            self.assertIs(made.gatherer, made.members[0].gatherer)
            self.assertIsNone(made.federation)
            self.assertEqual(len(made.services), 3)

    def test_named(self) -> None:
        """The daemon follows named clusters separately, and pokes its reconciler; a single run asks them all."""
        made = self.make(named_clusters=(EAST, WEST), marathon=())
        self.assertIsInstance(made.federation, Federation)
        self.assertIs(made.gatherer, made.federation)
        assert made.federation is not None
        self.assertIn(made.federation, made.services)
        self.assertEqual(made.federation.poke, made.reconciler.poke)
        self.assertEqual([member.name for member in made.members], ["east", "west"])
        run = self.make(once=True, named_clusters=(EAST, WEST), marathon=())
        self.assertIsInstance(run.gatherer, AllClusters)
        self.assertIsNone(run.federation)

    def test_policy(self) -> None:
        """A policy that cannot be read stops the start."""
        error = self.assertRaises(UsageError, self.make, policy="/nonexistent/policy.toml")
        self.assertIn("/nonexistent/policy.toml", str(error))

    def test_untouched(self) -> None:
        """Making the parts writes no configuration."""
        made = self.make()
        self.assertFalse(os.path.exists(made.settings.haproxy_config))


class StateDirectoryTests(SynchronousTestCase):
    """`with_state_directory`."""

    def test_chosen(self) -> None:
        """A directory that an option names is used, even if it cannot be written to."""
        settings = Settings(state_dir="/proc/nothing")
        self.assertEqual(with_state_directory(settings), settings)

    def test_default(self) -> None:
        """The default is used if this user can write to it, else the directory next to the configuration."""
        settings = Settings(haproxy_config="/srv/lb/haproxy.cfg")
        for writable, expected in ((True, settings.state_dir), (False, "/srv/lb/.marathon-lb")):
            found = with_state_directory(settings, lambda path, answer=writable: answer)
            self.assertEqual(found.state_dir, expected)


class SystemCATests(SynchronousTestCase):
    """`with_system_ca`."""

    def test_first(self) -> None:
        """The first file that exists is used; without any it is HAProxy's own."""
        path = self.mktemp()
        with open(path, "w", encoding="ascii"):
            pass
        for places, expected in ((("/nonexistent", path), path), (("/nonexistent",), "@system-ca")):
            self.assertEqual(with_system_ca(Settings(), places).system_ca, expected)
