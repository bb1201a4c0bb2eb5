"""
Where Marathon posts its events (``--mode=event``).

Marathon punishes slow and failing subscribers, so the answer is given at once and the work comes after. What is posted
is a hint and never a fact: anyone can post here. A body past the limit, or one that a full disk does not take, is read
away without being kept, and counts as "look at everything", since old Marathons put their whole cluster into one event.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from io import BytesIO
from tempfile import TemporaryFile
from typing import IO, Any

from twisted.logger import Logger
from twisted.web import http
from twisted.web.resource import Resource
from twisted.web.server import Request, Site

from marathonlb.causes import Cause, CauseKind
from marathonlb.marathon.events.base import Poke
from marathonlb.marathon.events.hints import Hint, hint_of, is_event
from marathonlb.settings import CLUSTER_ARGUMENT
from marathonlb.web.connections import BoundedChannel, Connections, fair_share

LIMIT = 64 * 1024 * 1024
"""Bytes of an event; an honest one may have tens of megabytes."""

TOO_BIG = f"it has more than {LIMIT} bytes"

IN_MEMORY = 100_000
"""Bytes of a body that are held in memory; what is longer is written to a temporary file."""

KEPT = 4 * LIMIT
"""Maximum number of bytes of all bodies that are kept at a time."""

CROWDED = "too many others are on their way"


class Room:
    """
    The room for the bodies that are kept at a time.

    :param left: bytes.
    """

    def __init__(self, left: int = KEPT) -> None:
        self.left = left

    def take(self, size: int) -> bool:
        """Take so many bytes, where they are left."""
        if size > self.left:
            return False
        self.left -= size
        return True


class BoundedContent:
    """
    What a request's body is written to: keeps it up to the limit, and of more only the fact.

    :param length: the body's length, where its sender told one.
    :param limit: bytes.
    :param temporary: makes the file for what is not small.
    :param room: what it shares with others; a room of its own where none is given.
    :ivar lost: why it is not kept; empty while it is.
    """

    def __init__(
        self,
        length: int | None,
        limit: int = LIMIT,
        temporary: Callable[[], IO[bytes]] = TemporaryFile,
        room: Room | None = None,
    ) -> None:
        self.lost = ""
        self._left = limit
        self._room = room or Room(limit)
        self._taken = 0
        self._file: IO[bytes] = BytesIO()
        if length is not None and length > limit:
            self._lose(TOO_BIG)
        elif length is None or length >= IN_MEMORY:
            try:
                self._file = temporary()
            except OSError as error:
                self._lose(f"there is no room for a temporary file: {error.strerror}")

    def write(self, data: bytes) -> int:
        """Keep it, or read it away."""
        self._left -= len(data)
        if self._left < 0 and not self.lost:
            self._lose(TOO_BIG)
        if not self.lost and not self._room.take(len(data)):
            self._lose(CROWDED)
        if not self.lost:
            self._taken += len(data)
            try:
                self._file.write(data)
            except OSError as error:
                self._lose(f"its temporary file cannot be written: {error.strerror}")
        return len(data)

    @property
    def too_big(self) -> bool:
        """Whether it is past the limit."""
        return self.lost == TOO_BIG

    def _lose(self, why: str) -> None:
        self.lost = why
        self._let_go()
        self._file = BytesIO()

    def read(self, size: int = -1) -> bytes:
        """What was kept."""
        return self._file.read(size)

    def seek(self, offset: int, whence: int = 0) -> int:
        """As files have it; what is still on its way to the disk is written by it."""
        try:
            return self._file.seek(offset, whence)
        except OSError as error:
            self._lose(f"its temporary file cannot be written: {error.strerror}")
            return 0

    def tell(self) -> int:
        """As files have it."""
        return self._file.tell()

    def close(self) -> None:
        """Give the space back."""
        self._let_go()

    def _let_go(self) -> None:
        self._room.left += self._taken
        self._taken = 0
        with suppress(OSError):  # what a full disk did not take is tried once more when the file is closed
            self._file.close()


class EventRequest(Request):
    """A request whose body is bounded, and is never taken apart as a form, whatever type it claims."""

    def gotLength(self, length: int | None) -> None:
        """Called when the headers are in; the body comes next."""
        self.requestHeaders.removeHeader(b"Content-Type")
        site: CallbackSite = self.channel.site  # type: ignore[attr-defined]
        self.content = BoundedContent(length, site.limit, site.temporary, site.room)


class EventCallback(Resource):
    """
    Takes one event per POST, whatever its content type, at any path.

    :param pokes: by the name of the cluster that the URL names, empty where it names none, who is given what the event
        hints at, after the answer; nothing where it changes nothing.
    """

    isLeaf = True
    _log = Logger()

    def __init__(self, pokes: Mapping[str, Poke]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._pokes = pokes

    def render(self, request: Request) -> bytes:
        """200 and then the hint; 400 for what is no event, 405 for what is no POST."""
        request.setHeader(b"Content-Type", b"text/plain; charset=utf-8")
        if request.method != b"POST":
            request.setResponseCode(http.NOT_ALLOWED)
            request.setHeader(b"Allow", b"POST")
            return b"Marathon posts its events here.\n"
        named = (request.args or {}).get(CLUSTER_ARGUMENT.encode(), [b""])[-1]
        poke = self._pokes.get(named.decode("utf-8", "replace"))
        if poke is None:
            request.setResponseCode(http.NOT_FOUND)
            return b"Marathons of no such cluster post their events here.\n"
        content = request.content
        assert content is not None
        if isinstance(content, BoundedContent) and content.lost:
            self._log.info(
                "An event was read away, since {reason}; everything is looked at", reason=content.lost
            )
            kind = CauseKind.OVERSIZED_EVENT if content.too_big else CauseKind.LOST_EVENT
            return self._thank(request, poke, Hint.of(None, Cause(kind)))
        payload = content.read()
        if not is_event(payload):
            request.setResponseCode(http.BAD_REQUEST)
            return b"This is no event of Marathon's.\n"
        return self._thank(request, poke, hint_of(payload))

    def _thank(self, request: Request, poke: Poke, hint: Hint | None) -> bytes:
        if hint is not None:
            request.notifyFinish().addBoth(lambda _: poke(hint))
        return b"ok\n"


class CallbackSite(Site):
    """
    The site of the callback alone: bodies and connections are bounded, and requests are not logged.

    :param pokes: as in `EventCallback`.
    :param limit: bytes of a body that are kept.
    :param temporary: makes the files of those that are not small.
    :param reactor: provides `IReactorTime`; the global one where none is given.
    """

    protocol = BoundedChannel  # type: ignore[assignment]  # not the one that may turn into HTTP/2

    def __init__(
        self,
        pokes: Mapping[str, Poke],
        limit: int = LIMIT,
        temporary: Callable[[], IO[bytes]] = TemporaryFile,
        *,
        reactor: Any = None,
        connections: Connections | None = None,
    ) -> None:
        super().__init__(EventCallback(pokes), requestFactory=EventRequest, reactor=reactor)  # type: ignore[no-untyped-call]
        self.limit = limit
        self.temporary = temporary
        self.room = Room()
        self.connections = Connections(fair_share()) if connections is None else connections

    def log(self, request: http.Request) -> None:
        """Events are many, and what they lead to is logged where it is done."""
