"""A factory that knows its open connections, so that a stop can end them and wait until they are gone."""

from __future__ import annotations

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IProtocolFactory, ITCPTransport
from twisted.protocols.policies import ProtocolWrapper, WrappingFactory


class Connections(WrappingFactory):
    """Wraps a factory; what its protocols see is as without it."""

    noisy = False

    def __init__(self, wrapped: IProtocolFactory) -> None:
        super().__init__(wrapped)  # type: ignore[no-untyped-call]
        self._gone: Deferred[None] | None = None

    def end(self) -> Deferred[None]:
        """Cut every connection, what is unsent included; fires when none is left."""
        if not self.protocols:
            return succeed(None)
        self._gone = Deferred()
        for connection in tuple(self.protocols):
            if ITCPTransport.providedBy(connection.transport):
                connection.transport.abortConnection()
        return self._gone

    def unregisterProtocol(self, p: ProtocolWrapper) -> None:
        """Forget a connection that was closed."""
        super().unregisterProtocol(p)  # type: ignore[no-untyped-call]
        if self._gone is not None and not self.protocols:
            gone, self._gone = self._gone, None
            gone.callback(None)
