"""
A conversation with HAProxy: many commands over one connection, each answer told from the next.

A socket of HAProxy does not say where an answer ends, and versions differ in how many empty lines follow one. After
``prompt`` it says a prompt after each answer (management guide, "prompt"), on the stats socket and on the master's.
There ``@1`` comes before each command, since it holds for one command alone.

Who answers is asked once in a conversation. A stats socket is its worker's own, and a master closes its connections
before it makes another worker: it executes itself anew for that, and ends with a worker that was killed.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.defer import TimeoutError as DeferredTimeout
from twisted.internet.error import ConnectError, ConnectionClosed
from twisted.internet.interfaces import IReactorTime, IStreamClientEndpoint
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure
from zope.interface import Interface, implementer

from marathonlb.errors import HAProxyUnavailable
from marathonlb.haproxy.process.master import parse_processes
from marathonlb.haproxy.runtime.oneshot import MAX_COMMAND, NO_TARGET

TIMEOUT = 5.0
"""Seconds without a single answer after which HAProxy does not answer any more."""

_PROMPT_END = b"> "
_MASTERS_NAME = re.compile(rb"master(?:\(\w+\))?(?:\[[^\]\n]*\])?")
_NO_NAME = re.compile(rb"")
_PAYLOAD_PROMPTS = re.compile(r"(?:\+ )+")
_PID = re.compile(r"^Pid: (\d+)$", re.MULTILINE)


class ITalk(Interface):
    """A conversation with the worker that takes new connections."""

    def pid(*, anew: bool = False) -> Deferred[int]:
        """
        The worker's process id, which is asked once: a conversation ends when another worker comes.

        :param anew: ask, though it is known; an end that has come and was not noticed yet shows then.

        Fails with `HAProxyUnavailable`.
        """

    def say(commands: Sequence[str]) -> Deferred[list[str]]:
        """
        Say commands, one after another.

        :param commands: each below `MAX_COMMAND` bytes. One that ends in ``<<`` and a newline has its payload after it,
            whole lines, none of them empty.
        :return: the answer to each, without the newlines around it.

        Fails with `HAProxyUnavailable`; then nobody knows which of them were carried out.
        """

    def close() -> None:
        """Hang up."""


class _Lines(Protocol):
    """
    Collects answers, told apart by prompts.

    :param name: what stands before ``>`` in a prompt.
    """

    def __init__(self, clock: IReactorTime, name: re.Pattern[bytes]) -> None:
        self._clock = clock
        self._name = name
        self._heard = bytearray()
        self._searched = 0
        self._answers: list[str] = []
        self._waiting: Deferred[list[str]] | None = None
        self._wanted = 0
        self._lost: str | None = None

    @property
    def over(self) -> bool:
        """Whether no answer comes any more."""
        return self._lost is not None

    def ask(self, data: bytes, count: int) -> Deferred[list[str]]:
        """Send this, and wait for so many answers."""
        self._answers, self._wanted = [], count
        waiting = self._waiting = Deferred(lambda _: self._give_up())
        if self._lost is not None:
            self._fail()
            return waiting
        transport: Any = self.transport
        transport.write(data)
        self._limit = self._clock.callLater(TIMEOUT, self._time_over)
        return waiting

    def dataReceived(self, data: bytes) -> None:
        """Cut what was heard at the prompts."""
        self._heard += data
        begin = 0
        end = self._heard.find(_PROMPT_END, self._searched)
        while end >= 0:
            line = max(begin, self._heard.rfind(b"\n", begin, end) + 1)
            if self._name.fullmatch(self._heard, line, end):
                answer = self._heard[begin:line].decode("utf-8", "replace")
                self._answers.append(_PAYLOAD_PROMPTS.sub("", answer, count=1).strip("\n"))
                begin = end + len(_PROMPT_END)
            end = self._heard.find(_PROMPT_END, end + len(_PROMPT_END))
        del self._heard[:begin]
        self._searched = max(0, len(self._heard) - 1)
        if self._waiting is None:
            return
        # While there is no worker, HAProxy 3.4 swallows what was written after the command that it says so of.
        nobody = bool(self._answers) and self._answers[-1].startswith(NO_TARGET)
        if nobody or len(self._answers) >= self._wanted:
            waiting, self._waiting = self._waiting, None
            self._limit.cancel()
            waiting.callback(self._answers)
        elif self._limit.active():
            self._limit.reset(TIMEOUT)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """No answer comes any more."""
        self._lost = reason.getErrorMessage()
        self._fail()

    def _give_up(self) -> None:
        self._waiting = None
        self._limit.cancel()
        self.hang_up()

    def hang_up(self) -> None:
        """End at once."""
        transport: Any = self.transport
        if transport is not None:
            transport.abortConnection()

    def _time_over(self) -> None:
        self._lost = f"no answer within {TIMEOUT:g} s"
        self.hang_up()
        self._fail()

    def _fail(self) -> None:
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            if getattr(self, "_limit", None) is not None and self._limit.active():
                self._limit.cancel()
            waiting.errback(ConnectionClosed(self._lost))


@implementer(ITalk)
class Talk:
    """A conversation over a connection that is made with `open_talk`."""

    def __init__(self, lines: _Lines, name: str, prefix: str) -> None:
        self._lines = lines
        self._name = name
        self._prefix = prefix
        self._worker: int | None = None

    def pid(self, *, anew: bool = False) -> Deferred[int]:
        """See `ITalk.pid`."""
        return Deferred.fromCoroutine(self._pid(anew))

    async def _pid(self, anew: bool) -> int:
        if anew or self._worker is None or self._lines.over:
            self._worker = await self._ask_pid()
        return self._worker

    async def _ask_pid(self) -> int:
        if self._prefix:
            (answer,) = await self._ask(["show proc"])
            processes = parse_processes(answer)
            current = processes.current if processes else frozenset[int]()
            if len(current) != 1:
                raise HAProxyUnavailable(reason=f"{self._name}: the master has {len(current)} workers")
            return next(iter(current))
        (answer,) = await self._ask(["show info"])
        found = _PID.search(answer)
        if found is None:
            raise HAProxyUnavailable(reason=f"{self._name}: 'show info' names no Pid: {answer[:100]!r}")
        return int(found[1])

    def say(self, commands: Sequence[str]) -> Deferred[list[str]]:
        """See `ITalk.say`."""
        return Deferred.fromCoroutine(self._ask([self._prefix + command for command in commands]))

    async def _ask(self, commands: Sequence[str]) -> list[str]:
        if not commands:
            return []
        parts = [f"{command}\n".encode() for command in commands]
        if max(map(len, parts)) > MAX_COMMAND:
            raise ValueError("a command is more than HAProxy reads at once")
        try:
            answers = await self._lines.ask(b"".join(parts), len(parts))
        except ConnectionClosed as error:
            raise HAProxyUnavailable(reason=f"{self._name}: HAProxy hung up: {error}") from error
        if any(answer.startswith(NO_TARGET) for answer in answers):
            raise HAProxyUnavailable(reason=f"{self._name}: there is no worker")
        return answers

    def close(self) -> None:
        """See `ITalk.close`."""
        self._lines.hang_up()


async def open_talk(endpoint: IStreamClientEndpoint, clock: IReactorTime, name: str, *, master: bool) -> Talk:
    """
    Connect.

    :param name: what messages call the socket: its path.
    :param master: whether it is the master's socket.

    Raises `HAProxyUnavailable`.
    """
    lines = _Lines(clock, _MASTERS_NAME if master else _NO_NAME)
    try:
        connecting = endpoint.connect(Factory.forProtocol(lambda: lines))
        await connecting.addTimeout(TIMEOUT, clock)
        await lines.ask(b"prompt\n", 1)
    except (ConnectError, ConnectionClosed, DeferredTimeout) as error:
        raise HAProxyUnavailable(reason=f"{name}: HAProxy cannot be asked: {error}") from error
    return Talk(lines, name, "@1 " if master else "")
