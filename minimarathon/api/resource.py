"""The twisted.web resource of the API: it authenticates requests, passes them to the router and streams events."""

from __future__ import annotations

import base64
import hmac
from urllib.parse import unquote

from attrs import define, field
from twisted.web.http import Request
from twisted.web.resource import IResource
from twisted.web.server import NOT_DONE_YET
from zope.interface import implementer

from minimarathon.api.calls import Call, Response, html_error
from minimarathon.api.event_stream import Streams
from minimarathon.api.router import Api

EVENTS = "/v2/events"


@implementer(IResource)
@define(eq=False)
class ApiResource:
    """
    The resource for every path.

    :param credentials: ``user:password`` required from every request (Basic authentication); None requires none.
    """

    api: Api
    streams: Streams
    credentials: str | None = field(default=None, repr=False)
    isLeaf: bool = True
    server: object = None

    def getChildWithDefault(self, name: bytes, request: Request) -> IResource:
        """Return this resource: a leaf has no children."""
        return self

    def putChild(self, path: bytes, child: IResource) -> None:
        """
        Refuse: a leaf takes no children.

        :raise TypeError: always.
        """
        raise TypeError("the resource serves every path itself")

    def render(self, request: Request) -> bytes | int:
        """Respond to a request, or start a stream of events."""
        call = _call(request)
        request.responseHeaders.setRawHeaders("X-Marathon-Leader", [f"http://{self.api.leader}"])
        if not self._is_authorized(request):
            realm = {"WWW-Authenticate": 'basic realm="Mesosphere"'}
            return _send(request, html_error(401, "Unauthorized", "Unauthorized", realm))
        if call.path == EVENTS:
            return self._stream_events(request, call)
        return _send(request, self.api.respond(call))

    def _stream_events(self, request: Request, call: Call) -> bytes | int:
        """Start a stream; reject clients that do not accept ``text/event-stream``."""
        if call.method != "GET" or "text/event-stream" not in call.accept:
            message = f"HTTP method {call.method} is not supported by this URL"
            return _send(request, html_error(405, "Method Not Allowed", message))
        kinds = frozenset(call.args.get("event_type", ()))
        self.streams.attach(request, kinds, call.arg("plan-format") == "light", call.client)
        return NOT_DONE_YET

    def _is_authorized(self, request: Request) -> bool:
        if self.credentials is None:
            return True
        expected = base64.b64encode(self.credentials.encode()).decode()
        for value in request.requestHeaders.getRawHeaders("Authorization", ()):
            scheme, _, given = value.partition(" ")
            if scheme.lower() == "basic" and hmac.compare_digest(given.strip().encode(), expected.encode()):
                return True
        return False


def _call(request: Request) -> Call:
    assert request.content is not None
    path = request.uri.partition(b"?")[0].decode("ascii", "replace")
    args = {
        name.decode("utf-8", "replace"): [value.decode("utf-8", "replace") for value in values]
        for name, values in (request.args or {}).items()
    }
    address = getattr(request.getClientAddress(), "host", "")
    return Call(
        method=request.method.decode("ascii", "replace"),
        path=unquote(path),
        args=args,
        body=request.content.read(),
        client=address,
        accept=tuple(request.requestHeaders.getRawHeaders("Accept", ())),
    )


def _send(request: Request, response: Response) -> bytes:
    request.setResponseCode(response.status)
    headers = request.responseHeaders
    headers.setRawHeaders("Content-Type", [response.content_type])
    headers.setRawHeaders("Cache-Control", ["no-cache, no-store, must-revalidate"])
    headers.setRawHeaders("Pragma", ["no-cache"])
    headers.setRawHeaders("Expires", ["0"])
    for name, value in response.headers.items():
        headers.setRawHeaders(name, [value])
    return response.encode()
