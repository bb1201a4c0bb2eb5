"""The service: connects minimarathon's parts, and starts and stops them."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from attrs import define, field, frozen
from treq.client import HTTPClient
from twisted.application.service import Service
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.interfaces import IListeningPort
from twisted.logger import Logger
from twisted.web.client import Agent
from twisted.web.server import Site

from minimarathon.api.callbacks import Callbacks
from minimarathon.api.connections import Connections
from minimarathon.api.event_stream import Streams
from minimarathon.api.resource import ApiResource
from minimarathon.api.router import Api
from minimarathon.dialect import Dialect
from minimarathon.engine import Engine
from minimarathon.events import Bus
from minimarathon.model import App
from minimarathon.state import State
from minimarathon.tasks.addresses import Addresses
from minimarathon.tasks.health import AlwaysHealthy, HealthChecks
from minimarathon.tasks.probes import Probes
from minimarathon.tasks.processes import NoProcesses, Processes


@frozen(kw_only=True)
class Config:
    """
    The configuration of one Marathon.

    :param port: port of the API; 0 uses a free one.
    :param credentials: ``user:password`` required by the API, or None.
    :param processes: start tasks as processes; if false, tasks count as running and healthy at once.
    :param work_dir: contains each task's working directory and output.
    :param keep_alive: seconds between keep-alives of an event stream.
    :param kill_grace: seconds between SIGTERM and SIGKILL for apps without ``taskKillGracePeriodSeconds``.
    """

    dialect: Dialect = field(factory=Dialect)
    host: str = "127.0.0.1"
    port: int = 8080
    credentials: str | None = field(default=None, repr=False)
    processes: bool = True
    work_dir: Path = Path("minimarathon-work")
    task_ports: tuple[int, int] = (31000, 32000)
    keep_alive: float = 10.0
    kill_grace: float = 3.0


def unique() -> str:
    """Return a new id in Marathon's format."""
    return str(uuid.uuid1())


@define(eq=False)
class MiniMarathon(Service):
    """
    A Marathon on a TCP port.

    :param reactor: listens, connects, starts processes and provides the time.
    :param apps: the apps to deploy at the start.
    """

    reactor: Any
    config: Config
    apps: Mapping[str, App] = field(factory=dict)
    now: Callable[[], float] = time.time
    engine: Engine = field(init=False)
    resource: ApiResource = field(init=False)
    streams: Streams = field(init=False)
    callbacks: Callbacks = field(init=False)
    _port: IListeningPort | None = None
    _connections: Connections | None = None
    _log = Logger()

    def __attrs_post_init__(self) -> None:
        config, reactor = self.config, self.reactor
        bus = Bus()
        state = State(config.dialect, self.now, unique)
        if config.processes:
            runner: Any = Processes(reactor, reactor, config.work_dir.resolve(), config.kill_grace)
            health: Any = HealthChecks(Probes(reactor), reactor, self.now)
        else:
            runner, health = NoProcesses(reactor), AlwaysHealthy(reactor, self.now)
        first, last = config.task_ports
        addresses = Addresses(first=first, last=last, share=not config.processes)
        self.engine = Engine(state, bus, runner, health, addresses, reactor)
        self.streams = Streams(bus, config.dialect, reactor, state.announce.event, config.keep_alive)
        self.callbacks = Callbacks(bus, HTTPClient(Agent(reactor)), reactor)
        self.resource = ApiResource(Api(self.engine, self.callbacks), self.streams, config.credentials)

    @property
    def url(self) -> str:
        """The URL of the API; valid after the start."""
        return f"http://{self.resource.api.leader}"

    def privilegedStartService(self) -> None:
        """
        Bind the port.

        :raise twisted.internet.error.CannotListenError: if the port is in use.
        """
        site = Site(self.resource)
        site.noisy = False
        site.displayTracebacks = False
        self._connections = Connections(site)
        self._port = self.reactor.listenTCP(self.config.port, self._connections, interface=self.config.host)
        assert self._port is not None
        address = self._port.getHost()
        assert isinstance(address, IPv4Address)
        self.resource.api.leader = f"{self.config.host}:{address.port}"

    def startService(self) -> None:
        """Listen, and deploy the initial apps."""
        if self._port is None:
            self.privilegedStartService()
        super().startService()  # type: ignore[no-untyped-call]
        self._log.info(
            "serving the API of Marathon {version} on {url} with {count} apps; task output is in {directory}",
            version=self.config.dialect.release, url=self.url, count=len(self.apps),
            directory=str(self.config.work_dir),
        )  # fmt: skip
        if self.apps:
            self.engine.deploy(self.apps)

    def stopService(self) -> Deferred[None]:
        """End every stream, callback and task; the Deferred fires when no process is left."""
        super().stopService()  # type: ignore[no-untyped-call]
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        if self._port is not None:
            port, self._port = self._port, None
            await maybeDeferred(port.stopListening)
        self.streams.close()
        await self.callbacks.stop()
        await self.engine.stop()
        if self._connections is not None:
            await self._connections.end()
