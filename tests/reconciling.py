"""A reconciler with fakes, and small clusters for it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from twisted.internet.task import Clock
from twisted.logger import LogEvent, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from marathonlb.base.causes import Cause, CauseKind
from marathonlb.config.render import Renderer
from marathonlb.config.templates.loader import load_templates
from marathonlb.config.templates.table import PER_APP_NAMES
from marathonlb.config.text.model import Config
from marathonlb.controller.planner import Planner
from marathonlb.controller.reconciler import Reconciler
from marathonlb.marathon.events.hints import Hint
from marathonlb.marathon.gatherer import Gatherer
from marathonlb.marathon.model import App, Port, Task
from marathonlb.routing.offers import Offers
from marathonlb.settings import Settings
from tests.fakes.haproxy import FakeApplier
from tests.fakes.marathon import FakeMarathon

EVERYTHING = Hint.of(None, Cause(CauseKind.POLL))


def web(name: str, port: int = 10000, tasks: int = 1, **labels: str) -> App:
    """Return an app with one service port."""
    return App(
        f"/{name}",
        labels={"HAPROXY_0_VHOST": f"{name}.example.com", **labels},
        ports=(Port(port),),
        tasks=tuple(Task(f"{name}.{n}", host="127.0.0.1", ports=(31000 + port + n,)) for n in range(tasks)),
        instances=tasks,
        version="2026-01-01T00:00:00.000Z",
    )


def cluster(count: int) -> list[App]:
    """Return a number of apps, each with its own service port."""
    return [web(f"app{n}", 10000 + n) for n in range(count)]


def evolve_host(app: App, host: str) -> App:
    """Return the app with its tasks on another host."""
    tasks = tuple(Task(task.id, host=host, ports=task.ports) for task in app.tasks)
    return App(app.id, app.labels, ports=app.ports, tasks=tasks, version=app.version)


class NoHosts:
    """Resolves each host to itself, unless a test has moved it."""

    def __init__(self) -> None:
        self.addresses: dict[str, str] = {}
        self.kept: list[set[str]] = []
        self._moved: set[str] = set()

    def address(self, host: str) -> str | None:
        return self.addresses.get(host, host)

    async def learn(self, hosts: object) -> None:
        return None

    def keep(self, hosts: Iterable[str]) -> None:
        self.kept.append(set(hosts))

    def move(self, host: str, address: str) -> None:
        self.addresses[host] = address
        self._moved.add(host)

    def moved(self) -> frozenset[str]:
        moved, self._moved = frozenset(self._moved), set()
        return moved


class ReconcilerTestCase(SynchronousTestCase):
    """A reconciler with a fake Marathon and a fake HAProxy."""

    settings = Settings(ssl_certs=(), min_reload_interval=0, max_shrink=50)

    def setUp(self) -> None:
        self.clock = Clock()
        self.marathon = FakeMarathon()
        self.applier = FakeApplier()
        self.hosts = NoHosts()
        self.logged: list[LogEvent] = []
        globalLogPublisher.addObserver(self.logged.append)
        self.addCleanup(globalLogPublisher.removeObserver, self.logged.append)
        self.make(self.settings)

    def make(self, settings: Settings) -> None:
        """Create and start a reconciler with these settings."""
        offers = Offers(settings, PER_APP_NAMES, self.hosts.address)
        planner = Planner(offers, Renderer(settings, load_templates("/nonexistent", settings.environment)))
        gatherer = Gatherer(self.marathon, self.clock, max_shrink=settings.max_shrink, weigh=offers.count)
        self.reconciler = Reconciler(
            settings, gatherer, planner, self.applier, self.hosts, self.clock, jitter=lambda: 1.0
        )
        self.reconciler.startService()
        self.addCleanup(self.reconciler.stopService)

    def begin(self, *apps: App) -> None:
        """Serve a cluster, then clear the records of requests."""
        self.marathon.set(*apps)
        self.reconciler.poke(EVERYTHING)
        self.clock.advance(10)
        self.assertEqual(len(self.applier.applied), 1)
        self.marathon.asked.clear()

    def served(self) -> set[str]:
        """Return the names of the backends that HAProxy runs."""
        running = self.applier.running or Config()
        return {section.name for section in running if section.kind == "backend"}

    def said(self, word: str) -> list[str]:
        """Return the log messages that contain a word."""
        texts = [
            str(event["log_format"] or "").format(**event) for event in self.logged if event.get("log_format")
        ]
        return [text for text in texts if word in text]

    def fields(self, name: str) -> list[Any]:
        """Return the values of a field in the log events."""
        return [event[name] for event in self.logged if name in event]
