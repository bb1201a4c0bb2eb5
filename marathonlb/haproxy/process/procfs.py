"""Processes in ``/proc``: which HAProxy runs with a file, and whether a known process still runs."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress

from msgspec import Struct


class ProcessIdentity(Struct, frozen=True):
    """
    A process. Its id may be given to another process later; its id together with its start is unique.

    :param started: when it was started, in ticks since the boot, as ``/proc`` says; empty if unknown.
    """

    pid: int
    started: str


class Procfs:
    """
    The processes of this machine.

    :param root: the path of ``/proc``.
    """

    def __init__(self, root: str = "/proc") -> None:
        self._root = root

    def identify(self, pid: int) -> ProcessIdentity | None:
        """Return a process that runs; None if there is none, or if it has ended and was not reaped yet."""
        fields = self._fields(pid)
        return ProcessIdentity(pid, fields[19]) if fields and fields[0] not in "ZX" else None

    def alive(self, process: ProcessIdentity) -> bool:
        """Return whether a process still runs."""
        return self.identify(process.pid) == process

    def arguments(self, pid: int) -> tuple[str, ...]:
        """Return a process's program and arguments; none if it is gone."""
        try:
            with open(f"{self._root}/{pid}/cmdline", encoding="utf-8", errors="surrogateescape") as file:
                return tuple(file.read().split("\0")[:-1])
        except OSError:
            return ()

    def haproxies(self, path: str) -> tuple[int, ...]:
        """Return the ids of the HAProxy processes, masters and workers, that were started with this file."""
        return tuple(sorted(pid for pid in self._pids() if self.runs_with(pid, path)))

    def masters(self, path: str) -> tuple[int, ...]:
        """
        Return the ids of those HAProxy processes that lead their session, as a service does and its workers do not.

        A process in a container has another file at this path. So may a process of another user that we may not look
        into; its ports are not shared with ours.
        """
        directory = os.path.dirname(os.path.realpath(path))
        return tuple(
            pid for pid in self.haproxies(path) if self._session(pid) == pid and self._sees(pid, directory)
        )

    def runs_with(self, pid: int, path: str) -> bool:
        """Return whether a process is a HAProxy that was started with this file, or with the file's directory."""
        arguments = self.arguments(pid)
        if not arguments or not os.path.basename(arguments[0]).startswith("haproxy"):
            return False
        working = "/"
        with suppress(OSError):
            working = os.readlink(f"{self._root}/{pid}/cwd")
        real = os.path.realpath(path)
        named = {os.path.realpath(os.path.join(working, argument)) for argument in _files(arguments)}
        return real in named or os.path.dirname(real) in named

    def _sees(self, pid: int, directory: str) -> bool:
        with suppress(OSError):
            return os.path.samefile(directory, f"{self._root}/{pid}/root{directory}")
        return False

    def _session(self, pid: int) -> int:
        return int((self._fields(pid) or ["0"] * 4)[3])

    def _fields(self, pid: int) -> list[str]:
        """Return the fields of a process's ``stat`` from its state on (proc(5)); none if it is gone."""
        try:
            with open(f"{self._root}/{pid}/stat", encoding="utf-8", errors="replace") as file:
                return file.read().rpartition(")")[2].split()
        except OSError:
            return []

    def _pids(self) -> Iterator[int]:
        with suppress(OSError):
            for name in os.listdir(self._root):
                if name.isdigit():
                    yield int(name)


def _files(arguments: tuple[str, ...]) -> Iterator[str]:
    """Yield the configuration files of a HAProxy's command line: ``-f FILE``, and everything after ``--``."""
    words = iter(arguments[1:])
    for word in words:
        if word == "-f":
            yield next(words, "/")
        elif word == "--":
            yield from words
