"""
Reading files whose paths come from labels and options: never blocking, and never on the reactor's thread.

A path may lead to a FIFO, a device or a file system that does not answer. So only regular files are read, up to a size,
in threads of their own: a file system that hangs blocks its own threads only.
"""

from __future__ import annotations

import os
import stat
from collections import Counter, deque
from collections.abc import Callable, Sequence
from threading import Thread
from typing import Any, Protocol, TypeVar

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

LARGEST = 4_000_000
"""Maximum number of bytes of a file; a bundle of all public authorities has 220,000."""

MAX_THREADS = 32
"""Maximum number of threads that read at a time."""

MAX_PER_MOUNT = 4
"""Maximum number of threads that read from one file system at a time."""

SPECIAL = ("/proc", "/sys", "/dev")
"""The directories whose files are not data on a disk, except ``/dev/shm``."""

T = TypeVar("T")


def read_regular(path: str, largest: int = LARGEST) -> tuple[bytes, str]:
    """
    Return a regular file's bytes, and its real path.

    :raises OSError: it cannot be read.
    :raises ValueError: it is no regular file, or a larger one.
    """
    _require_regular(os.stat(path).st_mode)
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    with open(descriptor, "rb") as file:
        _require_regular(os.fstat(descriptor).st_mode)
        real = _real(descriptor, path)
        if real.startswith(tuple(f"{directory}/" for directory in SPECIAL)) and not real.startswith(
            "/dev/shm/"
        ):
            raise ValueError("is no regular file")
        content = file.read(largest + 1)
    if len(content) > largest:
        raise ValueError(f"is larger than {largest} bytes")
    return content, real


def _require_regular(mode: int) -> None:
    if not stat.S_ISREG(mode):
        raise ValueError("is no regular file")


def _real(descriptor: int, path: str) -> str:
    """Return the path of an open file, which a symbolic link that changes meanwhile cannot falsify."""
    try:
        return os.readlink(f"/proc/self/fd/{descriptor}")
    except OSError:
        return os.path.realpath(path)


def mount_points() -> tuple[str, ...]:
    """Return the mount points, the longest first; this does not access the file systems."""
    try:
        with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
            mounts = {line.split(" ", 5)[4] for line in file if line.count(" ") > 4}
    except OSError:
        mounts = set()
    return tuple(sorted(mounts | {"/"}, key=len, reverse=True))


def mount_of(path: str, mounts: Sequence[str]) -> str:
    """Return the mount point of a path, as it is written."""
    return next((mount for mount in mounts if path == mount or path.startswith(mount.rstrip("/") + "/")), "/")


class Reads(Protocol):
    """Runs functions that read files."""

    def run(self, path: str, work: Callable[[], T]) -> Deferred[T]:
        """Run this in a thread, and return its result; `path` determines the file system."""


class Readers:
    """
    Threads that read files.

    They are daemon threads: one that hangs does not keep the process from ending.

    :param call: runs a function on the reactor's thread (`IReactorFromThreads.callFromThread`).
    :param mounts: returns the mount points.
    """

    def __init__(
        self,
        call: Callable[..., object],
        mounts: Callable[[], Sequence[str]] = mount_points,
    ) -> None:
        self._call = call
        self._mounts = mounts
        self._busy: Counter[str] = Counter()
        self._waiting: dict[str, deque[tuple[Callable[[], Any], Deferred[Any]]]] = {}
        self._known: Sequence[str] = ()

    def run(self, path: str, work: Callable[[], T]) -> Deferred[T]:
        """See `Reads`. Work for a file system that does not answer is begun when it answers."""
        if not self._waiting and not self._busy:
            self._known = self._mounts()
        mount = mount_of(path, self._known)
        done: Deferred[T] = Deferred()
        self._waiting.setdefault(mount, deque()).append((work, done))
        self._begin(mount)
        return done

    def _begin(self, mount: str) -> None:
        """Begin the work that waits for a file system, as far as there are threads."""
        waiting = self._waiting.get(mount)
        while waiting and self._busy[mount] < MAX_PER_MOUNT and self._busy.total() < MAX_THREADS:
            work, done = waiting.popleft()
            self._busy[mount] += 1
            Thread(target=self._run, args=(mount, work, done), daemon=True, name="reads files").start()
        if not waiting:
            self._waiting.pop(mount, None)

    def _run(self, mount: str, work: Callable[[], Any], done: Deferred[Any]) -> None:
        """Run the work, in its thread."""
        result: Any
        try:
            result = work()
        except Exception:  # noqa: BLE001 every error goes to the caller
            result = Failure()
        self._call(self._ended, mount, done, result)

    def _ended(self, mount: str, done: Deferred[Any], result: Any) -> None:
        self._busy[mount] -= 1
        if not self._busy[mount]:
            del self._busy[mount]
        for next_mount in (mount, *(other for other in tuple(self._waiting) if other != mount)):
            self._begin(next_mount)
        done.callback(result)
