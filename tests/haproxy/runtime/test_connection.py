"""The client of the runtime API: replies separated at prompts, however they are split, and single commands."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectionDone, ConnectionRefusedError
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from marathonlb.errors import HAProxyUnavailable
from marathonlb.haproxy.runtime.connection import (
    MAX_COMMAND,
    NO_TARGET,
    TIMEOUT,
    RuntimeConnection,
    RuntimeSocket,
)
from tests.fakes.sockets import FakeSocket

ANSWERS = (
    b"2.8.25\n\nmaster> "
    b"New server registered.\n\nmaster> "
    b"\nmaster> "
    b"No such backend.\nmaster> "
    b"+ + + \nmaster> "
    b"a > b\n> c\n\nmaster[ReloadFailed]> "
)
PROCESSES = (
    b"#<PID> <type> <reloads> <uptime> <version>\n10 master 3 [failed: 0] 0d00h00m09s 2.8\n"
    b"# workers\n16 worker 0 0d00h00m09s 2.8\n# old workers\n12 worker 1 0d00h01m09s 2.8\n# programs\n\nmaster> "
)
SAID = ["2.8.25", "New server registered.", "", "No such backend.", "", "a > b\n> c"]
COMMANDS = [
    "show version",
    "add server b/a 1.2.3.4:5",
    "enable server b/a",
    "x",
    "add map m <<\na b\nc d\n",
    "y",
]


class Endpoint:
    """Connects to a transport in memory, or refuses."""

    def __init__(self, *, refuses: bool = False) -> None:
        self.transport = StringTransport()
        self.refuses = refuses
        self.protocol: Any = None

    def connect(self, factory: Any) -> Deferred[Any]:
        connected: Deferred[Any] = Deferred()
        if self.refuses:
            connected.errback(ConnectionRefusedError())
            return connected
        self.protocol = factory.buildProtocol(None)
        self.protocol.makeConnection(self.transport)
        connected.callback(self.protocol)
        return connected


class ConnectionTests(SynchronousTestCase):
    """`RuntimeConnection` through the master's socket."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.endpoint = Endpoint()
        opening = self.open()
        self.assertEqual(self.heard(), b"prompt\n")
        self.endpoint.protocol.dataReceived(b"master> ")
        self.connection = self.successResultOf(opening)

    def open(self, *, master: bool = True) -> Deferred[RuntimeConnection]:
        endpoint: Any = self.endpoint
        socket = RuntimeSocket(endpoint, self.clock, "a.sock", master=master)
        return Deferred.fromCoroutine(socket.connect())

    def heard(self) -> bytes:
        said = self.endpoint.transport.value()
        self.endpoint.transport.clear()
        return bytes(said)

    def test_no_worker_in_between(self) -> None:
        """Where there is no worker nothing more is waited for: HAProxy 3.4 swallows what was said after that."""
        waiting = self.connection.execute(["show version", "add server help"])
        self.endpoint.protocol.dataReceived(b"Can't find the target PID matching the prefix '@1'\nmaster> ")
        self.assertIn("there is no worker", str(self.failureResultOf(waiting, HAProxyUnavailable).value))

    def test_prefix(self) -> None:
        """Each command is for the worker."""
        self.connection.execute(["show version", "show map"]).addErrback(lambda _: None)
        self.assertEqual(self.heard(), b"@1 show version\n@1 show map\n")

    def test_cut_anywhere(self) -> None:
        """Each answer is told from the next, wherever the bytes are cut; an answer may hold what a prompt ends with."""
        for cut in range(len(ANSWERS) + 1):
            waiting = self.connection.execute(COMMANDS)
            self.endpoint.protocol.dataReceived(ANSWERS[:cut])
            self.endpoint.protocol.dataReceived(ANSWERS[cut:])
            self.assertEqual(self.successResultOf(waiting), SAID, cut)

    def test_byte_by_byte(self) -> None:
        """Even byte by byte."""
        waiting = self.connection.execute(COMMANDS)
        for byte in ANSWERS:
            self.assertNoResult(waiting)
            self.endpoint.protocol.dataReceived(bytes([byte]))
        self.assertEqual(self.successResultOf(waiting), SAID)

    def test_time_over(self) -> None:
        """No answer in time ends it; one that goes on is waited for."""
        waiting = self.connection.execute(["show servers state"])
        for _ in range(3):
            self.clock.advance(TIMEOUT - 1)
            self.endpoint.protocol.dataReceived(b"line\n")
        self.assertNoResult(waiting)
        self.clock.advance(TIMEOUT)
        self.failureResultOf(waiting, HAProxyUnavailable)
        self.assertTrue(self.endpoint.transport.disconnected)
        self.failureResultOf(self.connection.execute(["show version"]), HAProxyUnavailable)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_given_up(self) -> None:
        """Giving up hangs up."""
        waiting = self.connection.execute(["show version"])
        waiting.cancel()
        self.failureResultOf(waiting, CancelledError)
        self.assertTrue(self.endpoint.transport.disconnected)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_no_worker(self) -> None:
        """A master without a worker is nobody to talk to."""
        waiting = self.connection.execute(["show version"])
        self.endpoint.protocol.dataReceived(b"Can't find the target PID matching the prefix '@1'\nmaster> ")
        self.failureResultOf(waiting, HAProxyUnavailable)

    def test_pid(self) -> None:
        """The worker is the one that takes new connections; who that is is asked once, or where it has to be sure."""
        for again in ({}, {"refresh": True}):
            waiting = self.connection.worker_pid(**again)
            self.assertEqual(self.heard(), b"show proc\n")
            self.endpoint.protocol.dataReceived(PROCESSES)
            self.assertEqual(self.successResultOf(waiting), 16)
            self.assertEqual(self.successResultOf(self.connection.worker_pid()), 16)
            self.assertEqual(self.heard(), b"")

    def test_pid_when_it_is_over(self) -> None:
        """Who the worker was is not said any more when the conversation is over."""
        waiting = self.connection.worker_pid()
        self.endpoint.protocol.dataReceived(PROCESSES)
        self.successResultOf(waiting)
        self.endpoint.protocol.connectionLost(Failure(ConnectionDone()))
        self.failureResultOf(self.connection.worker_pid(), HAProxyUnavailable)

    def test_pid_of_a_stats_socket(self) -> None:
        """A stats socket is the worker's own."""
        self.endpoint = Endpoint()
        opening = self.open(master=False)
        self.endpoint.protocol.dataReceived(b"\n> ")
        connection = self.successResultOf(opening)
        self.heard()
        waiting = connection.worker_pid()
        self.assertEqual(self.heard(), b"show info\n")
        self.endpoint.protocol.dataReceived(b"Name: HAProxy\nPid: 6506\nUptime: 1\n\n> ")
        self.assertEqual(self.successResultOf(waiting), 6506)

    def test_refused(self) -> None:
        """Where nobody listens there is no conversation."""
        self.endpoint = Endpoint(refuses=True)
        self.failureResultOf(self.open(), HAProxyUnavailable)

    def test_silent(self) -> None:
        """Where nobody says a prompt there is none, either."""
        self.endpoint = Endpoint()
        opening = self.open()
        self.clock.advance(TIMEOUT)
        self.failureResultOf(opening, HAProxyUnavailable)
        self.assertTrue(self.endpoint.transport.disconnected)


class OneCommandTests(SynchronousTestCase):
    """`RuntimeSocket.ask`: one command, the whole reply."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.answers: dict[str, str | None] = {"show version": "2.8.25\n\n"}
        self.fake = FakeSocket(self.answers.get)
        self.socket = RuntimeSocket(self.fake, self.clock, "/run/stats.sock")

    def test_answer(self) -> None:
        """The answer comes without the newlines at its end."""
        self.assertEqual(self.successResultOf(self.socket.ask("show version")), "2.8.25")
        self.assertEqual(self.fake.said, ["show version\n"])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_master_is_told_to_quit(self) -> None:
        """The master waits for more commands, so it is told that there are none."""
        self.successResultOf(RuntimeSocket(self.fake, self.clock, "m", master=True).ask("show version"))
        self.assertEqual(self.fake.said, ["show version\nquit\n"])

    def test_pieces(self) -> None:
        """An answer that comes in pieces, split within a character too, is put together."""
        asking = self.socket.ask("show map")
        assert self.fake.last is not None
        for piece in ("0x1 ä".encode()[:5], "0x1 ä".encode()[5:], b" b\n\n"):
            self.fake.last.protocol.dataReceived(piece)
        self.assertNoResult(asking)
        self.fake.last.hang_up()
        self.assertEqual(self.successResultOf(asking), "0x1 ä b")

    def test_no_such_worker(self) -> None:
        """2.8 keeps the connection after it found no worker; the answer is taken all the same."""
        asking = self.socket.ask("@99 show version")
        assert self.fake.last is not None
        self.fake.last.say(f"{NO_TARGET} PID matching the prefix '@99'\n")
        self.assertEqual(self.successResultOf(asking), "Can't find the target PID matching the prefix '@99'")

    def test_silence(self) -> None:
        """Silence is an error after the time that was given, which says whose it was."""
        asking = self.socket.ask("show map", timeout=3)
        self.clock.advance(3)
        error = self.failureResultOf(asking, HAProxyUnavailable).value
        self.assertEqual(str(error), "/run/stats.sock: HAProxy does not reply within 3 s")

    def test_nobody(self) -> None:
        """Where nobody listens the error says so."""
        self.fake.listening = False
        error = self.failureResultOf(self.socket.ask("show map"), HAProxyUnavailable).value
        self.assertIn("/run/stats.sock: HAProxy cannot be reached", str(error))

    def test_too_long(self) -> None:
        """A command that HAProxy would silently drop is never sent."""
        self.assertRaises(ValueError, self.socket.ask, "x" * MAX_COMMAND)
        self.assertEqual(self.fake.said, [])
