"""
New apps: how soon their virtual hosts are served and how soon their service ports, and what reloads that takes.

HAProxy 3.4 and later makes their backends while it runs, so the host does not wait for the reload that adds the port;
where there is none the same is measured of a fake that speaks its words.
"""

from __future__ import annotations

import statistics
from pathlib import Path
from time import process_time
from typing import Any

from attrs import define, field, frozen

from benchmarks.cluster import GROUP, Arrived, Cluster, Shape
from benchmarks.report import Row
from benchmarks.world import Answer, Controller, Failed, World, until
from marathonlb.config.render import Renderer
from marathonlb.config.templates.loader import load_templates
from marathonlb.config.templates.table import PER_APP_NAMES
from marathonlb.config.text.named_defaults import SINCE
from marathonlb.controller.planner import Planner
from marathonlb.haproxy.outcome import Outcome
from marathonlb.marathon.model import App
from marathonlb.marathon.parsing.apps import parse_app, parse_apps
from marathonlb.routing.offers import Offers
from marathonlb.settings import Settings
from tests.haproxy.installation import Installation

LIMIT = 30.0
"""Seconds that a new app may take to be served."""

HOST = "new app: event → its virtual host is served, median"
PORT = "new app: event → its service port is served, median"
BEFORE = "new app: reloads before its virtual host is served"
RELOADS = "new apps, {count} at once: reloads"
FAKE = "HAProxy 3.4 (a fake), "


@frozen(kw_only=True)
class Arrivals:
    """
    How much is measured.

    :param rounds: new apps one at a time, each as soon as the last one is served at its port.
    :param at_once: new apps that come together.
    """

    rounds: int = 10
    at_once: int = 10


@define
class NewApps:
    """New apps in a world with a controller."""

    world: World
    controller: Controller
    plan: Arrivals
    rows: list[Row] = field(factory=list)

    def measure(self) -> None:
        """All rows. Raises `Failed`."""
        hosts, ports, early = list[float](), list[float](), 0
        self._arrive(1)  # the reload after which the next one has to wait
        for _ in range(self.plan.rounds):
            before = self.controller.reloads()
            (told,) = self.world.move("arrive", count=1)
            hosts.append(self._served(told, None) - told["at"])
            early += self.controller.reloads() - before
            ports.append(self._served(told, told["port"]) - told["at"])
        many = f"{self.plan.rounds} apps, one after the other"
        self._row(HOST, statistics.median(hosts) * 1000, "ms", many)
        self._row(PORT, statistics.median(ports) * 1000, "ms", many)
        self._row(BEFORE, early / self.plan.rounds, "reloads", many)
        self.controller.child.idle()
        before = self.controller.reloads()
        self._arrive(self.plan.at_once)
        self.controller.child.idle()
        self._row(RELOADS.format(count=self.plan.at_once), self.controller.reloads() - before, "reloads")

    def _arrive(self, count: int) -> None:
        for told in self.world.move("arrive", count=count):
            self._served(told, told["port"])

    def _served(self, told: dict[str, Any], port: int | None) -> float:
        """When a request to the host, or to the port, was answered first."""

        def asked() -> Answer | None:
            more = {} if port is None else {"port": port}
            answer = self.world.frontend.try_to_ask(told["host"], **more)
            return answer if answer.address else None

        found: Answer = until(asked, LIMIT, f"{told['host']}: waiting until it is served", every=0.002)
        return found.at

    def _row(self, name: str, value: float, unit: str, reference: str = "") -> None:
        self.rows.append(Row(name, str(self.world.shape), value, unit, reference))


@define
class FakeNewApps:
    """
    New apps where a fake stands for HAProxy 3.4, in this process.

    :param directory: for its files.
    """

    shape: Shape
    plan: Arrivals
    directory: Path
    rows: list[Row] = field(factory=list)

    def measure(self) -> None:
        """All rows. Raises `Failed`."""
        cluster = Cluster(self.shape)
        installation = Installation(str(self.directory))
        installation.worker.version = "3.4.0"
        settings = Settings(groups=frozenset({GROUP}), ssl_certs=(), state_dir=str(self.directory))
        renderer = Renderer(settings, load_templates(settings.templates, {}))
        planner = Planner(Offers(settings, PER_APP_NAMES, lambda host: host), renderer)
        planner.suit(SINCE)
        apps = {app.id: app for app in parse_apps(cluster.all_apps()).apps}
        planner.update(apps, apps)
        applier = installation.controller()
        applier.service.startService()  # the file follows later, as it does in a daemon
        _now(applier.apply(planner.plan(0).config))
        used = []
        before = len(installation.reloader.reloaded)
        for _ in range(self.plan.at_once):
            began = process_time()
            arrived = cluster.arrive()
            self._take_in(planner, apps, arrived)
            outcome = _now(applier.apply(planner.plan(0).config, may_reload=False))
            used.append(process_time() - began)
            self._require_led_to(installation, arrived, outcome)
        early = len(installation.reloader.reloaded) - before
        _now(applier.apply(planner.plan(0).config))
        self._row(
            f"{FAKE}new app: CPU until its virtual host is led to it, median",
            statistics.median(used) * 1000,
            "ms",
        )
        self._row(FAKE + BEFORE, early, "reloads")
        self._row(
            FAKE + RELOADS.format(count=self.plan.at_once),
            len(installation.reloader.reloaded) - before,
            "reloads",
        )

    def _take_in(self, planner: Planner, apps: dict[str, App], arrived: Arrived) -> None:
        (app,) = parse_app(cluster_document(arrived)).apps
        apps[app.id] = app
        planner.update(apps, [app.id])

    def _require_led_to(self, installation: Installation, arrived: Arrived, outcome: Outcome) -> None:
        """Raise `Failed` where the fake leads no request for the host to the app's tasks."""
        held = installation.worker.maps[f"{installation.directory}/domain2backend.map"]
        backend = dict(held.versions[held.current]).get(arrived.app.host, "")
        servers = installation.worker.backends.get(backend, {})
        if len(servers) != self.shape.tasks or backend in installation.worker.closed:
            raise Failed(f"{arrived.app.host} is not served before a reload: {outcome}")

    def _row(self, name: str, value: float, unit: str) -> None:
        self.rows.append(Row(name, str(self.shape), value, unit))


def cluster_document(arrived: Arrived) -> bytes:
    """Return the answer of ``/v2/apps/{id}`` about a new app."""
    return b'{"app":%b}' % arrived.app.document


def _now(waiting: Any) -> Any:
    """Return the result of a Deferred that has fired. Raises `Failed`."""
    found: list[Any] = []
    waiting.addCallbacks(found.append, lambda failure: found.append(failure.value))
    if not found or isinstance(found[0], BaseException):
        raise Failed(f"the fake was not led there: {found}")
    return found[0]
