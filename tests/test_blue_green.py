"""A blue/green deployment, from the cluster's state to HAProxy's configuration."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from marathonlb.config.render import Renderer
from marathonlb.config.templates.loader import load_templates
from marathonlb.config.templates.table import PER_APP_NAMES
from marathonlb.controller.planned_config import PlannedConfig
from marathonlb.controller.planner import Planner
from marathonlb.marathon.model import App, HealthCheck, Networking, Port, Task
from marathonlb.routing.offers import Offers
from marathonlb.settings import Settings

SETTINGS = Settings(ssl_certs=(), groups=frozenset({"external"}))


def app(colour: str, healthy: int, count: int, port: int, **labels: str) -> App:
    """Return one app of the pair, with the labels that deployment tools write."""
    said = {
        "GROUP": "external",
        "DEPLOYMENT_GROUP": "shop",
        "DEPLOYMENT_COLOUR": colour,
        "DEPLOYMENT_ALT_PORT": "10001",
        "DEPLOYMENT_TARGET_INSTANCES": "3",
        "DEPLOYMENT_STARTED_AT": {
            "blue": "2026-01-01T10:00:00.000001",
            "green": "2026-01-01T11:00:00.000001",
        }[colour],
        "0_PORT": "10000",
        "0_VHOST": "shop.example.com",
        **labels,
    }
    return App(
        f"/shop-{colour}",
        {f"HAPROXY_{name}": text for name, text in said.items()},
        networking=Networking.BRIDGE,
        ports=(Port(port),),
        health_checks=(HealthCheck("HTTP", "/ping", 0),),
        tasks=tuple(
            Task(f"shop-{colour}.{i}", "10.0.0.1", (port + 21000 + 10 * i,), alive=i < healthy)
            for i in range(count)
        ),
        instances=count,
        config_changed_at="2026-01-01T00:00:00.000Z",
    )


def planner() -> Planner:
    """Return a planner without apps."""
    templates = load_templates("/nonexistent", {})
    return Planner(Offers(SETTINGS, PER_APP_NAMES, lambda host: host), Renderer(SETTINGS, templates))


class BlueGreen(SynchronousTestCase):
    """HAProxy's configuration in each phase."""

    def setUp(self) -> None:
        self.planner = planner()
        self.apps: dict[str, App] = {}

    def wanted(self, *apps: App, gone: str | None = None) -> PlannedConfig:
        """Return the configuration after changes; assert that it equals that of a controller that starts now."""
        self.apps |= {each.id: each for each in apps}
        if gone:
            del self.apps[gone]
        self.planner.update(self.apps, [*(each.id for each in apps), *([gone] if gone else [])])
        wanted = self.planner.plan(0)
        fresh = planner()
        fresh.update(self.apps, self.apps)
        again = fresh.plan(0)
        self.assertEqual(wanted.rendered.config.template, again.rendered.config.template)
        self.assertEqual(wanted.rendered.config.map_texts(), again.rendered.config.map_texts())
        self.assertEqual((wanted.problems, wanted.servers), (again.problems, again.servers))
        return wanted

    def test_servers_alone(self) -> None:
        """From the first app to the last nothing but server lines differs, so no phase needs a reload."""
        phases = [
            self.wanted(app("blue", 3, 3, 10000)),
            self.wanted(app("green", 0, 1, 10001)),
            self.wanted(app("green", 1, 1, 10001)),
            self.wanted(app("blue", 2, 2, 10000), app("green", 2, 2, 10001)),
            self.wanted(app("green", 3, 3, 10001)),
            self.wanted(gone="/shop-blue"),
        ]
        frames, drained = set(), []
        for wanted in phases:
            lines = wanted.rendered.config.template.splitlines()
            servers = [line for line in lines if line.startswith("  server 1")]
            frames.add(
                "\n".join(line for line in lines if line not in servers)
                + str(wanted.rendered.config.map_texts())
            )
            drained.append((sum("weight 0" in line for line in servers), len(servers)))
            self.assertEqual(wanted.problems, ())
        self.assertEqual(len(frames), 1)
        self.assertIn("backend shop_10000\n", frames.pop())
        self.assertEqual(drained, [(0, 3), (0, 4), (1, 4), (1, 4), (2, 5), (0, 3)])

    def test_problem(self) -> None:
        """A collision of the joined service is told to the app whose labels hold."""
        other = app("blue", 1, 1, 10009)
        labels = {"HAPROXY_GROUP": "external", "HAPROXY_0_VHOST": "shop.example.com"}
        other = App(
            "/other",
            labels,
            ports=(Port(10009),),
            tasks=other.tasks,
            config_changed_at="2025-01-01T00:00:00.000Z",
        )
        wanted = self.wanted(other, app("blue", 3, 3, 10000))
        self.assertEqual([problem.app_id for problem in wanted.problems], ["/shop-blue"])
        wanted = self.wanted(app("green", 3, 3, 10001))
        self.assertEqual([problem.app_id for problem in wanted.problems], ["/shop-green"])
