"""The runner without processes, and the environment of a task's process."""

from __future__ import annotations

import sys

from attrs import evolve
from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from minimarathon.definitions.parsing import parse
from minimarathon.tasks.processes import Exit, NoProcesses, environment
from tests.minimarathon.clusters import task
from tests.minimarathon.runners import Async, RunnerContract


class NoProcessesTests(RunnerContract, Async):
    """`NoProcesses` passes the contract tests of runners."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.runner = NoProcesses(self.clock)

    def turn(self) -> Deferred[None]:
        self.clock.advance(0)
        return succeed(None)

    def test_finish(self) -> None:
        """A test can let a task end as it likes."""
        story = self.started()
        self.turn()
        self.runner.finish(story.task.id, Exit(3, "three"))
        self.turn()
        self.assertEqual(Exit(3, "three"), self.successResultOf(story.over))


class EnvironmentTests(SynchronousTestCase):
    """`environment`."""

    def test_host_networking(self) -> None:
        """A task learns its host, its ports in three ways, its ids, and what its app says."""
        app = parse(
            {"id": "/shop/web", "cmd": "x", "env": {"A": "b"}, "portDefinitions": [{"name": "http"}, {}]}
        )
        env = environment(evolve(task("a"), ports=(31001, 31002)), app, {})
        expected = {
            "HOST": "127.0.0.1",
            "PORT": "31001",
            "PORT0": "31001",
            "PORT1": "31002",
            "PORTS": "31001,31002",
            "PORT_HTTP": "31001",
            "MARATHON_APP_ID": "/shop/web",
            "MESOS_TASK_ID": "a",
            "MINIMARATHON_PYTHON": sys.executable,
            "A": "b",
        }
        self.assertEqual(expected, {name: env.get(name) for name in expected})

    def test_container_networking(self) -> None:
        """A task with an address of its own listens there, on the container's port."""
        app = parse(
            {
                "id": "/web",
                "cmd": "x",
                "networks": [{"mode": "container", "name": "dcos"}],
                "container": {"type": "MESOS", "portMappings": [{"containerPort": 8080}]},
            }
        )
        env = environment(evolve(task("a"), address="127.1.0.1"), app, {})
        self.assertEqual(("127.1.0.1", "8080"), (env["HOST"], env["PORT0"]))

    def test_our_secrets_stay_ours(self) -> None:
        """Of our own environment only what every program needs is handed on."""
        env = environment(
            task("a"), parse({"id": "/web", "cmd": "x"}), {"PATH": "/bin", "MARATHON_PASSWORD": "x"}
        )
        self.assertEqual("/bin", env["PATH"])
        self.assertNotIn("MARATHON_PASSWORD", env)
