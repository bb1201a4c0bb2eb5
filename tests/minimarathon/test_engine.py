"""The state and the engine together, without processes: the effects and the events of each operation."""

from __future__ import annotations

import msgspec
from twisted.trial.unittest import SynchronousTestCase

from minimarathon.definitions.parsing import update
from minimarathon.errors import Refused
from minimarathon.events import Event
from minimarathon.tasks.processes import Exit
from tests.minimarathon.clusters import Cluster, app

CHECKED = {"healthChecks": [{"protocol": "HTTP", "path": "/"}]}


def json(event: Event, light: bool = False) -> dict[str, object]:
    return msgspec.json.decode(event.json(light), type=dict[str, object])


class LifeTests(SynchronousTestCase):
    """An app from its creation to its end."""

    def test_creation_tells_the_story(self) -> None:
        """A new app makes the events that Marathon 1.5 makes, in their order."""
        cluster = Cluster()
        cluster.engine.deploy({"/web": app()}, posted=("10.0.0.1", "/v2/apps"))
        cluster.rest()
        self.assertEqual(
            [
                "deployment_info",
                "group_change_success",
                "api_post_event",
                "deployment_step_success",
                "deployment_info",
                "instance_changed_event",
                "status_update_event",
                "instance_changed_event",
                "status_update_event",
                "instance_changed_event",
                "deployment_step_success",
                "deployment_success",
            ],
            cluster.kinds(),
        )
        self.assertEqual(["TASK_RUNNING"], cluster.states())
        self.assertEqual({}, cluster.state.underway)

    def test_health_is_told(self) -> None:
        """Marathon's own check makes both health events, one of Mesos's only the instance's."""
        cluster = Cluster()
        cluster.deploy(app(**CHECKED))
        self.assertEqual(1, cluster.kinds().count("health_status_changed_event"))
        self.assertEqual(1, cluster.kinds().count("instance_health_changed_event"))
        cluster.heard.clear()
        cluster.deploy(app("/other", healthChecks=[{"protocol": "MESOS_HTTP"}]))
        self.assertNotIn("health_status_changed_event", cluster.kinds())
        self.assertEqual(1, cluster.kinds().count("instance_health_changed_event"))

    def test_a_label_alone_replaces_tasks(self) -> None:
        """Any change but of the number of instances is an upgrade: other tasks, the same service port."""
        cluster = Cluster()
        cluster.deploy(app(instances=2))
        before = {one.id for one in cluster.state.tasks("/web")}
        ports = cluster.state.app("/web").service_ports
        cluster.deploy(update(cluster.state.app("/web"), {"labels": {"a": "b"}}))
        after = cluster.state.tasks("/web")
        self.assertEqual(2, len(after))
        self.assertFalse(before & {one.id for one in after})
        self.assertEqual(ports, cluster.state.app("/web").service_ports)

    def test_scaling_keeps_tasks(self) -> None:
        """More instances leave those that run alone, and only the scaling's version moves."""
        cluster = Cluster()
        cluster.deploy(app())
        first, one = cluster.state.app("/web"), cluster.state.tasks("/web")[0]
        cluster.deploy(update(first, {"instances": 3}))
        now = cluster.state.app("/web")
        self.assertIn(one, cluster.state.tasks("/web"))
        self.assertEqual(3, len(cluster.state.tasks("/web")))
        self.assertEqual(first.config_version, now.config_version)
        self.assertGreater(now.scaled_version, first.scaled_version)
        self.assertEqual([now, first], cluster.state.versions("/web"))

    def test_scaling_an_app_of_old_names(self) -> None:
        """An app that was written for 1.4 is scaled by an update, not restarted, in every version."""
        docker = {"image": "x", "network": "BRIDGE", "portMappings": [{"containerPort": 80, "hostPort": 0}]}
        for version in ("1.4", "1.5"):
            cluster = Cluster(version)
            cluster.deploy(app(container={"type": "DOCKER", "docker": docker}, args=[], env={}))
            (one,) = cluster.state.tasks("/web")
            cluster.deploy(update(cluster.state.app("/web"), {"instances": 2}))
            self.assertIn(one, cluster.state.tasks("/web"), version)

    def test_the_same_again_changes_nothing(self) -> None:
        """A definition that says what is there is a deployment without steps."""
        cluster = Cluster()
        cluster.deploy(app())
        first = cluster.state.app("/web")
        cluster.heard.clear()
        cluster.deploy(update(first, {"cmd": first.cmd}))
        self.assertIs(first, cluster.state.app("/web"))
        self.assertEqual(["deployment_info", "group_change_success", "deployment_success"],
                         [kind for kind in cluster.kinds() if kind != "deployment_step_success"])  # fmt: skip

    def test_deletion(self) -> None:
        """A deleted app is unknown at once; its tasks end, and then it is terminated."""
        cluster = Cluster()
        cluster.deploy(app())
        cluster.heard.clear()
        cluster.engine.deploy({"/web": None})
        with self.assertRaises(Refused) as caught:
            cluster.state.app("/web")
        self.assertEqual(
            (404, "App '/web' does not exist"), (caught.exception.status, caught.exception.message)
        )
        cluster.rest()
        self.assertEqual(
            ["TASK_KILLING", "TASK_KILLED"],
            [json(one)["taskStatus"] for one in cluster.heard if one.kind == "status_update_event"],
        )
        self.assertEqual(["deployment_success", "app_terminated_event"], cluster.kinds()[-2:])
        self.assertEqual({}, cluster.state.records)

    def test_service_ports_are_assigned(self) -> None:
        """A service port of 0 becomes the next free one from 10000, one that is given stays."""
        cluster = Cluster()
        cluster.deploy(app("/a", ports=[10000, 0]), app("/b", ports=[0]))
        self.assertEqual((10000, 10001), cluster.state.app("/a").service_ports)
        self.assertEqual((10002,), cluster.state.app("/b").service_ports)

    def test_versions_differ_within_a_millisecond(self) -> None:
        """Two changes in the same instant have versions that can be told apart, the later one larger."""
        cluster = Cluster()
        cluster.deploy(app())
        first = cluster.state.app("/web").version
        cluster.deploy(app(instances=2))
        self.assertGreater(cluster.state.app("/web").version, first)


class FailureTests(SynchronousTestCase):
    """Tasks that end unasked."""

    def test_back_off(self) -> None:
        """A task that dies is started again after backoffSeconds, and later each time."""
        cluster = Cluster()
        cluster.deploy(app(backoffSeconds=2, backoffFactor=3))
        for delay in (2, 6, 18):
            (only,) = cluster.state.tasks("/web")
            cluster.runner.finish(only.id, Exit(1, "Command exited with status 1"))
            cluster.rest()
            self.assertEqual([], cluster.states())
            self.assertEqual(
                [("/web", 1)], [(one.id, record.waiting) for one, record in cluster.state.delayed()]
            )
            cluster.clock.advance(delay - 0.1)
            cluster.rest()
            self.assertEqual([], cluster.states())
            cluster.clock.advance(0.2)
            cluster.rest()
            self.assertEqual(["TASK_RUNNING"], cluster.states())

    def test_a_long_life_forgives(self) -> None:
        """After a minute of life a death is the first one again."""
        cluster = Cluster()
        cluster.deploy(app(backoffSeconds=2, backoffFactor=10))
        for _ in range(2):
            (only,) = cluster.state.tasks("/web")
            cluster.clock.advance(61)
            cluster.runner.finish(only.id, Exit(1, "died"))
            cluster.rest()
            cluster.clock.advance(2.1)
            cluster.rest()
            self.assertEqual(["TASK_RUNNING"], cluster.states())

    def test_the_queue_can_be_hurried(self) -> None:
        """A reset of the delay launches at once; without anything in the queue it is refused."""
        cluster = Cluster()
        cluster.deploy(app(backoffSeconds=1000))
        self.assertRaises(Refused, cluster.engine.reset_delay, "/web")
        cluster.runner.finish(cluster.state.tasks("/web")[0].id, Exit(1, "died"))
        cluster.rest()
        cluster.engine.reset_delay("/web")
        cluster.rest()
        self.assertEqual(["TASK_RUNNING"], cluster.states())

    def test_how_it_ended_is_told(self) -> None:
        """Exit status 0 is TASK_FINISHED, anything else TASK_FAILED, and the last failure is kept with its reason."""
        cluster = Cluster()
        cluster.deploy(app(instances=2))
        one, other = cluster.state.tasks("/web")
        cluster.heard.clear()
        cluster.runner.finish(one.id, Exit(0, "Command exited with status 0"))
        cluster.runner.finish(other.id, Exit(None, "Command terminated with signal SIGKILL"))
        cluster.rest()
        told = [json(event) for event in cluster.heard if event.kind == "status_update_event"]
        self.assertEqual(
            [("TASK_FINISHED", one.id), ("TASK_FAILED", other.id)],
            [(event["taskStatus"], event["taskId"]) for event in told[:2]],
        )
        failure = cluster.state.records["/web"].last_failure
        assert failure is not None
        self.assertEqual("Command terminated with signal SIGKILL", failure.message)

    def test_no_port_left(self) -> None:
        """Where the range of ports is used up, a task waits and is started when one is free."""
        cluster = Cluster()
        cluster.engine.addresses.last = cluster.engine.addresses.first
        cluster.deploy(app("/a"))
        cluster.deploy(app("/b"))
        self.assertEqual([], cluster.states("/b"))
        cluster.engine.deploy({"/a": None})
        cluster.rest()
        cluster.clock.advance(6)
        cluster.rest()
        self.assertEqual(["TASK_RUNNING"], cluster.states("/b"))


class KillTests(SynchronousTestCase):
    """Tasks that are killed through the API."""

    def test_a_killed_task_is_replaced(self) -> None:
        """A kill is followed by a new task, without delay and without a deployment."""
        cluster = Cluster()
        cluster.deploy(app())
        (one,) = cluster.state.tasks("/web")
        self.assertIsNone(cluster.engine.kill([one.id]))
        self.assertEqual(["TASK_KILLING"], cluster.states())
        cluster.rest()
        (other,) = cluster.state.tasks("/web")
        self.assertNotEqual(one.id, other.id)
        self.assertEqual("TASK_RUNNING", other.state)

    def test_kill_and_scale(self) -> None:
        """With scale the app is smaller afterwards, by exactly the tasks that were named."""
        cluster = Cluster()
        cluster.deploy(app(instances=3))
        one, two, three = cluster.state.tasks("/web")
        deployment = cluster.engine.kill([one.id, two.id], scale=True)
        cluster.rest()
        assert deployment is not None
        self.assertEqual((three,), cluster.state.tasks("/web"))
        self.assertEqual(1, cluster.state.app("/web").instances)

    def test_unknown(self) -> None:
        """An unknown task is refused with 404."""
        with self.assertRaises(Refused) as caught:
            Cluster().engine.kill(["nobody"])
        self.assertEqual(404, caught.exception.status)
