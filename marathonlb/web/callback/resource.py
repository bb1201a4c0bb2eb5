"""
The resource to which Marathon posts its events (``--mode=event``).

Marathon drops slow and failing subscribers, so the answer is sent before the work begins. An event is a hint and never
a fact: anyone can post here. A body above the limit, or one that a full disk does not take, is discarded and triggers a
full comparison: old Marathons put their whole cluster into one event.
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

from marathonlb.base.causes import Cause, CauseKind
from marathonlb.marathon.events.base import Poke
from marathonlb.marathon.events.hints import Hint, hint_of, is_event
from marathonlb.settings import CLUSTER_ARGUMENT
from marathonlb.web.connections import BoundedChannel, Connections, fair_share

LIMIT = 64 * 1024 * 1024
"""Maximum number of bytes of an event; a real one may have tens of megabytes."""

TOO_BIG = f"it is larger than {LIMIT} bytes"

IN_MEMORY = 100_000
"""Maximum number of bytes of a body in memory; a longer one is written to a temporary file."""

KEPT = 4 * LIMIT
"""Maximum number of bytes of all bodies at a time."""

CROWDED = "too many events are being received"


class ByteBudget:
    """
    The bytes that all bodies may use at a time.

    :param left: bytes that are left.
    """

    def __init__(self, left: int = KEPT) -> None:
        self.left = left

    def take(self, size: int) -> bool:
        """Take bytes, and return whether as many were left."""
        if size > self.left:
            return False
        self.left -= size
        return True


class BoundedContent:
    """
    The body of a request, up to a limit.

    :param length: the body's length, if the sender declared it.
    :param limit: maximum number of bytes.
    :param temporary: creates the file for a body that is not small.
    :param room: the budget that it shares with others; by default its own.
    :ivar lost: why the body was discarded; empty if it was not.
    """

    def __init__(
        self,
        length: int | None,
        limit: int = LIMIT,
        temporary: Callable[[], IO[bytes]] = TemporaryFile,
        room: ByteBudget | None = None,
    ) -> None:
        self.lost = ""
        self._left = limit
        self._room = room or ByteBudget(limit)
        self._taken = 0
        self._file: IO[bytes] = BytesIO()
        if length is not None and length > limit:
            self._lose(TOO_BIG)
        elif length is None or length >= IN_MEMORY:
            try:
                self._file = temporary()
            except OSError as error:
                self._lose(f"a temporary file cannot be created: {error.strerror}")

    def write(self, data: bytes) -> int:
        """Keep the data, or discard it."""
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
        """Return whether the body is larger than the limit."""
        return self.lost == TOO_BIG

    def _lose(self, reason: str) -> None:
        self.lost = reason
        self._release()
        self._file = BytesIO()

    def read(self, size: int = -1) -> bytes:
        """Return what was kept."""
        return self._file.read(size)

    def seek(self, offset: int, whence: int = 0) -> int:
        """Move like a file; this writes buffered data to the disk."""
        try:
            return self._file.seek(offset, whence)
        except OSError as error:
            self._lose(f"its temporary file cannot be written: {error.strerror}")
            return 0

    def tell(self) -> int:
        """Return the position, like a file."""
        return self._file.tell()

    def close(self) -> None:
        """Release the bytes and the file."""
        self._release()

    def _release(self) -> None:
        self._room.left += self._taken
        self._taken = 0
        with suppress(OSError):  # closing writes again what a full disk did not take
            self._file.close()


class EventRequest(Request):
    """A request with a bounded body, which is never parsed as a form, whatever its type."""

    def gotLength(self, length: int | None) -> None:
        """Prepare for the body after the headers."""
        self.requestHeaders.removeHeader(b"Content-Type")
        site: CallbackSite = self.channel.site  # type: ignore[attr-defined]
        self.content = BoundedContent(length, site.limit, site.temporary, site.room)


class EventCallback(Resource):
    """
    Takes one event per POST, with any content type and at any path.

    :param pokes: by the name of the cluster in the URL (empty if it has none), called with the hint of an event after
        the answer; not called for an event that changes nothing.
    """

    isLeaf = True
    _log = Logger()

    def __init__(self, pokes: Mapping[str, Poke]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._pokes = pokes

    def render(self, request: Request) -> bytes:
        """Answer 200 and pass the hint on; 400 if the body is not an event, 405 if the request is not a POST."""
        request.setHeader(b"Content-Type", b"text/plain; charset=utf-8")
        if request.method != b"POST":
            request.setResponseCode(http.NOT_ALLOWED)
            request.setHeader(b"Allow", b"POST")
            return b"Marathon posts its events here.\n"
        named = (request.args or {}).get(CLUSTER_ARGUMENT.encode(), [b""])[-1]
        poke = self._pokes.get(named.decode("utf-8", "replace"))
        if poke is None:
            request.setResponseCode(http.NOT_FOUND)
            return b"Not found: no cluster has this name.\n"
        content = request.content
        assert content is not None
        if isinstance(content, BoundedContent) and content.lost:
            self._log.info(
                "An event was discarded: {reason}. All apps are compared with Marathon instead",
                reason=content.lost,
            )
            kind = CauseKind.OVERSIZED_EVENT if content.too_big else CauseKind.LOST_EVENT
            return self._accept(request, poke, Hint.of(None, Cause(kind)))
        payload = content.read()
        if not is_event(payload):
            request.setResponseCode(http.BAD_REQUEST)
            return b"The body is not a Marathon event.\n"
        return self._accept(request, poke, hint_of(payload))

    def _accept(self, request: Request, poke: Poke, hint: Hint | None) -> bytes:
        if hint is not None:
            request.notifyFinish().addBoth(lambda _: poke(hint))
        return b"ok\n"


class CallbackSite(Site):
    """
    The site of the callback, with bounded bodies and connections; requests are not logged.

    :param pokes: as in `EventCallback`.
    :param limit: maximum number of bytes of a body.
    :param temporary: creates the files for bodies that are not small.
    :param reactor: provides `IReactorTime`; by default the global one.
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
        self.room = ByteBudget()
        self.connections = Connections(fair_share()) if connections is None else connections

    def log(self, request: http.Request) -> None:
        """Log nothing: events are frequent, and their effect is logged by the controller."""
