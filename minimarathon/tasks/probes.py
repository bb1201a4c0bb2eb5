"""Probes the health of a task: by HTTP, TCP, or a command in the task's environment."""

from __future__ import annotations

import os
import re
import signal
import sys
from collections.abc import Mapping
from typing import Any

from attrs import define, field
from OpenSSL import SSL
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, wrapClientTLS
from twisted.internet.error import ProcessDone
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator, IProcessTransport, ITCPTransport
from twisted.internet.protocol import Factory, ProcessProtocol, Protocol, connectionDone
from twisted.internet.ssl import CertificateOptions
from twisted.protocols.tls import TLSMemoryBIOProtocol
from twisted.python.failure import Failure
from zope.interface import implementer

from minimarathon.model import App, HealthCheck, Task
from minimarathon.tasks.addresses import port_addresses
from minimarathon.tasks.health import IProbes
from minimarathon.tasks.processes import LEADER, environment, outcome

#: Maximum number of bytes to read of a response; the rest of a longer one is ignored.
MAX_RESPONSE = 65536


class Unwell(Exception):
    """A probe received a negative response."""


class _Quiet(Factory):
    """A factory that does not log each connection."""

    noisy = False


@implementer(IOpenSSLClientConnectionCreator)
class _AnyCertificate:
    """Accepts any certificate: like Marathon's, HTTPS checks do not verify it."""

    def clientConnectionForTLS(self, tlsProtocol: TLSMemoryBIOProtocol) -> SSL.Connection:
        return SSL.Connection(CertificateOptions().getContext(), None)


class _Get(Protocol):
    """
    One GET request on its own connection; only the status of the response is used.

    The response is read to its end, so the server does not log an aborted connection.
    """

    def __init__(self, host: str, port: int, path: str) -> None:
        self.status: Deferred[int] = Deferred(lambda _: self._drop())
        self._request = (
            f"GET /{path.removeprefix('/')} HTTP/1.1\r\nHost: {host}:{port}\r\nUser-Agent: minimarathon\r\n"
            "Accept: */*\r\nConnection: close\r\n\r\n"
        ).encode("utf-8", "replace")
        self._got = b""

    def connectionMade(self) -> None:
        assert self.transport is not None
        self.transport.write(self._request)

    def dataReceived(self, data: bytes) -> None:
        self._got += data
        head, end, body = self._got.partition(b"\r\n\r\n")
        length = re.search(rb"\r\ncontent-length:\s*(\d+)", head, re.IGNORECASE)
        if (end and length and len(body) >= int(length[1])) or len(self._got) > MAX_RESPONSE:
            self._finish()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._finish()

    def _finish(self) -> None:
        self._drop()
        if self.status.called:
            return
        match = re.match(rb"HTTP/1\.[01] (\d{3})", self._got)
        if match:
            self.status.callback(int(match[1]))
        else:
            self.status.errback(Unwell("the task closed the connection without an HTTP response"))

    def _drop(self) -> None:
        if self.transport is not None:
            self.transport.loseConnection()


class _Command(ProcessProtocol):
    """A COMMAND check: healthy if it exits with 0. Cancelling kills it and the processes it started."""

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
    """
    Probes the tasks on this machine.

    :param reactor: connects and starts processes.
    """

    reactor: Any
    environ: Mapping[str, str] = field(factory=lambda: dict(os.environ))

    def probe(self, check: HealthCheck, task: Task, app: App) -> Deferred[None]:
        """See `IProbes.probe`."""
        if check.protocol == "COMMAND":
            return self._command(check.command or "false", task, app)
        host, port = port_addresses(task, app)[check.port_index or 0] if app.ports else (task.host, 0)
        port = check.port or port
        if check.protocol.endswith("TCP"):
            return Deferred.fromCoroutine(self._tcp(host, port))
        return Deferred.fromCoroutine(self._http(check, host, port))

    async def _http(self, check: HealthCheck, host: str, port: int) -> None:
        endpoint = TCP4ClientEndpoint(self.reactor, host, port)
        tls = check.protocol.endswith("HTTPS")
        get = _Get(host, port, check.path or "/")
        await (wrapClientTLS(_AnyCertificate(), endpoint) if tls else endpoint).connect(
            _Quiet.forProtocol(lambda: get)
        )
        status = await get.status
        if not 200 <= status < 400 and not (check.ignore_http1xx and status < 200):
            raise Unwell(f"HTTP status {status}")

    async def _tcp(self, host: str, port: int) -> None:
        connected = Protocol()
        await TCP4ClientEndpoint(self.reactor, host, port).connect(_Quiet.forProtocol(lambda: connected))
        transport = connected.transport
        assert ITCPTransport.providedBy(transport)
        transport.loseConnection()

    def _command(self, command: str, task: Task, app: App) -> Deferred[None]:
        protocol = _Command()
        self.reactor.spawnProcess(
            protocol,
            sys.executable,
            [sys.executable, "-I", "-S", "-c", LEADER, command],
            env=environment(task, app, self.environ),
            childFDs={1: "r", 2: "r"},
        )
        return protocol.done
