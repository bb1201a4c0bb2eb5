"""HAProxy's sockets: one command to a connection, the whole answer back."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.defer import TimeoutError as DeferredTimeout
from twisted.internet.endpoints import UNIXClientEndpoint
from twisted.internet.error import ConnectError, ConnectionClosed
from twisted.internet.interfaces import IReactorTime, IStreamClientEndpoint
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure

from marathonlb.errors import HAProxyUnavailable

MAX_COMMAND = 12_000
"""Bytes of a command with its payload; HAProxy 2.6 swallows one that is larger than its buffer without a word."""

TIMEOUT = 5.0
"""Seconds that an answer may take."""

NO_TARGET = "Can't find the target"
"""The master's answer to a command for a worker that is not there; 2.8 keeps the connection open after it."""


class _Asking(Protocol):
    """Says one command and collects what comes until HAProxy hangs up."""

    def __init__(self, command: bytes) -> None:
        self.answer: Deferred[str] = Deferred(lambda _: self._abort())
        self._command = command
        self._heard = bytearray()
        self._aborted = False

    def connectionMade(self) -> None:
        """Ask."""
        assert self.transport is not None
        self.transport.write(self._command)

    def dataReceived(self, data: bytes) -> None:
        """Keep a part of the answer."""
        self._heard += data
        if self._heard.startswith(NO_TARGET.encode()) and self._heard.endswith(b"\n"):
            assert self.transport is not None
            self.transport.loseConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """That was the whole answer."""
        if not self._aborted:
            self.answer.callback(self._heard.decode("utf-8", "replace"))

    def _abort(self) -> None:
        self._aborted = True
        transport: Any = self.transport
        if transport is not None:
            transport.abortConnection()


class Socket:
    """
    A socket of HAProxy: a stats socket, or the master's, where ``@1`` before a command names the worker.

    :param name: what messages call it: its path.
    :param master: whether it is the master's, which waits for more commands until it is told to quit.
    """

    def __init__(
        self, endpoint: IStreamClientEndpoint, clock: IReactorTime, name: str, *, master: bool = False
    ) -> None:
        self.name = name
        self._endpoint = endpoint
        self._clock = clock
        self._suffix = "\nquit\n" if master else "\n"

    @classmethod
    def at(cls, reactor: Any, path: str, *, master: bool = False) -> Socket:
        """The socket at a path."""
        return cls(UNIXClientEndpoint(reactor, path), reactor, path, master=master)

    def ask(self, command: str, timeout: float = TIMEOUT) -> Deferred[str]:
        """
        Send a command, with its payload where it has one, and wait for the answer.

        :param timeout: seconds until the answer has to be whole.
        :return: the answer without the newlines at its end; empty where HAProxy hung up without a word.

        Fails with `HAProxyUnavailable` where nobody listens or no answer comes in time. Raises `ValueError` where the
        command is longer than `MAX_COMMAND`.
        """
        text = (command + self._suffix).encode()
        if len(text) > MAX_COMMAND:
            raise ValueError(f"a command of {len(text)} bytes is more than HAProxy reads at once")
        return Deferred.fromCoroutine(self._ask(text, timeout))

    async def _ask(self, command: bytes, timeout: float) -> str:
        asking = _Asking(command)
        try:
            connecting = self._endpoint.connect(Factory.forProtocol(lambda: asking))
            connecting.addTimeout(timeout, self._clock)
            await connecting
            answer = await asking.answer.addTimeout(timeout, self._clock)
        except DeferredTimeout as error:
            raise HAProxyUnavailable(
                reason=f"{self.name}: HAProxy does not answer within {timeout:g} s"
            ) from error
        except (ConnectError, ConnectionClosed) as error:
            raise HAProxyUnavailable(reason=f"{self.name}: HAProxy cannot be asked: {error}") from error
        return answer.rstrip("\n")
