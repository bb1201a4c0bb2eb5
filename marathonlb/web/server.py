"""
The controller's socket in the state directory, where HAProxy hands over what is the controller's.

It speaks the PROXY protocol, so that the client's address is what HAProxy says. The socket is bound beside its place
and renamed into it: HAProxy meets the socket before or this one, never none, also where a controller that was killed
has left one behind.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from contextlib import suppress
from io import BytesIO
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IDelayedCall, IListeningPort
from twisted.logger import Logger
from twisted.protocols.haproxy._wrapper import HAProxyWrappingFactory
from twisted.web import http
from twisted.web.server import Request, Site

from marathonlb.errors import PublishFailed
from marathonlb.haproxy.files.sockets import listener
from marathonlb.web.callback.resource import BoundedContent
from marathonlb.web.connections import BoundedChannel, Connections, fair_share
from marathonlb.web.router import LIMIT, Router

AGAIN = 10.0
"""Seconds after which a socket that could not be bound is tried again."""

MODE = 0o660
"""Whoever may connect can say that it is anyone, so this is for our user and group, which HAProxy has to belong to."""


class PageRequest(Request):
    """A request whose body is bounded, and is never taken apart as a form."""

    def gotLength(self, length: int | None) -> None:
        """Called when the headers are in; the body comes next, or is not wanted."""
        self.content = BoundedContent(length, LIMIT, BytesIO)  # so small that no disk is needed
        channel: BoundedChannel = self.channel  # type: ignore[assignment]
        if length != 0 and (answer := channel.site.root.early(self, length)):
            channel.refuse(self, answer)

    def requestReceived(self, command: bytes, path: bytes, version: bytes) -> None:
        """The body is in; a form is no form here, whatever it says."""
        kinds = self.requestHeaders.getRawHeaders(b"content-type")
        if kinds and kinds[0].lower().startswith((b"application/x-www-form-urlencoded", b"multipart/")):
            self.requestHeaders.removeHeader(b"content-type")
        super().requestReceived(command, path, version)  # type: ignore[no-untyped-call]


class PageSite(Site):
    """
    The site of the pages; requests are not logged, since whatever they change is.

    :param reactor: provides `IReactorTime`; the global one where none is given.
    """

    displayTracebacks = False
    protocol = BoundedChannel  # type: ignore[assignment]  # not the one that may turn into HTTP/2

    def __init__(self, root: Router, reactor: Any = None, connections: Connections | None = None) -> None:
        super().__init__(root, requestFactory=PageRequest, reactor=reactor)  # type: ignore[no-untyped-call]
        self.root = root
        self.connections = Connections(fair_share()) if connections is None else connections

    def log(self, request: http.Request) -> None:
        """Nothing."""


class WebServer(Service):
    """
    Listens on the socket while it runs.

    A socket that cannot be bound costs the pages and nothing else; it is tried again.

    :param path: gives the socket's path; raises `PublishFailed` where there can be none.
    :param root: the pages.
    :param reactor: provides `IReactorUNIX` and `IReactorTime`.
    :param owner: the user that HAProxy's worker runs as, where that is another one than ours.
    """

    name = "web"
    _log = Logger()

    def __init__(self, path: Callable[[], str], root: Router, reactor: Any, owner: int | None = None) -> None:
        self._path = path
        self._owner = owner
        self._root = root
        self._factory = HAProxyWrappingFactory(PageSite(root, reactor))
        self._factory.noisy = False
        self._reactor = reactor
        self._port: IListeningPort | None = None
        self._bound: tuple[str, int] | None = None
        self._again: IDelayedCall | None = None

    def startService(self) -> None:
        """Listen, or try to until it can be done."""
        super().startService()  # type: ignore[no-untyped-call]
        self._try()

    def stopService(self) -> Deferred[object]:
        """Listen no more; fires when that is so."""
        super().stopService()  # type: ignore[no-untyped-call]
        if self._again is not None and self._again.active():
            self._again.cancel()
        port, self._port = self._port, None
        if port is None:
            return maybeDeferred(lambda: None)
        self._take_away()
        self._root.close()
        for each in tuple(self._factory.protocols):
            each.loseConnection()
        return maybeDeferred(port.stopListening)

    def _try(self) -> None:
        try:
            self._listen()
        except (CannotListenError, OSError, PublishFailed) as error:
            self._log.error(
                "The stats address cannot show the controller's pages: {error}. What is served goes on; check "
                "--state-dir; it is tried again in {seconds:.0f} s",
                error=str(error),
                seconds=AGAIN,
            )
            self._again = self._reactor.callLater(AGAIN, self._try)

    def _listen(self) -> None:
        path = self._path()
        if who := listener(path):
            raise OSError(errno.EADDRINUSE, f"another controller is there: {who}", path)
        beside = f"{path}.new"
        with suppress(FileNotFoundError):
            os.unlink(beside)
        port = self._reactor.listenUNIX(beside, self._factory, mode=MODE)
        if self._owner is not None:
            os.chown(beside, self._owner, -1)
        os.rename(beside, path)
        self._port, self._bound = port, (path, os.stat(path).st_ino)

    def _take_away(self) -> None:
        """
        Move the socket back to where it was bound, since there the port removes it.

        Where another controller has taken its place, that one's stays, and something else is removed there.
        """
        assert self._bound is not None
        path, inode = self._bound
        beside = f"{path}.new"
        with suppress(OSError):
            if os.stat(path).st_ino == inode:
                os.rename(path, beside)
                return
        with suppress(OSError):
            os.close(os.open(beside, os.O_CREAT | os.O_WRONLY, 0o600))
