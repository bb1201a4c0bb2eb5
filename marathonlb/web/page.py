"""
Pages, requests and answers. `marathonlb.web.router` does everything that is common to all pages.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import msgspec
from attrs import Factory, field, frozen
from twisted.web.http_headers import Headers

from marathonlb.errors import MarathonLBError

if TYPE_CHECKING:
    from twisted.web.server import Request

TEXT = "text/plain; charset=utf-8"
JSON = "application/json"
HTML = "text/html; charset=utf-8"

Stream = Callable[["Request"], Awaitable[None]]
"""Writes the body of an answer piece by piece; returns when it is complete or the client has left."""


@frozen(str=False)
class Refusal(MarathonLBError):
    """
    A request that is refused.

    :param status: the HTTP status.
    :param reason: what is wrong, and what to do.
    :param headers: of the answer.
    """

    status: int
    reason: str
    headers: Mapping[str, str] = Factory(dict)

    def __str__(self) -> str:
        return self.reason


@frozen
class ClientRequest:
    """
    A request.

    :param arguments: values of the names in the route's path.
    :param query: the first value of each parameter, by name.
    :param client: the client's address, from HAProxy.
    :param admin: true if the client may see secrets and use what changes something.
    :param barred: why not; empty if it may.
    """

    method: str = "GET"
    path: str = "/"
    arguments: Mapping[str, str] = Factory(dict)
    query: Mapping[str, str] = Factory(dict)
    headers: Headers = Factory(Headers)
    body: bytes = field(default=b"", repr=False)
    client: str = ""
    admin: bool = False
    barred: str = ""

    def number(self, name: str, default: int) -> int:
        """Return a whole number of the query. Raises `Refusal` if it is none."""
        text = self.query.get(name)
        if text is None:
            return default
        if not (text.isascii() and text.isdecimal() and len(text) < 19):
            raise Refusal(400, f"{name}={text!r} is not a whole number")
        return int(text)


@frozen
class Answer:
    """
    An answer.

    :param stream: writes the body, instead of `body`.
    """

    body: bytes = b""
    status: int = 200
    content_type: str = TEXT
    headers: Mapping[str, str] = Factory(dict)
    stream: Stream | None = None


def text(body: str, status: int = 200) -> Answer:
    """Return an answer in plain text."""
    return Answer(body.encode("utf-8", "surrogateescape"), status)


def data(value: Any, status: int = 200) -> Answer:
    """Return an answer in JSON."""
    return Answer(msgspec.json.encode(value), status, JSON)


class ErrorAnswer(msgspec.Struct, frozen=True):
    """
    The body of an error.

    :param error: what is wrong, and what to do.
    """

    error: str


@frozen
class Parameter:
    """
    A parameter of a page, for its documentation.

    :param place: ``path`` or ``query``.
    """

    name: str
    place: str
    help: str
    kind: str = "string"
    required: bool = False


class Page:
    """
    One page.

    :cvar method: the HTTP method; a page of GET also answers HEAD.
    :cvar also: another method that it accepts.
    :cvar changes: true if it is only for ``--admin-allow`` and the ``--admin-token``.
    :cvar summary: a phrase for the documentation.
    :cvar shape: the type of its answer in JSON; None if it is not JSON.
    :cvar statuses: other statuses, and when they occur.
    :cvar takes: the type of the posted body.
    """

    method: ClassVar[str] = "GET"
    also: ClassVar[str] = ""
    changes: ClassVar[bool] = False
    summary: str = ""
    shape: ClassVar[Any] = None
    content_type: ClassVar[str] = JSON
    parameters: ClassVar[tuple[Parameter, ...]] = ()
    statuses: ClassVar[tuple[tuple[int, str], ...]] = ()
    takes: ClassVar[str] = ""

    async def answer(self, request: ClientRequest) -> Answer:
        """Return the answer. Raises `MarathonLBError`, which becomes 503, or a `Refusal` with its own status."""
        raise NotImplementedError

    def close(self) -> None:
        """End open streams: the controller stops."""
