"""HAProxy's output, in a file of the state directory: HAProxy outlives the controller that could read a pipe."""

from __future__ import annotations

import os
from contextlib import suppress

MAX_SIZE = 1024 * 1024
"""Size in bytes above which the file is cut."""

KEPT = 256 * 1024
"""Number of bytes at its end that are kept beside the file when it is cut."""


class OutputLog:
    """
    HAProxy's output.

    :param path: the file; ``.old`` beside it holds the end of what was cut off last.
    """

    def __init__(self, path: str) -> None:
        self._path = path

    def open(self) -> int:
        """Return a descriptor for HAProxy to append to. Raises `OSError`."""
        return os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)

    def size(self) -> int:
        """Return the size in bytes."""
        try:
            return os.stat(self._path).st_size
        except OSError:
            return 0

    def since(self, offset: int) -> str:
        """Return the text after this offset in bytes, or from the beginning if the file was cut meanwhile."""
        with suppress(OSError), open(self._path, "rb") as file:
            if offset <= self.size():
                file.seek(offset)
            return file.read(MAX_SIZE).decode("utf-8", "replace")
        return ""

    def tail(self, lines: int = 3) -> str:
        """Return the last lines, joined to one."""
        last = self.since(max(0, self.size() - 4096)).strip().splitlines()
        return " | ".join(last[-lines:])

    def trim(self) -> None:
        """Cut the file if it is too large, and keep its end beside it. HAProxy appends, so it continues there."""
        size = self.size()
        if size <= MAX_SIZE:
            return
        with suppress(OSError):
            kept = self.since(size - KEPT)
            with open(self._path + ".old", "w", encoding="utf-8") as file:
                file.write(kept)
            os.truncate(self._path, 0)
