"""
A client of HAProxy's runtime API, on a stats socket or on the master's socket.

`RuntimeSocket.ask` sends one command over a connection of its own; HAProxy closes it after the reply.
`RuntimeSocket.connect` opens a connection for many commands. HAProxy does not mark the end of a reply, and versions
differ in the number of empty lines after one. In interactive mode it writes a prompt after each reply (management
guide, "prompt"), on both kinds of socket. On the master's socket ``@1`` comes before each command, since it holds for
one command only.

The worker's process id is asked once per connection. A stats socket belongs to one worker, and a master closes its
connections before it makes another worker: it executes itself again for that, and ends with a worker that was killed.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.defer import TimeoutError as DeferredTimeout
from twisted.internet.endpoints import UNIXClientEndpoint
from twisted.internet.error import ConnectError, ConnectionClosed
from twisted.internet.interfaces import IReactorTime, IStreamClientEndpoint
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from marathonlb.errors import HAProxyUnavailable
from marathonlb.haproxy.runtime.interfaces import IRuntimeConnection
from marathonlb.haproxy.runtime.processes import parse_processes

MAX_COMMAND = 12_000
"""Maximum number of bytes of a command with its payload; HAProxy 2.6 silently drops one larger than its buffer."""

TIMEOUT = 5.0
"""Maximum number of seconds between two replies; after it the connection is given up."""

NO_TARGET = "Can't find the target"
"""The master's reply to a command for a worker that does not exist; 2.8 keeps the connection open after it."""

_PROMPT_END = b"> "
_MASTER_PROMPT = re.compile(rb"master(?:\(\w+\))?(?:\[[^\]\n]*\])?")
_STATS_PROMPT = re.compile(rb"")
_PAYLOAD_PROMPTS = re.compile(r"(?:\+ )+")
_PID = re.compile(r"^Pid: (\d+)$", re.MULTILINE)


class _OneReplyProtocol(Protocol):
    """
    Sends one command and collects the reply until HAProxy closes the connection.

    :ivar reply: fires with the reply; cancelling it aborts the connection.
    """

    def __init__(self, command: bytes) -> None:
        self.reply: Deferred[str] = Deferred(lambda _: self._abort())
        self._command = command
        self._received = bytearray()
        self._aborted = False

    def connectionMade(self) -> None:
        """Send the command."""
        assert self.transport is not None
        self.transport.write(self._command)

    def dataReceived(self, data: bytes) -> None:
        """Keep a part of the reply."""
        self._received += data
        if self._received.startswith(NO_TARGET.encode()) and self._received.endswith(b"\n"):
            assert self.transport is not None
            self.transport.loseConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Take what was received for the whole reply."""
        if not self._aborted:
            self.reply.callback(self._received.decode("utf-8", "replace"))

    def _abort(self) -> None:
        self._aborted = True
        transport: Any = self.transport
        if transport is not None:
            transport.abortConnection()


class _PromptProtocol(Protocol):
    """
    Sends commands and separates the replies by the prompts between them.

    :param prompt: matches the text before ``>`` in a prompt.
    """

    def __init__(self, clock: IReactorTime, prompt: re.Pattern[bytes]) -> None:
        self._clock = clock
        self._prompt = prompt
        self._received = bytearray()
        self._searched = 0
        self._replies: list[str] = []
        self._waiting: Deferred[list[str]] | None = None
        self._expected = 0
        self._lost: str | None = None

    @property
    def closed(self) -> bool:
        """True if no further reply can come."""
        return self._lost is not None

    def send(self, data: bytes, count: int) -> Deferred[list[str]]:
        """Send this, and return this number of replies. Fails with `ConnectionClosed`."""
        self._replies, self._expected = [], count
        waiting = self._waiting = Deferred(lambda _: self._cancelled())
        if self._lost is not None:
            self._fail()
            return waiting
        transport: Any = self.transport
        transport.write(data)
        self._limit = self._clock.callLater(TIMEOUT, self._timed_out)
        return waiting

    def dataReceived(self, data: bytes) -> None:
        """Split what was received at the prompts."""
        self._received += data
        start = 0
        end = self._received.find(_PROMPT_END, self._searched)
        while end >= 0:
            line = max(start, self._received.rfind(b"\n", start, end) + 1)
            if self._prompt.fullmatch(self._received, line, end):
                reply = self._received[start:line].decode("utf-8", "replace")
                self._replies.append(_PAYLOAD_PROMPTS.sub("", reply, count=1).strip("\n"))
                start = end + len(_PROMPT_END)
            end = self._received.find(_PROMPT_END, end + len(_PROMPT_END))
        del self._received[:start]
        self._searched = max(0, len(self._received) - 1)
        if self._waiting is None:
            return
        # While there is no worker, HAProxy 3.4 drops the commands after the one that it reports this for.
        no_worker = bool(self._replies) and self._replies[-1].startswith(NO_TARGET)
        if no_worker or len(self._replies) >= self._expected:
            waiting, self._waiting = self._waiting, None
            self._limit.cancel()
            waiting.callback(self._replies)
        elif self._limit.active():
            self._limit.reset(TIMEOUT)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Fail what still waits for a reply."""
        self._lost = reason.getErrorMessage()
        self._fail()

    def abort(self) -> None:
        """Close the connection at once."""
        transport: Any = self.transport
        if transport is not None:
            transport.abortConnection()

    def _cancelled(self) -> None:
        self._waiting = None
        self._limit.cancel()
        self.abort()

    def _timed_out(self) -> None:
        self._lost = f"no reply within {TIMEOUT:g} s"
        self.abort()
        self._fail()

    def _fail(self) -> None:
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            if getattr(self, "_limit", None) is not None and self._limit.active():
                self._limit.cancel()
            waiting.errback(ConnectionClosed(self._lost))


@implementer(IRuntimeConnection)
class RuntimeConnection:
    """
    A connection that `RuntimeSocket.connect` opened.

    :param prefix: stands before each command; ``@1`` and a space on the master's socket.
    """

    def __init__(self, protocol: _PromptProtocol, name: str, prefix: str) -> None:
        self._protocol = protocol
        self._name = name
        self._prefix = prefix
        self._worker: int | None = None

    def worker_pid(self, *, refresh: bool = False) -> Deferred[int]:
        """See `IRuntimeConnection.worker_pid`."""
        return Deferred.fromCoroutine(self._worker_pid(refresh))

    async def _worker_pid(self, refresh: bool) -> int:
        if refresh or self._worker is None or self._protocol.closed:
            self._worker = await self._ask_pid()
        return self._worker

    async def _ask_pid(self) -> int:
        if self._prefix:
            (reply,) = await self._send(["show proc"])
            processes = parse_processes(reply)
            current = processes.current if processes else frozenset[int]()
            if len(current) != 1:
                raise HAProxyUnavailable(reason=f"{self._name}: the master has {len(current)} workers")
            return next(iter(current))
        (reply,) = await self._send(["show info"])
        match = _PID.search(reply)
        if match is None:
            raise HAProxyUnavailable(reason=f"{self._name}: 'show info' names no Pid: {reply[:100]!r}")
        return int(match[1])

    def execute(self, commands: Sequence[str]) -> Deferred[list[str]]:
        """See `IRuntimeConnection.execute`."""
        return Deferred.fromCoroutine(self._send([self._prefix + command for command in commands]))

    async def _send(self, commands: Sequence[str]) -> list[str]:
        if not commands:
            return []
        parts = [f"{command}\n".encode() for command in commands]
        if max(map(len, parts)) > MAX_COMMAND:
            raise ValueError("a command is larger than HAProxy reads at once")
        try:
            replies = await self._protocol.send(b"".join(parts), len(parts))
        except ConnectionClosed as error:
            raise HAProxyUnavailable(
                reason=f"{self._name}: HAProxy closed the connection: {error}"
            ) from error
        if any(reply.startswith(NO_TARGET) for reply in replies):
            raise HAProxyUnavailable(reason=f"{self._name}: there is no worker")
        return replies

    def close(self) -> None:
        """See `IRuntimeConnection.close`."""
        self._protocol.abort()


class RuntimeSocket:
    """
    A socket of HAProxy's runtime API.

    :param name: the socket's path, for messages.
    :param master: True for the master's socket, where ``@1`` before a command names the worker. It waits for further
        commands until ``quit``.
    """

    def __init__(
        self, endpoint: IStreamClientEndpoint, clock: IReactorTime, name: str, *, master: bool = False
    ) -> None:
        self.name = name
        self._endpoint = endpoint
        self._clock = clock
        self._master = master

    @classmethod
    def at(cls, reactor: Any, path: str, *, master: bool = False) -> RuntimeSocket:
        """
        Return the socket at a path.

        :param reactor: provides `IReactorUNIX` and `IReactorTime`.
        """
        return cls(UNIXClientEndpoint(reactor, path), reactor, path, master=master)

    async def connect(self) -> RuntimeConnection:
        """Open a connection for many commands, which all go to the worker. Raises `HAProxyUnavailable`."""
        protocol = _PromptProtocol(self._clock, _MASTER_PROMPT if self._master else _STATS_PROMPT)
        try:
            connecting = self._endpoint.connect(Factory.forProtocol(lambda: protocol))
            await connecting.addTimeout(TIMEOUT, self._clock)
            await protocol.send(b"prompt\n", 1)
        except (ConnectError, ConnectionClosed, DeferredTimeout) as error:
            raise self._unreachable(error) from error
        return RuntimeConnection(protocol, self.name, "@1 " if self._master else "")

    def ask(self, command: str, timeout: float = TIMEOUT) -> Deferred[str]:
        """
        Send one command, with its payload if it has one, and return the whole reply.

        :param timeout: seconds to connect, and seconds until the reply is complete.
        :return: the reply without the newlines at its end; empty if HAProxy closed the connection without a reply.

        Fails with `HAProxyUnavailable` if nothing listens or no reply comes in time. Raises `ValueError` if the command
        is longer than `MAX_COMMAND`.
        """
        text = (command + ("\nquit\n" if self._master else "\n")).encode()
        if len(text) > MAX_COMMAND:
            raise ValueError(f"a command of {len(text)} bytes is larger than HAProxy reads at once")
        return Deferred.fromCoroutine(self._ask(text, timeout))

    async def _ask(self, command: bytes, timeout: float) -> str:
        protocol = _OneReplyProtocol(command)
        try:
            connecting = self._endpoint.connect(Factory.forProtocol(lambda: protocol))
            await connecting.addTimeout(timeout, self._clock)
            reply = await protocol.reply.addTimeout(timeout, self._clock)
        except DeferredTimeout as error:
            reason = f"{self.name}: HAProxy does not reply within {timeout:g} s"
            raise HAProxyUnavailable(reason=reason) from error
        except (ConnectError, ConnectionClosed) as error:
            raise self._unreachable(error) from error
        return reply.rstrip("\n")

    def _unreachable(self, error: Exception) -> HAProxyUnavailable:
        return HAProxyUnavailable(reason=f"{self.name}: HAProxy cannot be reached: {error}")
