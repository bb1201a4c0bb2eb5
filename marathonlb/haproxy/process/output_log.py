"""What HAProxy writes: a file in the state directory, since it outlives the controller that could read a pipe."""

from __future__ import annotations

import os
from contextlib import suppress

MAX_SIZE = 1024 * 1024
"""Bytes from which on the file is cut."""

KEPT = 256 * 1024
"""Bytes of its end that are kept, beside it, when it is cut."""


class Log:
    """
    HAProxy's output.

    :param path: the file; ``.old`` beside it holds what was cut off last.
    """

    def __init__(self, path: str) -> None:
        self._path = path

    def open(self) -> int:
        """A descriptor for HAProxy to write to, always at the end. Raises `OSError`."""
        return os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)

    def size(self) -> int:
        """Bytes that are in it."""
        try:
            return os.stat(self._path).st_size
        except OSError:
            return 0

    def since(self, offset: int) -> str:
        """What was written since it had this size, or from its beginning where it was cut meanwhile."""
        with suppress(OSError), open(self._path, "rb") as file:
            if offset <= self.size():
                file.seek(offset)
            return file.read(MAX_SIZE).decode("utf-8", "replace")
        return ""

    def tail(self, lines: int = 3) -> str:
        """Its last lines, as one."""
        said = self.since(max(0, self.size() - 4096)).strip().splitlines()
        return " | ".join(said[-lines:])

    def trim(self) -> None:
        """Cut it where it is too large, keeping the end beside it. HAProxy appends, so it goes on at the new end."""
        size = self.size()
        if size <= MAX_SIZE:
            return
        with suppress(OSError):
            kept = self.since(size - KEPT)
            with open(self._path + ".old", "w", encoding="utf-8") as file:
                file.write(kept)
            os.truncate(self._path, 0)
