"""A cluster to ask questions about: its apps, planned as the controller plans them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from twisted.internet.task import Clock

from marathonlb.config.render import Renderer
from marathonlb.config.templates.loader import load_templates
from marathonlb.config.templates.table import PER_APP_NAMES
from marathonlb.config.text.model import Owner
from marathonlb.controller.planner import Planner
from marathonlb.errors import Complaint, InvalidConfiguration
from marathonlb.marathon.model import App, Port
from marathonlb.routing.explain.answer import explain
from marathonlb.routing.explain.evidence import State
from marathonlb.routing.explain.model import Explanation
from marathonlb.routing.explain.question import question_of
from marathonlb.routing.offers import Offers
from marathonlb.routing.policy.prefixes import OPEN, Policy
from marathonlb.settings import Settings
from tests.routing.apps import app, task

TEMPLATES = load_templates("/nonexistent", {})


class Cluster:
    """Some apps, as the controller would see them."""

    def __init__(self, apps: Iterable[App], policy: Policy = OPEN, **settings: Any) -> None:
        self.settings = Settings(**settings)
        self.apps = {each.id: each for each in apps}
        resolve = {"nowhere": None}
        self.resolve = lambda host: resolve.get(host, host)
        offers = Offers(self.settings, PER_APP_NAMES, self.resolve, policy)
        self.planner = Planner(offers, Renderer(self.settings, TEMPLATES))
        self.planner.update(self.apps, self.apps)

    def state(self) -> State:
        return self.planner.state(self.planner.plan(0), self.apps, self.resolve)

    def refuse(self, app_id: str, label: str, words: str) -> None:
        """Let HAProxy refuse the label of an app's first port."""
        owner = Owner(app_id, 0, label.split("_", 2)[2], f"label {label}")
        error = InvalidConfiguration(complaints=(Complaint(message=words, line=1, owner=owner),))
        assert self.planner.blame(error, self.planner.plan(0), Clock())

    def explain(self, what: str) -> Explanation:
        return explain(question_of(what), self.state())


def shop(name: str, host: str, port: int, path: str = "", **more: Any) -> App:
    """An app with a virtual host, its own service port and an own agent."""
    labels = {"0_VHOST": host, **({"0_PATH": path} if path else {}), **more.pop("labels", {})}
    values = {"ports": (Port(port),), "tasks": (task(port % 250),), **more}
    return app(f"/{name}", labels, **values)


SHOPS = (
    shop("shop/web", "shop.example.com", 10001),
    shop("shop/cart", "shop.example.com", 10002, "/cart"),
    shop("all", "*.example.com", 10003),
    shop("late", "shop.example.com", 10004, config_changed_at="2024-01-01T00:00:00.000Z"),
)
"""Apps of one host: two by path, one wildcard, and one that came too late."""
