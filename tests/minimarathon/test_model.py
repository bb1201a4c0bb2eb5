"""The model of apps, tasks and deployments."""

from __future__ import annotations

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from minimarathon.model import Action, Deployment, Health, HealthCheck, iso
from tests.minimarathon.clusters import app, task

WELL, SICK = Health(alive=True), Health(alive=False)


class TaskTests(SynchronousTestCase):
    """`Task`."""

    def test_health(self) -> None:
        """A task is healthy if every check succeeds; without checks, or before all results, that is unknown."""
        for health, healthy in (
            ((), None),
            ((WELL, None), None),
            ((WELL, SICK), False),
            ((WELL, WELL), True),
        ):
            self.assertIs(healthy, task("a", health=health).healthy)

    def test_ready(self) -> None:
        """A task is ready if it runs and no check fails or lacks a result."""
        self.assertTrue(task("a").ready)
        self.assertTrue(task("a", health=(WELL,)).ready)
        self.assertFalse(task("a", health=(None,)).ready)
        self.assertFalse(task("a", state="TASK_STAGING").ready)
        killing = task("a", state="TASK_KILLING")
        self.assertEqual((True, False), (killing.killing, killing.ready))


class ValueTests(SynchronousTestCase):
    """The other values."""

    def test_checks_by_the_agent(self) -> None:
        """Mesos checks and commands are run by the agent."""
        by_mesos = {
            name: HealthCheck(protocol=name).by_mesos for name in ("HTTP", "TCP", "MESOS_TCP", "COMMAND")
        }
        self.assertEqual({"HTTP": False, "TCP": False, "MESOS_TCP": True, "COMMAND": True}, by_mesos)

    def test_service_ports(self) -> None:
        """An app's service ports are those of its ports, in order."""
        first, second = app(portDefinitions=[{"port": 10001}, {"port": 10000}]).ports
        self.assertEqual((10001, 10000), evolve(app(), ports=(first, second)).service_ports)

    def test_apps_of_a_deployment(self) -> None:
        """A deployment locks the apps of all of its steps."""
        steps = (
            (Action(kind="StartApplication", app_id="/a"),),
            (Action(kind="ScaleApplication", app_id="/a"), Action(kind="StopApplication", app_id="/b")),
        )
        self.assertEqual({"/a", "/b"}, Deployment(id="1", version="1", steps=steps).apps)

    def test_times(self) -> None:
        """A time is in UTC with three digits of milliseconds, rounded."""
        self.assertEqual("1970-01-01T00:00:00.000Z", iso(0))
        self.assertEqual("2020-09-13T12:26:40.123Z", iso(1_600_000_000.1234))
        self.assertEqual("1970-01-01T00:00:02.000Z", iso(1.9996))
