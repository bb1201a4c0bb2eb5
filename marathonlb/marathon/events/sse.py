"""
Server-sent events: bytes in, events out, no I/O, right at every split of the bytes.

Marathon's stream ends its lines with CR LF and keeps alive by writing CR and LF in two segments, so a CR ends a line
at once and a LF that follows it, in whatever chunk, belongs to it. A stream may hold more than memory should: a line or
an event past the limit is read away and comes out as one `Oversized`.
"""

from __future__ import annotations

import re

from attrs import frozen

DEFAULT_LIMIT = 16 * 1024 * 1024
_BOM = b"\xef\xbb\xbf"
_LINE_END = re.compile(rb"[\r\n]")


@frozen
class Event:
    """
    One event as it came.

    :param data: the ``data`` lines, joined by newlines.
    :param type: the ``event`` field; empty with Marathons before 0.11, so it decides nothing.
    """

    data: bytes
    type: str = ""


@frozen
class Oversized:
    """
    An event that is read away: told when it passes the limit, once, without waiting for its end.

    :param limit: the bytes an event may have.
    """

    limit: int


class SSEParser:
    """
    The state of one stream between two chunks.

    :param limit: bytes that one event may hold, its unfinished line included.
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

    def feed(self, chunk: bytes) -> list[Event | Oversized]:
        """
        Take the next bytes.

        :return: the events that they complete, in order. An event that the end of the stream cuts off never comes.
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
        events: list[Event | Oversized] = []
        position = 0
        while found := _LINE_END.search(chunk, position):
            end = found.start()
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

    def _extend(self, piece: bytes, events: list[Event | Oversized]) -> None:
        if self._skipping:
            # Whether the line is empty is all that still matters of it: an empty one ends the event.
            self._line += piece[:1]
            del self._line[1:]
            return
        self._line += piece
        if self._size + len(self._line) > self._limit:
            self._skipping = True
            self._data.clear()
            del self._line[1:]
            events.append(Oversized(self._limit))

    def _end_line(self, events: list[Event | Oversized]) -> None:
        line = bytes(self._line)
        self._line.clear()
        if line:
            if not self._skipping:
                self._field(line)
            return
        if self._data:
            events.append(Event(b"\n".join(self._data), self._type))
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
