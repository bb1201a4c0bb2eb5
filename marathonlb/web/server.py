"""
The web server: it listens on a socket in the state directory, to which HAProxy forwards requests for the controller.

It speaks the PROXY protocol, so the client's address comes from HAProxy. The socket is bound under a temporary name and
renamed into place: HAProxy finds the old or the new socket at any time, even after a controller was killed.
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

RETRY_DELAY = 10.0
"""Seconds until a socket that could not be bound is retried."""

MODE = 0o660
"""Mode of the socket: clients may claim any address, so only our user and group, with HAProxy in it, may connect."""


class PageRequest(Request):
    """A request with a bounded body, which is never parsed as a form."""

    def gotLength(self, length: int | None) -> None:
        """Prepare for the body after the headers, or refuse it."""
        self.content = BoundedContent(length, LIMIT, BytesIO)  # so small that no disk is needed
        channel: BoundedChannel = self.channel  # type: ignore[assignment]
        if length != 0 and (answer := channel.site.root.early(self, length)):
            channel.refuse(self, answer)

    def requestReceived(self, command: bytes, path: bytes, version: bytes) -> None:
        """Handle the complete request; a form's content type is dropped, so that it is not parsed."""
        kinds = self.requestHeaders.getRawHeaders(b"content-type")
        if kinds and kinds[0].lower().startswith((b"application/x-www-form-urlencoded", b"multipart/")):
            self.requestHeaders.removeHeader(b"content-type")
        super().requestReceived(command, path, version)  # type: ignore[no-untyped-call]


class PageSite(Site):
    """
    The site of the pages. Requests are not logged; changes are.

    :param reactor: provides `IReactorTime`; by default the global one.
    """

    displayTracebacks = False
    protocol = BoundedChannel  # type: ignore[assignment]  # not the one that may turn into HTTP/2

    def __init__(self, root: Router, reactor: Any = None, connections: Connections | None = None) -> None:
        super().__init__(root, requestFactory=PageRequest, reactor=reactor)  # type: ignore[no-untyped-call]
        self.root = root
        self.connections = Connections(fair_share()) if connections is None else connections

    def log(self, request: http.Request) -> None:
        """Log nothing."""


class WebServer(Service):
    """
    Listens on the socket while it runs.

    If the socket cannot be bound, only the pages are missing; it is retried.

    :param path: returns the socket's path; raises `PublishFailed` if there can be none.
    :param root: the pages.
    :param reactor: provides `IReactorUNIX` and `IReactorTime`.
    :param owner: uid of HAProxy's worker if it differs from ours.
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
        self._retry: IDelayedCall | None = None

    def startService(self) -> None:
        """Listen; retry until it succeeds."""
        super().startService()  # type: ignore[no-untyped-call]
        self._start()

    def stopService(self) -> Deferred[object]:
        """Stop listening; fires when it is done."""
        super().stopService()  # type: ignore[no-untyped-call]
        if self._retry is not None and self._retry.active():
            self._retry.cancel()
        port, self._port = self._port, None
        if port is None:
            return maybeDeferred(lambda: None)
        self._unlink()
        self._root.close()
        for each in tuple(self._factory.protocols):
            each.loseConnection()
        return maybeDeferred(port.stopListening)

    def _start(self) -> None:
        try:
            self._listen()
        except (CannotListenError, OSError, PublishFailed) as error:
            self._log.error(
                "The stats address cannot show the dashboard and the API: {error}. Traffic is not affected; check "
                "--state-dir; retrying in {seconds:.0f} s",
                error=str(error),
                seconds=RETRY_DELAY,
            )
            self._retry = self._reactor.callLater(RETRY_DELAY, self._start)

    def _listen(self) -> None:
        path = self._path()
        if owner := listener(path):
            raise OSError(errno.EADDRINUSE, f"another controller listens there: {owner}", path)
        beside = f"{path}.new"
        with suppress(FileNotFoundError):
            os.unlink(beside)
        port = self._reactor.listenUNIX(beside, self._factory, mode=MODE)
        if self._owner is not None:
            os.chown(beside, self._owner, -1)
        os.rename(beside, path)
        self._port, self._bound = port, (path, os.stat(path).st_ino)

    def _unlink(self) -> None:
        """
        Move the socket back to its temporary name, where the port removes it.

        If another controller has replaced it, that one's socket stays, and an empty file is removed instead.
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
