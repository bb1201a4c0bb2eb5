"""A fake runtime API socket with replies that the test sets."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.error import ConnectionDone, ConnectionRefusedError
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from zope.interface import implementer

Answer = str | None


class _Transport(StringTransport):
    """Passes written data to the fake, and closes like a socket."""

    def __init__(self, heard: Callable[[_Transport, str], None]) -> None:
        super().__init__()
        self._heard = heard
        self.protocol: Any = None

    def write(self, data: bytes) -> None:
        super().write(data)
        self._heard(self, data.decode())

    def say(self, text: str) -> None:
        self.protocol.dataReceived(text.encode())

    def hang_up(self) -> None:
        self.protocol.connectionLost(Failure(ConnectionDone()))

    def loseConnection(self) -> None:
        self.hang_up()

    def abortConnection(self) -> None:
        self.hang_up()


@implementer(IStreamClientEndpoint)
class FakeSocket:
    """
    Replies to each command by a function and closes the connection.

    :param answer: returns the reply to a command without its ``quit``; None sends no reply.
    :ivar asked: the commands.
    :ivar listening: True if connections are accepted.
    """

    def __init__(self, answer: Callable[[str], Answer]) -> None:
        self.asked: list[str] = []
        self.said: list[str] = []
        self.listening = True
        self.last: _Transport | None = None
        self._answer = answer

    def connect(self, protocolFactory: Any) -> Deferred[Any]:
        if not self.listening:
            return fail(ConnectionRefusedError())
        protocol = protocolFactory.buildProtocol(None)
        self.last = transport = _Transport(self._heard)
        transport.protocol = protocol
        protocol.makeConnection(transport)
        return succeed(protocol)

    def _heard(self, transport: _Transport, text: str) -> None:
        self.said.append(text)
        command = text.removesuffix("\nquit\n").removesuffix("\n")
        self.asked.append(command)
        answer = self._answer(command)
        if answer is not None:
            if answer:
                transport.say(answer)
            transport.hang_up()
