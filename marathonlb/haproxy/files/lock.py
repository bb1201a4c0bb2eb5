"""
One controller at a time: for a state directory, for a haproxy.cfg, and for the map files beside it.

Each has a file that the controller holds a lock on as long as it lives. The kernel lets go of it at any end of the
process; no program that it starts inherits it. The file says who holds it.
"""

from __future__ import annotations

import fcntl
import os
import re
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime

from attrs import frozen
from twisted.logger import Logger

from marathonlb.errors import AlreadyRunning, UsageError
from marathonlb.haproxy.files.sockets import listener
from marathonlb.haproxy.files.state_directory import longest_state_directory
from marathonlb.haproxy.files.trust import require_closed
from marathonlb.settings import Settings

LOCK = "lock"
"""Of the state directory."""

MODE = 0o600
"""Nobody else may open it, since whoever can may lock it."""

_log = Logger()


@frozen
class _Place:
    """
    What only one controller may use.

    :param path: the file that is locked.
    :param what: in words.
    :param option: names another place.
    """

    path: str
    what: str
    option: str


def _places(settings: Settings) -> Iterator[_Place]:
    directory, name = os.path.split(os.path.abspath(settings.haproxy_config))
    state = os.path.abspath(settings.state_dir)
    yield _Place(os.path.join(state, LOCK), f"the state directory {state}", "--state-dir")
    yield _Place(os.path.join(directory, f".{name}.lock"), os.path.join(directory, name), "--haproxy-config")
    if settings.haproxy_map:
        yield _Place(
            os.path.join(directory, ".maps.lock"),
            f"the map files in {directory}",
            "directory to --haproxy-config",
        )


class Held:
    """
    The locks that this process holds.

    :param now: seconds since the epoch, at which it began.
    """

    def __init__(self, descriptors: Iterable[int], now: float, config: str) -> None:
        self._descriptors = list(descriptors)
        self._now = now
        self._config = config
        self.sign()

    def sign(self) -> None:
        """Write who holds them; again where the process has become another one, as a daemon does."""
        since = datetime.fromtimestamp(self._now, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        words = f"pid {os.getpid()} ({command(sys.argv)}, {self._config}) since {since}\n".encode()
        for descriptor in self._descriptors:
            with suppress(OSError):  # a disk that is full costs the words, not the lock
                os.ftruncate(descriptor, 0)
                os.pwrite(descriptor, words, 0)

    def release(self) -> None:
        """Let go of them."""
        while self._descriptors:
            os.close(self._descriptors.pop())


def command(argv: Iterable[str]) -> str:
    """The name of a program without its options, in which a secret may stand."""
    program, *arguments = argv
    name = os.path.basename(program)
    return f"{name} marathon-lb" if "marathon-lb" in arguments else name


def occupy(settings: Settings, now: float, sockets: Iterable[str] = ()) -> Held:
    """
    Make the state directory and take the locks.

    :param sockets: names in the state directory on which a controller listens.
    :raises AlreadyRunning: another controller has one of them.
    :raises UsageError: the state directory cannot be used: others can write it, or its path is too long.
    """
    _require_short(settings)
    require_closed(settings)  # before anything is made in it, and after
    directory = os.path.abspath(settings.state_dir)
    with suppress(OSError):  # whoever writes there says so, and tries again
        os.makedirs(directory, 0o750, exist_ok=True)
    require_closed(settings)
    descriptors: list[int] = []
    try:
        for place in _places(settings):
            descriptor = _lock(place)
            if descriptor is not None:
                descriptors.append(descriptor)
        for name in sockets:
            if who := listener(os.path.join(directory, name)):
                raise _running(next(_places(settings)), who)
    except BaseException:
        for descriptor in descriptors:
            os.close(descriptor)
        raise
    return Held(descriptors, now, os.path.abspath(settings.haproxy_config))


@contextmanager
def occupied(settings: Settings, now: float, sockets: Iterable[str] = ()) -> Iterator[None]:
    """Hold the locks for a while. Raises as `occupy` does."""
    held = occupy(settings, now, sockets)
    try:
        yield
    finally:
        held.release()


def _require_short(settings: Settings) -> None:
    """
    See whether HAProxy could bind sockets in the state directory.

    :raises UsageError: it could not, and has to.
    """
    path, most = os.path.abspath(settings.state_dir), longest_state_directory()
    if len(os.fsencode(path)) <= most:
        return
    expected = f"short enough: for the paths of HAProxy's sockets it may have {most} bytes"
    error = UsageError(option="--state-dir", value=path, expected=expected)
    if settings.manage_haproxy:
        raise error
    _log.warn("{error}", error=str(error))


def _lock(place: _Place) -> int | None:
    """The descriptor of a file that is locked now; None where it cannot be made, and so nothing beside it."""
    try:
        descriptor = os.open(place.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, MODE)
    except PermissionError as error:
        if not os.path.exists(place.path):
            return None
        raise UsageError(
            option=place.option.rpartition(" ")[2],
            value=os.path.dirname(place.path),
            expected=f"free: {place.path} is another user's ({error.strerror}); end the controller that runs as that "
            "user, and remove the file",
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
            "{path} cannot be locked: {reason}. See to it that no other controller uses {what}",
            path=place.path,
            reason=error.strerror,
            what=place.what,
        )
        os.close(descriptor)
        return None
    return descriptor


def _holder(descriptor: int) -> str:
    words = os.pread(descriptor, 500, 0).decode("utf-8", "replace")
    return re.sub(r"[^ -~]", "", words.partition("\n")[0]) or "is just starting"


def _running(place: _Place, holder: str) -> AlreadyRunning:
    return AlreadyRunning(what=place.what, holder=holder, option=place.option)
