"""The state: deployments that lock apps, and the differences between versions."""

from __future__ import annotations

import msgspec
from twisted.trial.unittest import SynchronousTestCase

from minimarathon.errors import Refused
from minimarathon.events import Event
from tests.minimarathon.clusters import Cluster, app


def json(event: Event, light: bool = False) -> dict[str, object]:
    return msgspec.json.decode(event.json(light), type=dict[str, object])


class LockTests(SynchronousTestCase):
    """Deployments hold their apps."""

    def setUp(self) -> None:
        self.cluster = Cluster()
        self.first = self.cluster.engine.deploy({"/web": app()})

    def test_locked(self) -> None:
        """A second change is refused with 409 and the deployment's id, and changes nothing."""
        with self.assertRaises(Refused) as caught:
            self.cluster.engine.deploy({"/web": app(instances=5)})
        self.assertEqual(409, caught.exception.status)
        self.assertEqual([{"id": self.first.id}], caught.exception.body["deployments"])
        self.assertEqual(1, self.cluster.state.app("/web").instances)

    def test_force(self) -> None:
        """With force the first deployment fails and the second goes on."""
        self.cluster.deploy(app(instances=2), force=True)
        failed = next(one for one in self.cluster.heard if one.kind == "deployment_failed")
        self.assertEqual(self.first.id, json(failed)["id"])
        self.assertEqual(["TASK_RUNNING"] * 2, self.cluster.states())

    def test_other_apps_are_free(self) -> None:
        """An app that no deployment holds can be changed."""
        self.cluster.deploy(app("/other"))
        self.assertEqual(["TASK_RUNNING"], self.cluster.states("/other"))

    def test_rollback(self) -> None:
        """A cancelled deployment is taken back: a new app goes, a changed one is as it was."""
        self.cluster.rest()
        deployment = self.cluster.engine.deploy({"/web": app(cmd="other"), "/new": app("/new")})
        self.assertIsNotNone(self.cluster.engine.cancel(deployment.id, force=False))
        self.cluster.rest()
        self.assertEqual("sleep 100", self.cluster.state.app("/web").cmd)
        self.assertRaises(Refused, self.cluster.state.app, "/new")
        self.assertEqual(["TASK_RUNNING"], self.cluster.states())

    def test_cancel_with_force(self) -> None:
        """With force it is only forgotten, and the app still gets what it wants."""
        self.assertIsNone(self.cluster.engine.cancel(self.first.id, force=True))
        self.assertEqual({}, self.cluster.state.underway)
        self.cluster.rest()
        self.assertEqual(["TASK_RUNNING"], self.cluster.states())


class DialectTests(SynchronousTestCase):
    """The differences between versions."""

    def test_ids(self) -> None:
        """Ids of tasks and instances are made as each version makes them."""
        for version, task_id, instance in (
            ("1.4", "shop_web.id2", "shop_web.marathon-id2"),
            ("1.8", "shop_web.instance-id2._app.1", "shop_web.instance-id2"),
        ):
            cluster = Cluster(version)
            cluster.deploy(app("/shop/web"))
            (one,) = cluster.state.tasks("/shop/web")
            self.assertEqual((task_id, instance), (one.id, one.instance_id))

    def test_conditions(self) -> None:
        """A new instance is Created until 1.7, Scheduled and Provisioned from 1.8 on."""
        for version, expected in (
            ("1.7", ["Created", "Starting", "Running"]),
            ("1.8", ["Scheduled", "Provisioned", "Starting", "Running"]),
        ):
            cluster = Cluster(version)
            cluster.deploy(app())
            told = [json(one)["condition"] for one in cluster.heard if one.kind == "instance_changed_event"]
            self.assertEqual(expected, told)

    def test_plans(self) -> None:
        """A heavy plan holds the cluster before and after; who asks for light ones from 1.5 on gets none."""
        rows = (("1.4", True, True), ("1.5", False, True), ("1.5", True, False), ("1.8", False, False))
        for version, asked, heavy in rows:
            cluster = Cluster(version)
            cluster.deploy(app())
            done = cluster.heard[-1]
            plan = json(done, cluster.state.dialect.light_plans(asked))["plan"]
            assert isinstance(plan, dict)
            self.assertEqual(heavy, "original" in plan, (version, asked))
            if heavy:
                self.assertEqual([], plan["original"]["apps"])
                self.assertEqual("/web", plan["target"]["apps"][0]["id"])
