"""Requests and responses of the API as values, independent of twisted.web."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from attrs import field, frozen

from minimarathon.errors import Refused, malformed


@frozen(kw_only=True)
class Call:
    """
    A request to the API.

    :param args: the query parameters, each with its values in order.
    :param client: the client's address.
    :param accept: the values of the ``Accept`` headers.
    """

    method: str = "GET"
    path: str = "/"
    args: Mapping[str, list[str]] = field(factory=dict)
    body: bytes = b""
    client: str = ""
    accept: tuple[str, ...] = ()

    def arg(self, name: str) -> str | None:
        """Return the last value of a query parameter."""
        values = self.args.get(name)
        return values[-1] if values else None

    def flag(self, name: str) -> bool:
        """Return whether a query parameter is ``true``, ignoring case."""
        return (self.arg(name) or "").lower() == "true"

    def json(self) -> Any:
        """
        Return the body as JSON.

        :raise Refused: 400 if the body is not JSON.
        """
        try:
            return msgspec.json.decode(self.body)
        except msgspec.DecodeError as error:
            raise malformed(f"Unexpected content: {error}") from error

    def mapping(self) -> dict[str, Any]:
        """
        Return the body as a JSON object.

        :raise Refused: 400 if the body is anything else.
        """
        body = self.json()
        if not isinstance(body, dict):
            raise malformed([{"path": "/", "errors": ["error.expected.jsobject"]}])
        return body

    def mappings(self) -> list[dict[str, Any]]:
        """
        Return the body as a list of JSON objects.

        :raise Refused: 400 if the body is anything else.
        """
        body = self.json()
        if not isinstance(body, list) or not all(isinstance(item, dict) for item in body):
            raise malformed([{"path": "/", "errors": ["error.expected.jsarray"]}])
        return body


@frozen(kw_only=True)
class Response:
    """
    A response of the API.

    :param body: a value to encode as JSON, or a string to send as it is; None for an empty body.
    """

    status: int = 200
    body: Any = None
    headers: Mapping[str, str] = field(factory=dict)
    content_type: str = "application/json"

    def encode(self) -> bytes:
        """Return the bytes of the body."""
        if self.body is None:
            return b""
        return self.body.encode() if isinstance(self.body, str) else msgspec.json.encode(self.body)


#: Handles a call; further arguments are the groups of the path's pattern.
Handler = Callable[..., Response]


def refusal(refused: Refused) -> Response:
    """Return the response for a refused request."""
    return Response(status=refused.status, body=refused.body)


def html_error(status: int, reason: str, message: str, headers: Mapping[str, str] | None = None) -> Response:
    """Return an error page as Marathon's web server (Jetty) sends it for requests that do not reach the API."""
    page = (
        '<html>\n<head>\n<meta http-equiv="Content-Type" content="text/html;charset=utf-8"/>\n'
        f"<title>Error {status} {reason}</title>\n</head>\n"
        f"<body><h2>HTTP ERROR {status}</h2>\n<p>Reason:\n<pre>    {message}</pre></p>\n</body>\n</html>\n"
    )
    return Response(status=status, body=page, headers=headers or {}, content_type="text/html;charset=utf-8")
