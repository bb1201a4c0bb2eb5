"""
Asking the running controller from beside it: the script's way to what only the daemon knows.

It goes over the socket that HAProxy uses, and says by the PROXY protocol that it comes from this machine: whoever may
connect to the socket could say so anyway (`marathonlb.web.access`).
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

from marathonlb.endpoints import ChosenEndpointFactory
from marathonlb.errors import DaemonRefused, DaemonUnreachable
from marathonlb.haproxy.files.state_directory import MAX_SOCKET_PATH, WEB_SOCKET, state_directory_beside
from marathonlb.settings import Settings
from marathonlb.web.page import JSON, ErrorAnswer
from marathonlb.web.tokens import AdminToken

CONNECT_TIMEOUT, ANSWER_TIMEOUT = 5.0, 60.0
"""Seconds; a question may make the daemon ask HAProxy, which may be busy."""

_FROM_HERE = b"PROXY TCP4 127.0.0.1 127.0.0.1 0 0\r\n"


@frozen
class Reply:
    """What the daemon answered to a request."""

    status: int
    text: str

    @property
    def json(self) -> str:
        """Its JSON as it came, with a newline at its end and what would not be seen written out, as JSON does it."""
        text = self.text.rstrip("\n")
        return "".join(c if c.isprintable() or c == "\n" else json.dumps(c)[1:-1] for c in text) + "\n"

    def data(self) -> Any:
        """
        What its JSON says, with nothing in it that a terminal obeys: whoever asks is a script.

        :raises DaemonRefused: in the daemon's words, where the status is not 200.
        """
        if self.status == 200:
            return _harmless(msgspec.json.decode(self.text))
        try:
            words = msgspec.json.decode(self.text, type=ErrorAnswer).error
        except msgspec.MsgspecError:
            words = self.text.strip()
        raise DaemonRefused(status=self.status, reason=words)


class ControllerClient:
    """
    The controller that runs beside a script, if one does.

    :param paths: where its socket may be; the first one that somebody listens on is asked.
    :param reactor: provides `IReactorUNIX` and `IReactorTime`.
    :param token: of ``--admin-token``, for a daemon whose ``--admin-allow`` has no loopback.
    """

    def __init__(self, paths: Iterable[str], reactor: Any, token: AdminToken | None = None) -> None:
        self._paths = tuple(paths)
        self._reactor = reactor
        self._token = token

    @classmethod
    def of(cls, settings: Settings, reactor: Any) -> ControllerClient:
        """The one with these settings; the default state directory may also lie beside the configuration."""
        directories = [settings.state_dir]
        if settings.state_dir == fields(Settings).state_dir.default:
            directories.append(state_directory_beside(settings))
        token = AdminToken(settings.admin_token) if settings.admin_token is not None else None
        return cls((os.path.join(os.path.abspath(each), WEB_SOCKET) for each in directories), reactor, token)

    def ask(self, path: str, method: str = "GET", body: bytes | None = None) -> Deferred[Reply]:
        """
        Ask for a page.

        :param path: with its query, encoded: ``/api/explain?q=10000``.
        :param body: JSON.
        :return: fires with the reply, whatever its status; fails with `DaemonUnreachable` where no daemon answers.
        """
        return Deferred.fromCoroutine(self._ask(path, method, body))

    async def _ask(self, path: str, method: str, body: bytes | None) -> Reply:
        reason = "no state directory"
        for socket in self._paths:
            if len(os.fsencode(socket)) > MAX_SOCKET_PATH:
                reason = "the path is longer than a socket's may be"
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
            words = "it did not answer in time" if isinstance(error, TimeoutError) else "it broke off"
            raise DaemonUnreachable(path=socket, reason=words) from error
        return Reply(response.code, content.decode("utf-8", "replace"))


def _harmless(value: Any) -> Any:
    """JSON whose texts are one line each, in which everything is written out that would not be seen."""
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
    """A socket on which every connection begins with the PROXY protocol."""

    def __init__(self, endpoint: IStreamClientEndpoint) -> None:
        self._endpoint = endpoint

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        """Connect, and say where from; the request comes after it."""

        def introduce(protocol: Any) -> Any:
            protocol.transport.write(_FROM_HERE)
            return protocol

        return self._endpoint.connect(protocolFactory).addCallback(introduce)
