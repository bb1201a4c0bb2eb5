"""
Parse server-sent events: bytes in, events out, without I/O, correct however the bytes are split into chunks.

Marathon's stream ends its lines with CR LF and keeps alive by writing CR and LF in two segments. So a CR ends a line at
once, and a LF after it, in whatever chunk, belongs to it. A line or an event past the limit is discarded and comes out
as one `Oversized`, so that a stream cannot fill the memory.
"""

from __future__ import annotations

import re

from attrs import frozen

DEFAULT_LIMIT = 16 * 1024 * 1024
"""Maximum number of bytes of an event."""

_BOM = b"\xef\xbb\xbf"
_LINE_END = re.compile(rb"[\r\n]")


@frozen
class ServerSentEvent:
    """
    One event as it was received.

    :param data: the ``data`` lines, joined by newlines.
    :param type: the ``event`` field; empty with Marathons before 0.11, so nothing depends on it.
    """

    data: bytes
    type: str = ""


@frozen
class Oversized:
    """
    An event that is discarded. It comes once, as soon as the event passes the limit, before its end.

    :param limit: maximum number of bytes of an event.
    """

    limit: int


class SSEParser:
    """
    The parser of one stream; it keeps the state between two chunks.

    :param limit: maximum number of bytes of an event, its unfinished line included.
    """

    def __init__(self, limit: int = DEFAULT_LIMIT) -> None:
        self._limit = limit
        self._line = bytearray()
        self._start = b""
        self._started = False
        self._after_cr = False
        self._data: list[bytes] = []
        self._size = 0
        self._type = ""
        self._skipping = False

    def feed(self, chunk: bytes) -> list[ServerSentEvent | Oversized]:
        """
        Take the next bytes.

        :return: the events that they complete, in order. An event that the end of the stream cuts off is not returned.
        """
        if not self._started:
            chunk = self._start + chunk
            if len(chunk) < len(_BOM) and _BOM.startswith(chunk):
                self._start = chunk
                return []
            self._started, self._start = True, b""
            chunk = chunk.removeprefix(_BOM)
        if self._after_cr and chunk:
            self._after_cr = False
            chunk = chunk.removeprefix(b"\n")
        events: list[ServerSentEvent | Oversized] = []
        position = 0
        while line_end := _LINE_END.search(chunk, position):
            end = line_end.start()
            self._extend(chunk[position:end], events)
            self._end_line(events)
            position = end + 1
            if chunk[end : end + 1] == b"\r":
                if position == len(chunk):
                    self._after_cr = True
                elif chunk[position : position + 1] == b"\n":
                    position += 1
        self._extend(chunk[position:], events)
        return events

    def _extend(self, piece: bytes, events: list[ServerSentEvent | Oversized]) -> None:
        if self._skipping:
            # Keep one byte, to tell an empty line, which ends the event, from another.
            self._line += piece[:1]
            del self._line[1:]
            return
        self._line += piece
        if self._size + len(self._line) > self._limit:
            self._skipping = True
            self._data.clear()
            del self._line[1:]
            events.append(Oversized(self._limit))

    def _end_line(self, events: list[ServerSentEvent | Oversized]) -> None:
        line = bytes(self._line)
        self._line.clear()
        if line:
            if not self._skipping:
                self._field(line)
            return
        if self._data:
            events.append(ServerSentEvent(b"\n".join(self._data), self._type))
        self._data.clear()
        self._size, self._type, self._skipping = 0, "", False

    def _field(self, line: bytes) -> None:
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if name == b"data":
            self._data.append(value)
            self._size += len(line)
        elif name == b"event":
            self._type = value.decode("utf-8", "replace")
