"""Disks on which the process crashes, and disks that are full."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from typing import Any

from marathonlb.base.files import Ownership, Text
from marathonlb.haproxy.files.disk import Disk


class Crash(BaseException):
    """Simulates a crash of the process; a BaseException, so no handler of the code runs."""


class FailingDisk(Disk):
    """
    Records its operations and calls a function before one of them.

    :param at: the number of the operation, from 0.
    :param happen: the function, which raises.
    :param partly: True if a write has written its first half before.
    """

    def __init__(
        self, at: int = -1, happen: Callable[[], None] = lambda: None, *, partly: bool = False
    ) -> None:
        self.done: list[str] = []
        self._at = at
        self._happen = happen
        self._partly = partly

    def _before(self, name: str) -> bool:
        self.done.append(name)
        return len(self.done) - 1 == self._at

    def write(self, path: str, text: Text | bytes, ownership: Ownership, *, durable: bool) -> None:
        if self._before("write"):
            if self._partly:
                super().write(path, text[: len(text) // 2], ownership, durable=False)
            self._happen()
        super().write(path, text, ownership, durable=durable)

    def __getattribute__(self, name: str) -> Any:
        method = super().__getattribute__(name)
        if name not in ("make_directory", "rename", "remove", "remove_directory", "sync"):
            return method

        def counted(*arguments: str) -> None:
            if self._before(name):
                self._happen()
            method(*arguments)

        return counted


def crashing(at: int, directory: str, copy: str, *, partly: bool = False) -> FailingDisk:
    """Return a disk that is copied before one operation; then the process crashes."""

    def happen() -> None:
        shutil.copytree(directory, copy, symlinks=True)
        raise Crash

    return FailingDisk(at, happen, partly=partly)


def refusing(at: int, code: int, words: str) -> FailingDisk:
    """Return a disk on which one operation fails."""

    def happen() -> None:
        raise OSError(code, words)

    return FailingDisk(at, happen, partly=True)
