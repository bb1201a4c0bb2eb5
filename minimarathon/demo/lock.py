"""The lock on a demonstration's directory: one run at a time."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from attrs import field, frozen


class CannotRun(Exception):
    """The demonstration cannot start; the message has one line per problem and says what to do."""


@frozen
class DirectoryLock:
    """
    Locks a directory for one run, until the end of a ``with`` block.

    :raise CannotRun: if another run holds the lock.
    """

    path: Path
    _file: int = field(init=False)

    def __attrs_post_init__(self) -> None:
        file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(file)
            raise CannotRun(
                f"another run uses {self.path.parent}: end it, or choose another --directory"
            ) from None
        object.__setattr__(self, "_file", file)

    def __enter__(self) -> None:
        return None

    def __exit__(self, *exception: object) -> None:
        os.close(self._file)
