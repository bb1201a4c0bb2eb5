"""Health checks: what a result means (pure), the probes that get one, and the loop that asks again and again."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Mapping
from typing import Any

import treq
from attrs import define, evolve, field
from OpenSSL import SSL
from treq.client import HTTPClient
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.error import ConnectError, ProcessDone
from twisted.internet.interfaces import (
    IOpenSSLClientConnectionCreator,
    IProcessTransport,
    IReactorProcess,
    IReactorTime,
)
from twisted.internet.protocol import Factory, ProcessProtocol, Protocol
from twisted.internet.ssl import CertificateOptions
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.protocols.tls import TLSMemoryBIOProtocol
from twisted.python.failure import Failure
from twisted.web.client import Agent
from twisted.web.http_headers import Headers
from twisted.web.iweb import IPolicyForHTTPS
from zope.interface import Interface, implementer

from minimarathon.addresses import places
from minimarathon.model import App, Health, HealthCheck, Task
from minimarathon.processes import LEADER, environment, outcome

#: Which check, its results, and whether the task is to be killed for them.
Report = Callable[[int, Health, bool], None]


def judge(
    had: Health | None, cause: str | None, now: float, check: HealthCheck, age: float
) -> tuple[Health | None, bool]:
    """
    What one more result makes of a task's health.

    A failure in the grace period counts for nothing as long as the check never succeeded.

    :param cause: why it failed; None where it succeeded.
    :param now: seconds since the epoch.
    :param age: seconds since the task runs.
    :return: the health, None where there still is none, and whether the task is to be killed.
    """
    known = had or Health()
    if cause is None:
        first = now if known.first_success is None else known.first_success
        return evolve(known, alive=True, failures=0, first_success=first, last_success=now), False
    if age < check.grace and known.first_success is None:
        return had, False
    failures = known.failures + 1
    hopeless = 0 < check.max_failures <= failures
    return evolve(known, alive=False, failures=failures, last_failure=now, cause=cause), hopeless


class IHealth(Interface):
    """Watches the health of tasks."""

    def watch(task: Task, app: App, report: Report) -> None:
        """Check a running task by its app's checks from now on; `report` is called later, never from within."""

    def forget(task_id: str) -> None:
        """Check it no more; nothing for one that is not watched."""

    def stop() -> None:
        """Check nothing any more."""


class IProbes(Interface):
    """Asks a task how it is."""

    def probe(check: HealthCheck, task: Task, app: App) -> Deferred[None]:
        """Fires when the task is well, fails with the reason when not. May be cancelled; knows no time limit."""


class Unwell(Exception):
    """A probe got an answer, and it was a bad one."""


@implementer(IHealth)
@define(eq=False)
class AlwaysHealthy:
    """For tasks that have no process: every check succeeds, once, in the clock's next turn."""

    clock: IReactorTime
    now: Callable[[], float]
    _calls: dict[str, list[Any]] = field(factory=dict)

    def watch(self, task: Task, app: App, report: Report) -> None:
        """See `IHealth.watch`."""
        now = self.now()
        health = Health(alive=True, first_success=now, last_success=now)
        self._calls[task.id] = [
            self.clock.callLater(0, report, index, health, False) for index in range(len(task.checks))
        ]

    def forget(self, task_id: str) -> None:
        """See `IHealth.forget`."""
        for call in self._calls.pop(task_id, ()):
            if call.active():
                call.cancel()

    def stop(self) -> None:
        """See `IHealth.stop`."""
        for task_id in tuple(self._calls):
            self.forget(task_id)


@define(eq=False)
class _Watch:
    """One check of one task, again and again; the next never begins before the last is over."""

    probes: IProbes
    clock: IReactorTime
    now: Callable[[], float]
    task: Task
    app: App
    index: int
    report: Report
    _began: float = 0
    _had: Health | None = None
    _asking: Deferred[None] | None = None
    _loop: LoopingCall = field(init=False)
    _stopped: bool = False
    _log = Logger()

    def begin(self) -> None:
        self._began = self.clock.seconds()
        self._loop = LoopingCall(self._ask)
        self._loop.clock = self.clock
        interval = max(0.05, self.task.checks[self.index].interval)
        done = self._loop.start(interval, now=False)
        done.addErrback(lambda failure: self._log.failure("a health check stopped; restart minimarathon", failure))

    def _ask(self) -> Deferred[None]:
        check = self.task.checks[self.index]
        asking = self._asking = self.probes.probe(check, self.task, self.app)
        asking.addTimeout(check.timeout, self.clock)
        return asking.addCallbacks(lambda _: self._result(None), self._failed)

    def _failed(self, failure: Failure) -> None:
        if not self._stopped:
            self._result(failure.getErrorMessage() or repr(failure.value))

    def _result(self, cause: str | None) -> None:
        self._asking = None
        age = self.clock.seconds() - self._began
        health, hopeless = judge(self._had, cause, self.now(), self.task.checks[self.index], age)
        if health is not None and not self._stopped:
            self._had = health
            self.report(self.index, health, hopeless)

    def end(self) -> None:
        self._stopped = True
        if self._loop.running:
            self._loop.stop()
        if self._asking is not None:
            self._asking.cancel()


@implementer(IHealth)
@define(eq=False)
class HealthChecks:
    """
    Checks running tasks.

    :param now: seconds since the epoch.
    """

    probes: IProbes
    clock: IReactorTime
    now: Callable[[], float]
    _watches: dict[str, list[_Watch]] = field(factory=dict)

    def watch(self, task: Task, app: App, report: Report) -> None:
        """See `IHealth.watch`."""
        watches = [
            _Watch(self.probes, self.clock, self.now, task, app, index, report)
            for index in range(len(task.checks))
        ]
        self._watches[task.id] = watches
        for one in watches:
            one.begin()

    def forget(self, task_id: str) -> None:
        """See `IHealth.forget`."""
        for one in self._watches.pop(task_id, ()):
            one.end()

    def stop(self) -> None:
        """See `IHealth.stop`."""
        for task_id in tuple(self._watches):
            self.forget(task_id)


@implementer(IPolicyForHTTPS, IOpenSSLClientConnectionCreator)
class _AnyCertificate:
    """HTTPS checks ask whether a task answers, as Marathon's do, not who it is."""

    def creatorForNetloc(self, hostname: bytes, port: int) -> _AnyCertificate:
        return self

    def clientConnectionForTLS(self, tls: TLSMemoryBIOProtocol) -> SSL.Connection:
        return SSL.Connection(CertificateOptions().getContext(), None)


class _Command(ProcessProtocol):
    """A COMMAND check: well where it exits with 0. Cancelling ends it with everything it started."""

    def __init__(self) -> None:
        self.done: Deferred[None] = Deferred(self._kill)
        self.transport: IProcessTransport | None = None

    def _kill(self, _: Deferred[None]) -> None:
        if self.transport is not None and self.transport.pid is not None:
            try:
                os.killpg(int(self.transport.pid), signal.SIGKILL)
            except ProcessLookupError:
                self.transport.signalProcess("KILL")

    def processEnded(self, reason: Failure) -> None:
        if self.done.called:
            return
        if reason.check(ProcessDone):
            self.done.callback(None)
        else:
            self.done.errback(Unwell(outcome(reason).reason))


@implementer(IProbes)
@define(eq=False)
class Probes:
    """Asks over the network, or by a command in the task's environment."""

    reactor: Any
    environ: Mapping[str, str] = field(factory=lambda: dict(os.environ))
    _client: HTTPClient = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._client = HTTPClient(Agent(self.reactor, _AnyCertificate(), connectTimeout=20))

    def probe(self, check: HealthCheck, task: Task, app: App) -> Deferred[None]:
        """See `IProbes.probe`."""
        if check.protocol == "COMMAND":
            return self._command(check.command or "false", task, app)
        host, port = places(task, app)[check.port_index or 0] if app.ports else (task.host, 0)
        port = check.port or port
        if check.protocol.endswith("TCP"):
            return Deferred.fromCoroutine(self._tcp(host, port))
        scheme = "https" if check.protocol.endswith("HTTPS") else "http"
        path = check.path or "/"
        url = f"{scheme}://{host}:{port}/{path.removeprefix('/')}"
        return Deferred.fromCoroutine(self._http(url, check.ignore_http1xx))

    async def _http(self, url: str, ignore_1xx: bool) -> None:
        try:
            response = await self._client.get(url, allow_redirects=False, headers=Headers({"Connection": ["close"]}))
        except ConnectError as error:
            raise Unwell(f"ConnectionAttemptFailedException: {error}") from error
        await treq.content(response)
        if not 200 <= response.code < 400 and not (ignore_1xx and response.code < 200):
            raise Unwell(f"{response.code} {response.phrase.decode('ascii', 'replace')}")

    async def _tcp(self, host: str, port: int) -> None:
        endpoint = TCP4ClientEndpoint(self.reactor, host, port)
        protocol = await endpoint.connect(Factory.forProtocol(Protocol))
        assert isinstance(protocol, Protocol) and protocol.transport is not None
        protocol.transport.loseConnection()

    def _command(self, command: str, task: Task, app: App) -> Deferred[None]:
        protocol = _Command()
        reactor: IReactorProcess = self.reactor
        reactor.spawnProcess(
            protocol,
            sys.executable,
            [sys.executable, "-I", "-S", "-c", LEADER, command],
            env=environment(task, app, self.environ),
            childFDs={1: "r", 2: "r"},
        )
        return protocol.done


