"""A protocol factory that tracks its open connections, to close them at the stop."""

from __future__ import annotations

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IProtocolFactory, ITCPTransport
from twisted.protocols.policies import ProtocolWrapper, WrappingFactory


class Connections(WrappingFactory):
    """Wraps a factory without changing its protocols, and tracks their connections."""

    noisy = False

    def __init__(self, wrapped: IProtocolFactory) -> None:
        super().__init__(wrapped)  # type: ignore[no-untyped-call]
        self._gone: Deferred[None] | None = None

    def end(self) -> Deferred[None]:
        """Abort every connection, discarding unsent data; the Deferred fires when all are closed."""
        if not self.protocols:
            return succeed(None)
        self._gone = Deferred()
        for connection in tuple(self.protocols):
            if ITCPTransport.providedBy(connection.transport):
                connection.transport.abortConnection()
        return self._gone

    def unregisterProtocol(self, p: ProtocolWrapper) -> None:
        """Remove a closed connection."""
        super().unregisterProtocol(p)  # type: ignore[no-untyped-call]
        if self._gone is not None and not self.protocols:
            gone, self._gone = self._gone, None
            gone.callback(None)
