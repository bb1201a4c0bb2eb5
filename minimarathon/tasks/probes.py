"""Asks a task how it is: over HTTP, TCP, or by a command in the task's environment."""

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
from minimarathon.tasks.addresses import places
from minimarathon.tasks.health import IProbes
from minimarathon.tasks.processes import LEADER, environment, outcome

#: What is read of an answer at most, in bytes; a longer one is judged by what was read.
ENOUGH = 65536


class Unwell(Exception):
    """A probe got an answer, and it was a bad one."""


class _Quiet(Factory):
    """Says nothing of every connection in the log."""

    noisy = False


@implementer(IOpenSSLClientConnectionCreator)
class _AnyCertificate:
    """HTTPS checks ask whether a task answers, as Marathon's do, not who it is."""

    def clientConnectionForTLS(self, tlsProtocol: TLSMemoryBIOProtocol) -> SSL.Connection:
        return SSL.Connection(CertificateOptions().getContext(), None)


class _Get(Protocol):
    """
    One GET on a connection of its own; of the answer only its status counts.

    It is read to its end all the same, so that no server complains of a client that went away.
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
        if (end and length and len(body) >= int(length[1])) or len(self._got) > ENOUGH:
            self._over()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._over()

    def _over(self) -> None:
        self._drop()
        if self.status.called:
            return
        found = re.match(rb"HTTP/1\.[01] (\d{3})", self._got)
        if found:
            self.status.callback(int(found[1]))
        else:
            self.status.errback(Unwell("it closed the connection without an HTTP answer"))

    def _drop(self) -> None:
        if self.transport is not None:
            self.transport.loseConnection()


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
    """
    Probes tasks of this machine.

    :param reactor: connects and starts processes.
    """

    reactor: Any
    environ: Mapping[str, str] = field(factory=lambda: dict(os.environ))

    def probe(self, check: HealthCheck, task: Task, app: App) -> Deferred[None]:
        """See `IProbes.probe`."""
        if check.protocol == "COMMAND":
            return self._command(check.command or "false", task, app)
        host, port = places(task, app)[check.port_index or 0] if app.ports else (task.host, 0)
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
            raise Unwell(f"it answered {status}")

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
