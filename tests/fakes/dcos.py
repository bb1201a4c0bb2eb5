"""The login of DC/OS, as a resource in memory."""

from __future__ import annotations

import json
from typing import Any

import jwt
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionRefusedError
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.web.iweb import IAgent
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request
from zope.interface import implementer

DAY = 24 * 3600
"""Seconds that a token is valid."""


class DCOSLogin(Resource):
    """
    The login of DC/OS: it checks the login token as DC/OS does, and answers with an authentication token.

    :ivar status: the status of the answers; 200 has tokens.
    :ivar life: seconds that the next token is valid.
    :ivar held: the waiting requests, if answers are held back.
    :ivar revoked: True if the last token is not valid any more.
    """

    isLeaf = True

    def __init__(self, public: bytes, clock: Clock) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.public, self.clock = public, clock
        self.status, self.life = 200, float(DAY)
        self.body: bytes | None = None
        self.held: list[Request] | None = None
        self.revoked = False
        self.asked: list[tuple[str, dict[str, Any]]] = []

    def render_POST(self, request: Request) -> Any:
        """Note the request, and answer now or later."""
        assert request.content is not None
        content = json.loads(request.content.read())
        claims = jwt.decode(content["token"], self.public, algorithms=["RS256"])
        assert claims["uid"] == content["uid"]
        assert claims["exp"] > self.clock.seconds()
        self.asked.append((f"{request.getHeader('host')}{request.uri.decode()}", content))
        if self.held is not None:
            self.held.append(request)
            return NOT_DONE_YET
        return self.answer(request)

    def answer(self, request: Request) -> bytes:
        """Return a token, or the answer of `status` and `body`."""
        request.setResponseCode(self.status)
        if self.status in (302, 307):
            request.setHeader(b"Location", b"https://elsewhere.example.com/")
        if self.body is not None:
            return self.body
        if self.status != 200:
            return b'{"title": "Unauthorized", "description": "hunter2"}'
        claims = {"uid": "lb", "n": len(self.asked), "exp": self.clock.seconds() + self.life}
        return json.dumps({"token": jwt.encode(claims, "x" * 32, algorithm="HS256")}).encode()

    def release(self) -> None:
        """Answer the waiting requests."""
        for request in self.held or ():
            request.write(self.answer(request))
            request.finish()
        self.held = []


@implementer(IAgent)
class RefusingAgent:
    """An agent whose connections are refused; it counts them."""

    def __init__(self) -> None:
        self.asked = 0

    def request(self, *_: object) -> Deferred[Any]:
        """Refuse the connection."""
        self.asked += 1
        refused: Deferred[Any] = Deferred()
        refused.errback(Failure(ConnectionRefusedError()))
        return refused
