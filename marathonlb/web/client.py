"""
HTTP client for the running controller, used by the scripts for what only the daemon knows.

It uses the socket that HAProxy uses, and claims the loopback address by the PROXY protocol: a process that may connect
to the socket can claim any address anyway (`marathonlb.web.access`).
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from typing import Any

import msgspec
from attrs import fields, frozen
from treq.client import HTTPClient
from twisted.internet.defer import Deferred, TimeoutError
from twisted.internet.endpoints import UNIXClientEndpoint
from twisted.internet.error import ConnectError
from twisted.internet.interfaces import IProtocol, IProtocolFactory, IStreamClientEndpoint
from twisted.web.client import Agent, HTTPConnectionPool, ResponseFailed, ResponseNeverReceived
from twisted.web.http_headers import Headers
from zope.interface import implementer

from marathonlb.base.endpoints import ChosenEndpointFactory
from marathonlb.errors import DaemonRefused, DaemonUnreachable
from marathonlb.haproxy.files.state_directory import MAX_SOCKET_PATH, WEB_SOCKET, state_directory_beside
from marathonlb.settings import Settings
from marathonlb.web.page import JSON, ErrorAnswer
from marathonlb.web.tokens import AdminToken

CONNECT_TIMEOUT, ANSWER_TIMEOUT = 5.0, 60.0
"""Seconds. An answer may take long: the daemon may ask HAProxy, which may be busy."""

_FROM_HERE = b"PROXY TCP4 127.0.0.1 127.0.0.1 0 0\r\n"


@frozen
class Reply:
    """The daemon's answer to a request."""

    status: int
    text: str

    @property
    def json(self) -> str:
        """Return the JSON as it came, with unprintable characters escaped and a newline at the end."""
        text = self.text.rstrip("\n")
        return "".join(c if c.isprintable() or c == "\n" else json.dumps(c)[1:-1] for c in text) + "\n"

    def data(self) -> Any:
        """
        Return the decoded JSON without terminal control characters, for scripts that print it.

        :raises DaemonRefused: the status is not 200; it has the daemon's reason.
        """
        if self.status == 200:
            return _harmless(msgspec.json.decode(self.text))
        try:
            reason = msgspec.json.decode(self.text, type=ErrorAnswer).error
        except msgspec.MsgspecError:
            reason = self.text.strip()
        raise DaemonRefused(status=self.status, reason=reason)


class ControllerClient:
    """
    A client of the controller that runs on this machine.

    :param paths: possible paths of its socket; the first one with a listener is used.
    :param reactor: provides `IReactorUNIX` and `IReactorTime`.
    :param token: of ``--admin-token``, for a daemon whose ``--admin-allow`` lacks the loopback.
    """

    def __init__(self, paths: Iterable[str], reactor: Any, token: AdminToken | None = None) -> None:
        self._paths = tuple(paths)
        self._reactor = reactor
        self._token = token

    @classmethod
    def of(cls, settings: Settings, reactor: Any) -> ControllerClient:
        """Return the client for these settings; the default state directory may also lie beside haproxy.cfg."""
        directories = [settings.state_dir]
        if settings.state_dir == fields(Settings).state_dir.default:
            directories.append(state_directory_beside(settings))
        token = AdminToken(settings.admin_token) if settings.admin_token is not None else None
        return cls((os.path.join(os.path.abspath(each), WEB_SOCKET) for each in directories), reactor, token)

    def ask(self, path: str, method: str = "GET", body: bytes | None = None) -> Deferred[Reply]:
        """
        Send a request.

        :param path: with its query, encoded: ``/api/explain?q=10000``.
        :param body: JSON.
        :return: fires with the reply, whatever its status; fails with `DaemonUnreachable` if no daemon answers.
        """
        return Deferred.fromCoroutine(self._ask(path, method, body))

    async def _ask(self, path: str, method: str, body: bytes | None) -> Reply:
        reason = "no state directory"
        for socket in self._paths:
            if len(os.fsencode(socket)) > MAX_SOCKET_PATH:
                reason = "the path is too long for a socket"
                continue
            try:
                return await self._ask_at(socket, path, method, body)
            except ConnectError as error:
                reason = os.strerror(error.osError) if isinstance(error.osError, int) else str(error)
            except OSError as error:
                reason = str(error)
        raise DaemonUnreachable(path=self._paths[0] if self._paths else WEB_SOCKET, reason=reason)

    async def _ask_at(self, socket: str, path: str, method: str, body: bytes | None) -> Reply:
        pool = HTTPConnectionPool(self._reactor, persistent=False)
        endpoint = _FromHere(UNIXClientEndpoint(self._reactor, socket, timeout=CONNECT_TIMEOUT))
        factory = ChosenEndpointFactory.fixed(endpoint)
        client = HTTPClient(Agent.usingEndpointFactory(self._reactor, factory, pool))
        headers = Headers({"Content-Type": [JSON]} if body is not None else {})
        if self._token is not None and (token := self._token.text()):
            headers.setRawHeaders("Authorization", [f"Bearer {token}"])
        asked = client.request(method, f"http://daemon{path}", headers=headers, data=body)
        asked.addTimeout(ANSWER_TIMEOUT, self._reactor)
        try:
            response = await asked
            content = await response.content().addTimeout(ANSWER_TIMEOUT, self._reactor)
        except (ResponseFailed, ResponseNeverReceived, TimeoutError) as error:
            reason = "no answer in time" if isinstance(error, TimeoutError) else "the connection broke"
            raise DaemonUnreachable(path=socket, reason=reason) from error
        return Reply(response.code, content.decode("utf-8", "replace"))


def _harmless(value: Any) -> Any:
    """Return JSON whose texts are one printable line each: everything else is escaped."""
    if isinstance(value, str):
        return value if value.isprintable() else "".join(_written_out(each) for each in value)
    if isinstance(value, list):
        return [_harmless(each) for each in value]
    if isinstance(value, dict):
        return {_harmless(name): _harmless(each) for name, each in value.items()}
    return value


def _written_out(character: str) -> str:
    return character if character.isprintable() else ascii(character)[1:-1]


@implementer(IStreamClientEndpoint)
class _FromHere:
    """An endpoint whose connections begin with the PROXY protocol."""

    def __init__(self, endpoint: IStreamClientEndpoint) -> None:
        self._endpoint = endpoint

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        """Connect, and send the header of the PROXY protocol first."""

        def introduce(protocol: Any) -> Any:
            protocol.transport.write(_FROM_HERE)
            return protocol

        return self._endpoint.connect(protocolFactory).addCallback(introduce)
