"""
Drains a HAProxy that a controller started, and stops it.

The image's supervisor does so when its container stops; systemd's unit for HAProxy runs this as a program.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from contextlib import suppress
from itertools import pairwise

from attrs import field, frozen

from marathonlb.haproxy.process.procfs import ProcessIdentity, Procfs

ENDING = (signal.SIGTERM, signal.SIGINT)
"""The signals that stop a container."""

CUT_SECONDS = 1.0
"""Seconds until HAProxy is killed after its connections were cut."""

_LOOK = 0.05
"""Seconds between two checks of whether HAProxy runs."""


@frozen
class HAProxy:
    """The HAProxy that a controller started, whose master is in the pid file of the state directory."""

    state_directory: str
    procfs: Procfs = field(factory=Procfs)

    def master(self) -> ProcessIdentity | None:
        """Return its master if it runs and is ours, which its command line shows: it binds our master socket."""
        with suppress(OSError, ValueError):
            with open(os.path.join(self.state_directory, "haproxy.pid"), encoding="ascii") as file:
                process = self.procfs.identify(int(file.readline()))
            socket = os.path.join(self.state_directory, "master.sock")
            if process is not None and any(
                option == "-S" and value.partition(",")[0] == socket
                for option, value in pairwise(self.procfs.arguments(process.pid))
            ):
                return process
        return None

    def drain(self, seconds: float) -> bool:
        """
        Let it finish its connections and stop it; connections that remain after these seconds are cut.

        :return: True if every connection ended by itself.
        """
        master = self.master()
        if master is None:
            return True
        kill(master.pid, signal.SIGUSR1)
        if self._ends_within(master, seconds):
            return True
        kill(master.pid, signal.SIGTERM)
        if not self._ends_within(master, CUT_SECONDS):
            kill(master.pid, signal.SIGKILL)
        return False

    def _ends_within(self, master: ProcessIdentity, seconds: float) -> bool:
        """Wait until the master has ended; return False after these seconds, or at a signal."""
        deadline = time.monotonic() + seconds
        while self.procfs.alive(master):
            if time.monotonic() >= deadline or signal.sigtimedwait(ENDING, _LOOK) is not None:
                return False
            reap()
        return True


def kill(pid: int, number: int) -> None:
    """Send a signal to a process, which may have ended."""
    with suppress(ProcessLookupError):
        os.kill(pid, number)


def reap() -> dict[int, int]:
    """Reap ended children, also inherited ones; return process id to exit status, or to 128 plus the signal."""
    ended = {}
    with suppress(ChildProcessError):
        while True:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if not pid:
                break
            code = os.waitstatus_to_exitcode(status)
            ended[pid] = code if code >= 0 else 128 - code
    return ended


def main(arguments: list[str]) -> int:
    """
    Drain: ``STATE_DIRECTORY SECONDS``. A signal cuts the remaining connections at once.

    :return: the exit status, always 0.
    """
    directory, seconds = arguments
    signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)
    if not HAProxy(directory).drain(float(seconds)):
        sys.stdout.write(f"connections that were still open after {seconds} s, or at a signal, were cut\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
