"""Several clusters on the pages."""

from __future__ import annotations

from attrs import evolve
from treq.client import HTTPClient
from treq.testing import RequestTraversalAgent

from marathonlb.controller.reconciler import Reconciler
from marathonlb.marathon.federation import Federation
from marathonlb.marathon.gatherer import Gatherer
from marathonlb.marathon.model import App
from marathonlb.marathon.qualified import NamedMarathon
from marathonlb.settings import Settings
from marathonlb.web.routes import router
from tests.fakes.marathon import FakeMarathon
from tests.reconciling import NoHosts, web
from tests.web.contexts import EVERYTHING, SETTINGS, Marathons, PagesTestCase, Source, Whole


class ClusterTests(PagesTestCase):
    """East and west."""

    settings = evolve(SETTINGS, max_staleness=100)

    def make(self, settings: Settings) -> None:
        super().make(settings)
        self.reconciler.stopService()
        self.marathons = {name: FakeMarathon(url=f"http://{name}:8080") for name in ("east", "west")}
        gatherers = {
            name: Gatherer(NamedMarathon(name, fake), self.clock, max_shrink=100, weigh=lambda app: 1)
            for name, fake in self.marathons.items()
        }
        federation = Federation(gatherers, self.clock, lambda cluster: False, jitter=lambda: 1.0)
        planner = self.context.planner
        self.reconciler = Reconciler(
            settings, federation, planner, self.applier, NoHosts(), self.clock, lambda: 1.0, self.record
        )
        federation.poke = self.reconciler.poke
        self.reconciler.startService()
        self.addCleanup(self.reconciler.stopService)
        self.addCleanup(federation.stopService)
        self.sources = {name: Source() for name in gatherers}
        clusters = tuple(
            evolve(self.cluster(name, Marathons(), gatherer), source=self.sources[name])
            for name, gatherer in gatherers.items()
        )
        self.context = evolve(
            self.context, reconciler=self.reconciler, gatherer=federation, clusters=clusters
        )
        self.agent = RequestTraversalAgent(router(self.context, self._export, "lb1"))
        self.treq = HTTPClient(self.agent, data_to_body_producer=Whole)
        self.patch_client()

    def serve_both(self, *more: App) -> None:
        """An app of one id in each, and more in the east."""
        self.marathons["east"].set(web("shop"), *more)
        self.marathons["west"].set(web("shop", 10001))
        self.reconciler.poke(EVERYTHING)
        self.clock.advance(1)

    def test_status(self) -> None:
        """Each cluster is told by itself; of all together, what is worst."""
        self.serve_both(web("cart", 10002))
        self.sources["west"].connected_to = None
        self.sources["west"].problem = "the stream ended"
        said = self.get("/api/status")["marathon"]
        clusters = {each["name"]: each for each in said["clusters"]}
        self.assertEqual([clusters[name]["apps"] for name in ("east", "west")], [2, 1])
        self.assertEqual([clusters[name]["problem"] for name in ("east", "west")], ["", "the stream ended"])
        self.assertEqual((said["apps"], said["leader"], said["connected_to"]), (3, None, None))
        self.assertEqual(said["problem"], "west: the stream ended")
        self.assertEqual([each["cluster"] for each in said["endpoints"]], ["east", "east", "west", "west"])

    def test_ready(self) -> None:
        """Readiness says which cluster's word is old, and why."""
        self.marathons["west"].fail("it does not answer")
        self.serve_both()
        (reason,) = self.get("/api/health/ready", 503)["reasons"]
        self.assertEqual(
            reason,
            "no Marathon of the cluster west has answered with all apps yet: "
            "MLB-903 http://west:8080: it does not answer (status 503)",
        )
        self.marathons["west"].fail(None)
        self.clock.advance(3)
        self.assertEqual(self.get("/api/health/ready")["reasons"], [])
        self.marathons["west"].fail("it does not answer")
        self.clock.advance(101)
        self.serve_both()
        (reason,) = self.get("/api/health/ready", 503)["reasons"]
        self.assertRegex(reason, r"^the last answer of the cluster west is 10\d s old, .*http://west:8080")
        backends = {each["backend"] for each in self.get("/api/services")["services"]}
        self.assertEqual(backends, {"east__shop_10000", "west__shop_10001"})

    def test_late(self) -> None:
        """What a cluster says after the others are served is served, too."""
        self.marathons["west"].hold()
        self.marathons["east"].set(web("shop"))
        self.marathons["west"].set(web("shop", 10001))
        self.reconciler.poke(EVERYTHING)
        self.clock.advance(1)
        self.assertEqual(len(self.get("/api/services")["services"]), 1)
        self.marathons["west"].release()
        self.clock.advance(1)
        self.assertEqual(len(self.get("/api/services")["services"]), 2)

    def test_metrics(self) -> None:
        """Each cluster has gauges of its own; those of all are of the one that is worst off."""
        self.serve_both()
        self.sources["west"].connected_to = None
        _, text, _ = self.ask("GET", "/metrics")
        for line in (
            'marathon_lb_cluster_event_source_connected{cluster="east"} 1.0',
            'marathon_lb_cluster_event_source_connected{cluster="west"} 0.0',
            'marathon_lb_cluster_apps{cluster="west"} 1.0',
            "marathon_lb_event_source_connected 0.0",
        ):
            self.assertIn(line, text)

    def test_what_if(self) -> None:
        """A definition is for the cluster that is named."""
        self.serve_both()
        definition = {"id": "/shop", "labels": {"HAPROXY_0_VHOST": "new.example.com"}, "ports": [10001]}
        said = self.post("/api/what-if?cluster=west", definition)
        self.assertEqual(
            (said["app_id"], said["exists"], said["services"]), ("west:/shop", True, ["west__shop_10001"])
        )
        for cluster in ("", "north"):
            self.assertIn("east", self.post(f"/api/what-if?cluster={cluster}", definition, 400)["error"])
