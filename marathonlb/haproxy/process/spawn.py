"""Starting HAProxy: in a session of its own, so that it outlives us, with its output in the log."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence

from twisted.internet.interfaces import IReactorProcess
from twisted.internet.protocol import ProcessProtocol
from twisted.python.failure import Failure

from marathonlb.haproxy.process import setsid_exec
from marathonlb.haproxy.process.binary import Binary, haproxy_environment
from marathonlb.haproxy.process.output_log import Log


class _Started(ProcessProtocol):
    """Lets Twisted reap what we started; whether it is there is seen in ``/proc``, as for an adopted one."""

    def __init__(self, ended: Callable[[int, str], None]) -> None:
        self._ended = ended
        self._pid = 0

    def connectionMade(self) -> None:
        """Keep its process id."""
        assert self.transport is not None
        self._pid = int(self.transport.pid or 0)

    def processEnded(self, reason: Failure) -> None:
        """Say so at once."""
        self._ended(self._pid, reason.getErrorMessage())


def launch(
    spawner: IReactorProcess,
    binary: Binary,
    arguments: Sequence[str],
    log: Log,
    ended: Callable[[int, str], None],
) -> int:
    """
    Start the program.

    :param ended: is told of its end: the process id, and how.
    :return: its process id.
    """
    command = [sys.executable, "-I", "-S", os.path.abspath(setsid_exec.__file__), binary.path, *arguments]
    nothing = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
    words = log.open()
    try:
        transport = spawner.spawnProcess(
            _Started(ended),
            command[0],
            command,
            env=haproxy_environment(os.environ),
            path=binary.cwd,
            childFDs={0: nothing, 1: words, 2: words},
        )
    finally:
        os.close(nothing)
        os.close(words)
    pid = transport.pid
    assert isinstance(pid, int)
    return pid
