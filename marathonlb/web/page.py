"""
What a page is: it is asked, and gives an answer. `marathonlb.web.router` does everything else alike for all of them.
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
"""Writes the body of an answer that is not known at once; returns when it is whole or nobody listens any more."""


@frozen(str=False)
class Refusal(MarathonLBError):
    """
    A request that gets no answer.

    :param status: HTTP's.
    :param reason: what is wrong with it, and what can be done.
    :param headers: of the answer that says so.
    """

    status: int
    reason: str
    headers: Mapping[str, str] = Factory(dict)

    def __str__(self) -> str:
        return self.reason


@frozen
class Asked:
    """
    A request.

    :param arguments: what stands at the names in the route's path.
    :param query: by name the first value of each.
    :param client: its address, as HAProxy told it.
    :param admin: whether it may use what changes something.
    :param barred: why it may not; empty where it may.
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
        """A whole number of the query. Raises `Refusal`."""
        text = self.query.get(name)
        if text is None:
            return default
        if not (text.isascii() and text.isdecimal() and len(text) < 19):
            raise Refusal(400, f"{name}={text!r} is no whole number")
        return int(text)


@frozen
class Answer:
    """
    What is answered.

    :param stream: writes the body in place of `body`.
    """

    body: bytes = b""
    status: int = 200
    content_type: str = TEXT
    headers: Mapping[str, str] = Factory(dict)
    stream: Stream | None = None


def text(body: str, status: int = 200) -> Answer:
    """An answer in plain text."""
    return Answer(body.encode("utf-8", "surrogateescape"), status)


def data(value: Any, status: int = 200) -> Answer:
    """An answer in JSON."""
    return Answer(msgspec.json.encode(value), status, JSON)


class ErrorAnswer(msgspec.Struct, frozen=True):
    """
    Why there is no answer.

    :param error: what is wrong, and what can be done.
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
    One page; a subclass says what it answers.

    :cvar method: HTTP's; a page of GET answers HEAD, too.
    :cvar also: another method that it takes.
    :cvar changes: whether it is for ``--admin-allow`` alone.
    :cvar summary: what it answers, as a phrase for the documentation.
    :cvar shape: the type of its answer in JSON; None where it is something else.
    :cvar statuses: what else it may answer, and when.
    :cvar takes: the type of what is posted.
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

    async def answer(self, asked: Asked) -> Answer:
        """The answer. Raises `MarathonLBError` where there is none: 503, or a `Refusal`'s own status."""
        raise NotImplementedError

    def close(self) -> None:
        """The controller stops: end what would go on for ever."""
