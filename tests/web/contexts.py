"""A controller without a world: a reconciler between a fake Marathon and a fake HAProxy, and the pages over it."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Mapping
from typing import Any

import msgspec
from treq.client import HTTPClient
from treq.testing import RequestTraversalAgent
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.interfaces import IAddress, IConsumer
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.iweb import IBodyProducer
from twisted.web.server import Request
from zope.interface import implementer

from marathonlb.base.causes import Cause, CauseKind
from marathonlb.config.render import Renderer
from marathonlb.config.templates.loader import load_templates
from marathonlb.config.templates.table import PER_APP_NAMES
from marathonlb.config.text.diff import differences
from marathonlb.config.text.model import Config
from marathonlb.controller.hold import Hold
from marathonlb.controller.planner import Planner
from marathonlb.controller.reconciler import Reconciler
from marathonlb.controller.recorder import Recorder
from marathonlb.controller.timeline import EventTimeline
from marathonlb.errors import HAProxyUnavailable
from marathonlb.haproxy.files.publish import Published
from marathonlb.haproxy.files.state_directory import StateDirectory
from marathonlb.haproxy.process.binary import BinaryCapabilities
from marathonlb.haproxy.reload_reason import Reasons, from_differences
from marathonlb.haproxy.rollback.archive import Archive
from marathonlb.haproxy.rollback.pin import Pins
from marathonlb.haproxy.runtime.stats import Statistics
from marathonlb.marathon.events.hints import Hint
from marathonlb.marathon.gatherer import Gatherer
from marathonlb.metrics import Metrics
from marathonlb.routing.offers import Offers
from marathonlb.settings import Settings
from marathonlb.web.api.metrics import Sink
from marathonlb.web.context import ClusterContext, WebContext
from marathonlb.web.routes import router
from tests.fakes.haproxy import FakeApplier
from tests.fakes.marathon import FakeMarathon
from tests.reconciling import NoHosts

SETTINGS = Settings(
    ssl_certs=(),
    min_reload_interval=0,
    marathon=("http://one:8080", "http://two:8080"),
    haproxy="/usr/sbin/haproxy",
    manage_haproxy=True,
    admin_allow=("127.0.0.0/8",),
)

STAT = (
    "# pxname,svname,scur,stot,rate,qcur,bin,bout,status,weight,"
    "act,bck,econ,eresp,wretr,wredis,lastchg,hrsp_2xx,addr"
)
"""The columns of these tests' answers to ``show stat``."""

NOW = 2_000_000_000.0
"""When the tests begin: after every date of their apps."""

EVERYTHING = Hint.of(None, Cause(CauseKind.POLL))


class ShownApplier(FakeApplier):
    """The fake one, which also tells what it runs, as `marathonlb.haproxy.applier.Applier` does."""

    def __init__(self) -> None:
        super().__init__()
        self.confirmed = True
        self.unavailable = False

    def texts(self) -> Published | None:
        running = self.running
        return None if running is None else Published(running.text("/etc/haproxy"), running.map_texts())

    def foresee(self, wanted: Config) -> Reasons:
        return from_differences(differences(self.running or Config(), wanted))

    def pids(self) -> Deferred[tuple[int, ...]]:
        return fail(HAProxyUnavailable(reason="no master")) if self.unavailable else super().pids()


class Marathons:
    """Who leads."""

    preferred = "http://one:8080"

    def leader(self) -> str | None:
        return "http://two:8080"


class Source:
    """An event stream that is well."""

    last_event_at: float | None = NOW - 5
    connected_to: str | None = "http://one:8080"
    problem = ""


class HAProxySays:
    """
    The answers of a stats socket.

    :ivar answers: by command; others are refused.
    """

    def __init__(self) -> None:
        self.answers: dict[str, str] = {
            "show info": "Name: HAProxy\nVersion: 2.8.1\nPid: 77\nUptime_sec: 3\n"
        }
        self.asked: list[str] = []

    async def __call__(self, command: str) -> str:
        self.asked.append(command)
        if command not in self.answers:
            raise HAProxyUnavailable(reason="haproxy.sock: nobody listens")
        return self.answers[command]


@implementer(IBodyProducer)
class Whole:
    """A body that is written at once: no reactor runs that could write it bit by bit."""

    def __init__(self, body: bytes) -> None:
        self.length = len(body)
        self._body = body

    def startProducing(self, consumer: IConsumer) -> Deferred[None]:
        consumer.write(self._body)
        return succeed(None)

    def stopProducing(self) -> None:
        """It is over already."""

    pauseProducing = resumeProducing = stopProducing


class PagesTestCase(SynchronousTestCase):
    """The pages over a controller; `get` and `post` ask them as a client of `client`'s address."""

    settings = SETTINGS

    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(NOW)
        self.marathon = FakeMarathon()
        self.applier = ShownApplier()
        self.haproxy = HAProxySays()
        self.client = "127.0.0.1"
        self.make(self.settings)

    def make(self, settings: Settings) -> None:
        """The controller with these settings."""
        directory = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, directory, ignore_errors=True)
        self.state = StateDirectory(os.path.join(directory, "state"))
        hosts = NoHosts()
        offers = Offers(settings, PER_APP_NAMES, hosts.address)
        self.hold = Hold(Pins(self.state.path), "/etc/haproxy", hosts.address)
        renderer = Renderer(settings, load_templates("/nonexistent", settings.environment))
        planner = Planner(offers, renderer, hold=self.hold)
        gatherer = Gatherer(self.marathon, self.clock, max_shrink=100, weigh=offers.count)
        self.metrics = Metrics("1.2.3", settings.mode, processes=False)
        self.record = Recorder(self.clock, EventTimeline(), self.metrics)
        self.reconciler = Reconciler(
            settings, gatherer, planner, self.applier, hosts, self.clock, lambda: 1.0, self.record
        )
        self.reconciler.startService()
        self.addCleanup(self.reconciler.stopService)
        self.source = Source()
        self.archive = Archive(self.state, 5, cause=self.record.cause)
        self.context = WebContext(
            settings=settings,
            version="1.2.3",
            started=NOW,
            clock=self.clock,
            reconciler=self.reconciler,
            planner=planner,
            gatherer=gatherer,
            clusters=(self.cluster("", Marathons(), gatherer),),
            applier=self.applier,
            resolve=hosts.address,
            archive=self.archive,
            hold=self.hold,
            statistics=Statistics(self.haproxy, self.clock),
            recorder=self.record,
            capabilities=self._capabilities,
        )
        self.root = router(self.context, self._export, "lb1.example.com")
        self.agent = RequestTraversalAgent(self.root)
        self.treq = HTTPClient(self.agent, data_to_body_producer=Whole)
        self.patch_client()

    def cluster(self, name: str, marathons: Marathons, gatherer: Gatherer) -> ClusterContext:
        """One cluster."""
        endpoints = ("http://one:8080", "http://two:8080")
        return ClusterContext(
            name=name, endpoints=endpoints, marathons=marathons, source=self.source, gatherer=gatherer
        )

    async def _capabilities(self) -> BinaryCapabilities:
        return BinaryCapabilities(version=(2, 8, 1), features=frozenset({"OPENSSL"}))

    async def _export(self, query: str, sink: Sink) -> None:
        sink.write(b"# HELP haproxy_x x\n# TYPE haproxy_x gauge\nhaproxy_x 1\n")

    def patch_client(self) -> None:
        """Let requests come from `client`."""
        case = self

        class FromClient(Request):
            def getClientAddress(self) -> IAddress:
                return IPv4Address("TCP", case.client, 40000)

        self.agent._serverFactory.requestFactory = FromClient

    def serve(self, *apps: Any) -> None:
        """Marathon runs these, and HAProxy serves them."""
        self.marathon.set(*apps)
        self.reconciler.poke(EVERYTHING)
        self.clock.advance(1)

    def ask(
        self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> tuple[int, str, Mapping[str, str]]:
        """A request's status, body and headers."""
        asked = self.treq.request(
            method, f"http://lb:9090{path}", data=body or None, headers=dict(headers or {})
        )
        self.agent.flush()
        response = self.successResultOf(asked)
        text = self.successResultOf(response.text())
        found = {k.decode().lower(): v[0].decode() for k, v in response.headers.getAllRawHeaders()}
        return response.code, text, found

    def get(self, path: str, status: int = 200) -> Any:
        """The JSON of an answer."""
        code, text, _ = self.ask("GET", path)
        self.assertEqual(code, status, text)
        return msgspec.json.decode(text)

    def post(self, path: str, value: Any, status: int = 200, **headers: str) -> Any:
        """The JSON of an answer to posted JSON."""
        named = {name.replace("_", "-"): text for name, text in headers.items()}
        body = value if isinstance(value, bytes) else msgspec.json.encode(value)
        code, text, _ = self.ask("POST", path, body, {"Content-Type": "application/json", **named})
        self.assertEqual(code, status, text)
        return msgspec.json.decode(text)
