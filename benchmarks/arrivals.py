"""
New apps: the time until their virtual hosts and service ports are served, and the reloads for it.

HAProxy 3.4 and later adds backends at run time, so the virtual host does not wait for the reload that adds the port.
With older versions a simulated worker is measured, which implements the runtime API of 3.4.
"""

from __future__ import annotations

import statistics
from pathlib import Path
from time import process_time
from typing import Any

from attrs import define, field, frozen

from benchmarks.cluster import GROUP, Arrived, Cluster, Shape
from benchmarks.report import Row
from benchmarks.world import Controller, Failed, TaskResponse, World, until
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
"""Maximum number of seconds until a new app is served."""

HOST = "new app: event → its virtual host is served, median"
PORT = "new app: event → its service port is served, median"
BEFORE = "new app: reloads before its virtual host is served"
RELOADS = "new apps, {count} at once: reloads"
FAKE = "HAProxy 3.4 (simulated), "


@frozen(kw_only=True)
class Arrivals:
    """
    The number of new apps to measure.

    :param rounds: new apps one at a time, each after the previous one is served at its port.
    :param at_once: new apps added together.
    """

    rounds: int = 10
    at_once: int = 10


@define
class NewApps:
    """Measures new apps with a controller and HAProxy."""

    world: World
    controller: Controller
    plan: Arrivals
    rows: list[Row] = field(factory=list)

    def measure(self) -> None:
        """Measure all rows. Raises `Failed`."""
        hosts, ports, early = list[float](), list[float](), 0
        self._arrive(1)  # the reload after which the next one must wait
        for _ in range(self.plan.rounds):
            before = self.controller.reloads()
            (app,) = self.world.move("arrive", count=1)
            hosts.append(self._served(app, None) - app["at"])
            early += self.controller.reloads() - before
            ports.append(self._served(app, app["port"]) - app["at"])
        total = f"{self.plan.rounds} apps, one at a time"
        self._row(HOST, statistics.median(hosts) * 1000, "ms", total)
        self._row(PORT, statistics.median(ports) * 1000, "ms", total)
        self._row(BEFORE, early / self.plan.rounds, "reloads", total)
        self.controller.child.idle()
        before = self.controller.reloads()
        self._arrive(self.plan.at_once)
        self.controller.child.idle()
        self._row(RELOADS.format(count=self.plan.at_once), self.controller.reloads() - before, "reloads")

    def _arrive(self, count: int) -> None:
        for app in self.world.move("arrive", count=count):
            self._served(app, app["port"])

    def _served(self, app: dict[str, Any], port: int | None) -> float:
        """Return the time of the first response to a request for the host, or at the port."""

        def request() -> TaskResponse | None:
            options = {} if port is None else {"port": port}
            response = self.world.frontend.try_to_ask(app["host"], **options)
            return response if response.address else None

        first: TaskResponse = until(request, LIMIT, f"{app['host']}: waiting until it is served", every=0.002)
        return first.at

    def _row(self, name: str, value: float, unit: str, reference: str = "") -> None:
        self.rows.append(Row(name, str(self.world.shape), value, unit, reference))


@define
class FakeNewApps:
    """
    Measures new apps with a simulated HAProxy 3.4 in this process.

    :param directory: the directory for its files.
    """

    shape: Shape
    plan: Arrivals
    directory: Path
    rows: list[Row] = field(factory=list)

    def measure(self) -> None:
        """Measure all rows. Raises `Failed`."""
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
        applier.service.startService()  # the file is written in the background, as in a daemon
        _now(applier.apply(planner.plan(0).config))
        used = []
        before = len(installation.reloader.reloaded)
        for _ in range(self.plan.at_once):
            start = process_time()
            arrived = cluster.arrive()
            self._add(planner, apps, arrived)
            outcome = _now(applier.apply(planner.plan(0).config, may_reload=False))
            used.append(process_time() - start)
            self._require_routed(installation, arrived, outcome)
        early = len(installation.reloader.reloaded) - before
        _now(applier.apply(planner.plan(0).config))
        self._row(
            f"{FAKE}new app: CPU until its virtual host is routed, median",
            statistics.median(used) * 1000,
            "ms",
        )
        self._row(FAKE + BEFORE, early, "reloads")
        self._row(
            FAKE + RELOADS.format(count=self.plan.at_once),
            len(installation.reloader.reloaded) - before,
            "reloads",
        )

    def _add(self, planner: Planner, apps: dict[str, App], arrived: Arrived) -> None:
        (app,) = parse_app(cluster_document(arrived)).apps
        apps[app.id] = app
        planner.update(apps, [app.id])

    def _require_routed(self, installation: Installation, arrived: Arrived, outcome: Outcome) -> None:
        """Raise `Failed` if the simulated worker does not route the host to the app's tasks."""
        domains = installation.worker.maps[f"{installation.directory}/domain2backend.map"]
        backend = dict(domains.versions[domains.current]).get(arrived.app.host, "")
        servers = installation.worker.backends.get(backend, {})
        if len(servers) != self.shape.tasks or backend in installation.worker.closed:
            raise Failed(f"{arrived.app.host} is not served before a reload: {outcome}")

    def _row(self, name: str, value: float, unit: str) -> None:
        self.rows.append(Row(name, str(self.shape), value, unit))


def cluster_document(arrived: Arrived) -> bytes:
    """Return the response of ``/v2/apps/{id}`` for a new app."""
    return b'{"app":%b}' % arrived.app.document


def _now(waiting: Any) -> Any:
    """Return the result of a Deferred that has fired. Raises `Failed`."""
    results: list[Any] = []
    waiting.addCallbacks(results.append, lambda failure: results.append(failure.value))
    if not results or isinstance(results[0], BaseException):
        raise Failed(f"the simulated update failed: {results}")
    return results[0]
