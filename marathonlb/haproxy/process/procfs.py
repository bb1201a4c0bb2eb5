"""What ``/proc`` says of processes: which HAProxy runs with a file, and whether one that was seen is still there."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress

from attrs import frozen


@frozen
class Seen:
    """
    A process that was seen: its id may be given to another one, its id and start together are not.

    :param started: when it was started, in ticks since the boot, as ``/proc`` has it; empty where there is none.
    """

    pid: int
    started: str


class Procfs:
    """
    The processes of this machine.

    :param root: where ``/proc`` is.
    """

    def __init__(self, root: str = "/proc") -> None:
        self._root = root

    def see(self, pid: int) -> Seen | None:
        """A process that runs; None where there is none, or it has ended and only waits to be noticed."""
        fields = self._fields(pid)
        return Seen(pid, fields[19]) if fields and fields[0] not in "ZX" else None

    def alive(self, seen: Seen) -> bool:
        """Whether it is still there."""
        return self.see(seen.pid) == seen

    def arguments(self, pid: int) -> tuple[str, ...]:
        """A process's program and arguments; empty where it is gone."""
        try:
            with open(f"{self._root}/{pid}/cmdline", encoding="utf-8", errors="surrogateescape") as file:
                return tuple(file.read().split("\0")[:-1])
        except OSError:
            return ()

    def haproxies(self, path: str) -> tuple[int, ...]:
        """The ids of the HAProxy processes, masters and workers, that were started with this configuration file."""
        return tuple(sorted(pid for pid in self._pids() if self.runs_with(pid, path)))

    def masters(self, path: str) -> tuple[int, ...]:
        """
        Those of them that lead their session, as what was started as a service does, and no worker of it.

        In a container of its own a process has another file at this path; so has, for all we may know, one of a user
        whose processes we may not look into, and whose ports are not shared with us.
        """
        directory = os.path.dirname(os.path.realpath(path))
        return tuple(
            pid for pid in self.haproxies(path) if self._session(pid) == pid and self._sees(pid, directory)
        )

    def runs_with(self, pid: int, path: str) -> bool:
        """Whether this process is a HAProxy that was started with this file, or with the directory it lies in."""
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
        """What ``stat`` says of a process, from its state on; empty where it is gone (proc(5))."""
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
    """The configuration files of a HAProxy's command line: ``-f FILE``, and everything after ``--``."""
    words = iter(arguments[1:])
    for word in words:
        if word == "-f":
            yield next(words, "/")
        elif word == "--":
            yield from words
