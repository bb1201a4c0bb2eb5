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
        try:
            with open(f"{self._root}/{pid}/stat", encoding="utf-8", errors="replace") as file:
                fields = file.read().rpartition(")")[2].split()
        except OSError:
            return None
        return Seen(pid, fields[19]) if fields[0] not in "ZX" else None

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
