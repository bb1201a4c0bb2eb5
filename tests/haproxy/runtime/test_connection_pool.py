"""The connection that is kept between updates."""

from __future__ import annotations

from collections.abc import Sequence

from twisted.internet.defer import Deferred, fail, succeed
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from marathonlb.config.text.model import Config
from marathonlb.errors import HAProxyUnavailable
from marathonlb.haproxy.runtime.connection_pool import RuntimeConnectionPool
from marathonlb.haproxy.runtime.interfaces import IRuntimeConnection
from tests.haproxy.samples import A


@implementer(IRuntimeConnection)
class FakeConnection:
    """A connection to a worker, which the test can break."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.broken = False
        self.closed = False
        self.executed: list[str] = []

    def worker_pid(self, *, refresh: bool = False) -> Deferred[int]:
        return fail(HAProxyUnavailable(reason="closed")) if self.broken else succeed(self.pid)

    def execute(self, commands: Sequence[str]) -> Deferred[list[str]]:
        self.executed += commands
        return fail(HAProxyUnavailable(reason="closed")) if self.broken else succeed([""] * len(commands))

    def close(self) -> None:
        self.closed = True


class ConnectionPoolTests(SynchronousTestCase):
    """`RuntimeConnectionPool`."""

    def setUp(self) -> None:
        self.opened: list[FakeConnection] = []
        self.pool = RuntimeConnectionPool(self.connect)
        self.pool.startService()  # type: ignore[no-untyped-call]

    async def connect(self, config: Config) -> IRuntimeConnection:
        self.opened.append(FakeConnection(len(self.opened) + 1))
        connection: IRuntimeConnection = self.opened[-1]
        return connection

    def get(self) -> IRuntimeConnection:
        """Take a connection from the pool."""
        connection: IRuntimeConnection = self.successResultOf(Deferred.fromCoroutine(self.pool(A)))
        return connection

    def use(self) -> int:
        """Take a connection, ask for the worker, execute a command and give the connection back."""
        connection = self.get()
        pid = self.successResultOf(connection.worker_pid())
        self.successResultOf(connection.execute(["show version"]))
        connection.close()
        return int(pid)

    def test_interface(self) -> None:
        """What the pool lends provides `IRuntimeConnection`."""
        self.assertTrue(verifyObject(IRuntimeConnection, self.get()))

    def test_kept(self) -> None:
        """A connection is used again after it was given back."""
        self.assertEqual([1, 1], [self.use(), self.use()])
        self.assertFalse(self.opened[0].closed)

    def test_one_is_kept(self) -> None:
        """Two users at a time get two connections, and the second one given back is closed."""
        one, two = self.get(), self.get()
        one.close()
        two.close()
        self.assertEqual([False, True], [connection.closed for connection in self.opened])

    def test_closed_meanwhile(self) -> None:
        """A kept connection that HAProxy has closed is replaced when the worker is asked for first."""
        self.use()
        self.opened[0].broken = True
        self.assertEqual(2, self.use())
        self.assertTrue(self.opened[0].closed)
        self.assertEqual(2, self.use())

    def test_command_is_not_repeated(self) -> None:
        """A command that fails is not sent again over another connection, and the connection is not kept."""
        self.use()
        self.opened[0].broken = True
        connection = self.get()
        self.failureResultOf(connection.execute(["disable server b/a"]), HAProxyUnavailable)
        self.failureResultOf(connection.worker_pid(), HAProxyUnavailable)
        connection.close()
        self.assertTrue(self.opened[0].closed)
        self.assertEqual(1, len(self.opened))

    def test_new_connection_that_fails(self) -> None:
        """A new connection that fails is not replaced."""
        connection = self.get()
        self.opened[0].broken = True
        self.failureResultOf(connection.worker_pid(), HAProxyUnavailable)
        self.assertEqual(1, len(self.opened))

    def test_stopped(self) -> None:
        """Stopping closes the kept connection, and none is kept after that."""
        self.use()
        self.pool.stopService()
        self.assertTrue(self.opened[0].closed)
        self.use()
        self.assertTrue(self.opened[1].closed)
