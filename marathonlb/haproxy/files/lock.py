"""
Locks that allow one controller at a time for a state directory, for a haproxy.cfg, and for the map files beside it.

Each has a file that the controller keeps locked while it runs. The kernel releases the lock however the process ends;
no program that it starts inherits it. The file names the holder.
"""

from __future__ import annotations

import fcntl
import os
import re
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime

from msgspec import Struct
from twisted.logger import Logger

from marathonlb.errors import AlreadyRunning, UsageError
from marathonlb.haproxy.files.sockets import listener
from marathonlb.haproxy.files.state_directory import longest_state_directory
from marathonlb.haproxy.files.trust import require_closed
from marathonlb.settings import Settings

LOCK = "lock"
"""Name of the lock file in the state directory."""

MODE = 0o600
"""Mode of a lock file: no other user may open it, since a user who can open it can lock it."""

_log = Logger()


class _LockedPlace(Struct, frozen=True):
    """
    A place that only one controller may use.

    :param path: the lock file.
    :param what: the place's name in messages.
    :param option: the option that selects another place.
    """

    path: str
    what: str
    option: str


def _places(settings: Settings) -> Iterator[_LockedPlace]:
    directory, name = os.path.split(os.path.abspath(settings.haproxy_config))
    state = os.path.abspath(settings.state_dir)
    yield _LockedPlace(os.path.join(state, LOCK), f"the state directory {state}", "--state-dir")
    yield _LockedPlace(
        os.path.join(directory, f".{name}.lock"), os.path.join(directory, name), "--haproxy-config"
    )
    if settings.haproxy_map:
        yield _LockedPlace(
            os.path.join(directory, ".maps.lock"),
            f"the map files in {directory}",
            "directory to --haproxy-config",
        )


class ControllerLocks:
    """
    The locks that this process holds.

    :param now: the start of the process, in seconds since the epoch.
    :param config: the path of haproxy.cfg, for the description of the holder.
    """

    def __init__(self, descriptors: Iterable[int], now: float, config: str) -> None:
        self._descriptors = list(descriptors)
        self._now = now
        self._config = config
        self.sign()

    def sign(self) -> None:
        """Write the holder into the files; again if the process has forked, as a daemon does."""
        since = datetime.fromtimestamp(self._now, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        holder = f"pid {os.getpid()} ({command(sys.argv)}, {self._config}) since {since}\n".encode()
        for descriptor in self._descriptors:
            with suppress(OSError):  # a full disk loses the description, not the lock
                os.ftruncate(descriptor, 0)
                os.pwrite(descriptor, holder, 0)

    def release(self) -> None:
        """Release the locks."""
        while self._descriptors:
            os.close(self._descriptors.pop())


def command(argv: Iterable[str]) -> str:
    """Return the name of a program without its options, which may contain secrets."""
    program, *arguments = argv
    name = os.path.basename(program)
    return f"{name} marathon-lb" if "marathon-lb" in arguments else name


def occupy(settings: Settings, now: float, sockets: Iterable[str] = ()) -> ControllerLocks:
    """
    Make the state directory and take the locks.

    :param sockets: names in the state directory on which a controller listens.
    :raises AlreadyRunning: another controller holds one of them.
    :raises UsageError: the state directory cannot be used: other users can write to it, or its path is too long.
    """
    _require_short(settings)
    require_closed(settings)  # before anything is created in it, and after
    directory = os.path.abspath(settings.state_dir)
    with suppress(OSError):  # the first write there reports it, and is tried again
        os.makedirs(directory, 0o750, exist_ok=True)
    require_closed(settings)
    descriptors: list[int] = []
    try:
        for place in _places(settings):
            descriptor = _lock(place)
            if descriptor is not None:
                descriptors.append(descriptor)
        for name in sockets:
            if holder := listener(os.path.join(directory, name)):
                raise _running(next(_places(settings)), holder)
    except BaseException:
        for descriptor in descriptors:
            os.close(descriptor)
        raise
    return ControllerLocks(descriptors, now, os.path.abspath(settings.haproxy_config))


@contextmanager
def occupied(settings: Settings, now: float, sockets: Iterable[str] = ()) -> Iterator[None]:
    """Hold the locks during a ``with`` block. Raises as `occupy` does."""
    locks = occupy(settings, now, sockets)
    try:
        yield
    finally:
        locks.release()


def _require_short(settings: Settings) -> None:
    """
    Require that HAProxy can bind sockets in the state directory, if it is managed; else warn.

    :raises UsageError: the path is too long for that.
    """
    path, most = os.path.abspath(settings.state_dir), longest_state_directory()
    if len(os.fsencode(path)) <= most:
        return
    expected = f"short enough: for the paths of HAProxy's sockets it may have {most} bytes"
    error = UsageError(option="--state-dir", value=path, expected=expected)
    if settings.manage_haproxy:
        raise error
    _log.warn("{error}", error=str(error))


def _lock(place: _LockedPlace) -> int | None:
    """Lock a place and return the file's descriptor; None if the file cannot be made, and so nothing beside it."""
    try:
        descriptor = os.open(place.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, MODE)
    except PermissionError as error:
        if not os.path.exists(place.path):
            return None
        raise UsageError(
            option=place.option.rpartition(" ")[2],
            value=os.path.dirname(place.path),
            expected=f"free: {place.path} belongs to another user ({error.strerror}); end the controller that runs "
            "as that user, and remove the file",
        ) from None
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = _holder(descriptor)
        os.close(descriptor)
        raise _running(place, holder) from None
    except OSError as error:
        _log.warn(
            "{path} cannot be locked: {reason}. Make sure that no other controller uses {what}",
            path=place.path,
            reason=error.strerror,
            what=place.what,
        )
        os.close(descriptor)
        return None
    return descriptor


def _holder(descriptor: int) -> str:
    holder = os.pread(descriptor, 500, 0).decode("utf-8", "replace")
    return re.sub(r"[^ -~]", "", holder.partition("\n")[0]) or "is just starting"


def _running(place: _LockedPlace, holder: str) -> AlreadyRunning:
    return AlreadyRunning(what=place.what, holder=holder, option=place.option)
