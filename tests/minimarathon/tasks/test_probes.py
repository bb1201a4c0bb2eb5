"""Health probes, on a reactor in memory."""

from __future__ import annotations

import sys
from typing import Any

from attrs import evolve
from twisted.internet.error import ConnectionRefusedError
from twisted.internet.interfaces import ITCPTransport
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import alsoProvides
from zope.interface.verify import verifyObject

from minimarathon.model import HealthCheck
from minimarathon.tasks.health import IProbes
from minimarathon.tasks.probes import MAX_RESPONSE, Probes, Unwell
from tests.fakes.processes import FakeSpawner
from tests.minimarathon.clusters import app, task


class ProbeTests(SynchronousTestCase):
    """`Probes`."""

    def setUp(self) -> None:
        self.reactor = MemoryReactorClock()
        self.probes = Probes(self.reactor, {"PATH": "/bin"})
        self.task = evolve(task("a"), ports=(31000, 31001))
        self.app = app(ports=[0, 0])

    def probe(self, **check: Any) -> Any:
        return self.probes.probe(HealthCheck(**check), self.task, self.app)

    def connect(self) -> tuple[Any, StringTransport]:
        """Accept the connection."""
        factory = self.reactor.tcpClients[-1][2]
        protocol, transport = factory.buildProtocol(None), StringTransport()
        alsoProvides(transport, ITCPTransport)
        transport.protocol = protocol
        protocol.makeConnection(transport)
        return protocol, transport

    def get(self, response: bytes, **check: Any) -> Any:
        probing = self.probe(path="/health", **check)
        protocol, _ = self.connect()
        protocol.dataReceived(response)
        protocol.connectionLost(Failure(ConnectionRefusedError()))
        return probing

    def test_interface(self) -> None:
        """They are `IProbes`."""
        self.assertTrue(verifyObject(IProbes, self.probes))

    def test_request(self) -> None:
        """A HTTP check is a GET of its path at the task's port, and is over with the last byte of the response."""
        probing = self.probe(path="/health", port_index=1)
        self.assertEqual(("127.0.0.1", 31001), self.reactor.tcpClients[-1][:2])
        protocol, transport = self.connect()
        self.assertTrue(transport.value().startswith(b"GET /health HTTP/1.1\r\nHost: 127.0.0.1:31001\r\n"))
        protocol.dataReceived(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\no")
        self.assertNoResult(probing)
        protocol.dataReceived(b"k")
        self.assertIsNone(self.successResultOf(probing))
        self.assertTrue(transport.disconnecting)

    def test_statuses(self) -> None:
        """Statuses from 200 to 399 are healthy, others not; 1xx is ignored if the check says so."""
        for status in (200, 302, 399):
            self.assertIsNone(self.successResultOf(self.get(b"HTTP/1.1 %d x\r\n\r\n" % status)))
        for status in (404, 500, 101):
            error = self.failureResultOf(self.get(b"HTTP/1.1 %d x\r\n\r\n" % status), Unwell)
            self.assertIn(str(status), error.getErrorMessage())
        self.assertIsNone(self.successResultOf(self.get(b"HTTP/1.1 101 x\r\n\r\n", ignore_http1xx=True)))

    def test_no_response(self) -> None:
        """A connection that closes without a response is unhealthy, and so is one that is refused."""
        self.failureResultOf(self.get(b""), Unwell)
        self.failureResultOf(self.get(b"nonsense"), Unwell)
        probing = self.probe(path="/")
        self.reactor.tcpClients[-1][2].clientConnectionFailed(None, Failure(ConnectionRefusedError()))
        self.failureResultOf(probing, ConnectionRefusedError)

    def test_endless_response(self) -> None:
        """Of an endless response a bounded part is read."""
        probing = self.probe(path="/")
        protocol, transport = self.connect()
        protocol.dataReceived(b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * MAX_RESPONSE)
        self.assertIsNone(self.successResultOf(probing))
        self.assertTrue(transport.disconnecting)

    def test_fixed_port(self) -> None:
        """A check may name a port of its own."""
        self.probe(path="/", port=8080)
        self.assertEqual(("127.0.0.1", 8080), self.reactor.tcpClients[-1][:2])

    def test_tcp(self) -> None:
        """A TCP check succeeds with the connection."""
        probing = self.probe(protocol="TCP")
        _, transport = self.connect()
        self.assertIsNone(self.successResultOf(probing))
        self.assertTrue(transport.disconnecting)

    def test_command(self) -> None:
        """A command is run in the task's environment, and its exit status decides."""
        spawner = FakeSpawner()
        self.probes = Probes(spawner, {"PATH": "/bin"})
        good = self.probe(protocol="COMMAND", command="true")
        bad = self.probe(protocol="COMMAND", command="false")
        first, second = spawner.processes
        self.assertEqual((sys.executable, "true"), (first.argv[0], first.argv[-1]))
        self.assertEqual(("31000", "/bin"), (first.env["PORT0"], first.env["PATH"]))
        first.end(0)
        second.end(1)
        self.assertIsNone(self.successResultOf(good))
        self.assertIn("status 1", self.failureResultOf(bad, Unwell).getErrorMessage())
