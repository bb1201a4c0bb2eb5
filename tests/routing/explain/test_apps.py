"""What becomes of an app."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from marathonlb.marathon.model import Port
from marathonlb.routing.explain.model import render
from tests.routing.apps import app, task
from tests.routing.explain.clusters import Cluster, shop


class AppTests(SynchronousTestCase):
    """Apps."""

    def test_rules(self) -> None:
        """An app's services come with the rules that lead to them."""
        said = Cluster([shop("x", "x.example,*.y.example", 10000, "/a")]).explain("/x")
        self.assertEqual(
            {("path2backend.map", "x.example/a"), ("", "*.y.example with /a"), ("app2backend.map", "/x")},
            {(rule.map, rule.key) for rule in said.services[0].rules},
        )
        self.assertEqual("its port is served", said.verdict)

    def test_some_ports(self) -> None:
        """Of several ports each is told by itself."""
        ports = (Port(10000), Port(10001), Port(10002))
        made = app("/x", {"1_ENABLED": "no"}, ports=ports, tasks=(task(ports=(1, 2, 3)),))
        said = Cluster([made]).explain("/x")
        self.assertEqual([0, 2], [service.port_index for service in said.services])
        self.assertEqual([("selection", 1)], [(reason.kind, reason.port_index) for reason in said.reasons])
        self.assertTrue(said.served)

    def test_unknown(self) -> None:
        """An app that Marathon does not run brings up its kin."""
        said = Cluster([app("/shop/web"), app("/bank/web"), app("/shop/web2")]).explain("/web")
        self.assertEqual(["marathon"], [reason.kind for reason in said.reasons])
        self.assertEqual({"/shop/web", "/bank/web"}, set(said.near[:2]))
        self.assertEqual(
            ("/shop/web", "/shop/web2"),
            Cluster([app("/shop/web"), app("/shop/web2")]).explain("/shop").near[:2],
        )

    def test_deployment_group(self) -> None:
        """The two apps of a deployment group lead to the one service that they share, drained servers marked."""
        labels = {"DEPLOYMENT_GROUP": "shop"}
        made = [
            shop(
                name,
                "x.example",
                port,
                labels=labels,
                tasks=(task(port - 9999),),
                instances=1,
                config_changed_at=date,
            )
            for name, port, date in (("blue", 10000, "2020"), ("green", 10001, "2021"))
        ]
        cluster = Cluster(made)
        for what in ("/blue", "/green", "/shop", "http://x.example/", "10000"):
            (service,) = cluster.explain(what).services
            self.assertEqual(("/blue", "/green"), service.apps, what)
            self.assertEqual(
                {"task.1": True, "task.2": False}, {each.task_id: each.drained for each in service.servers}
            )
            self.assertEqual((), service.left_out)
        self.assertIn("port 0, which is /blue and /green:", render(cluster.explain("/blue")))
        self.assertIn("drained", render(cluster.explain("/blue")))
