"""
Lets a HAProxy that a controller started finish what it has, and ends it.

The image's supervisor does so at the end of its container; systemd's unit for HAProxy runs this as a program.
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

CUT_SECONDS = 1.0
"""What HAProxy has for its end once its connections are cut."""

_LOOK = 0.05


@frozen
class HAProxy:
    """The HAProxy that a controller started: its master is named by the pid file of the state directory."""

    state_directory: str
    procfs: Procfs = field(factory=Procfs)

    def master(self) -> ProcessIdentity | None:
        """Its master, where it runs and is ours: it was told to bind our socket."""
        with suppress(OSError, ValueError):
            with open(os.path.join(self.state_directory, "haproxy.pid"), encoding="ascii") as file:
                seen = self.procfs.identify(int(file.readline()))
            socket = os.path.join(self.state_directory, "master.sock")
            if seen is not None and any(
                option == "-S" and value.partition(",")[0] == socket
                for option, value in pairwise(self.procfs.arguments(seen.pid))
            ):
                return seen
        return None

    def drain(self, seconds: float) -> bool:
        """
        Let it finish what it has and end it; what is left after these seconds is cut.

        :return: whether every connection ended by itself.
        """
        master = self.master()
        if master is None:
            return True
        kill(master.pid, signal.SIGUSR1)
        if self._gone(master, seconds):
            return True
        kill(master.pid, signal.SIGTERM)
        if not self._gone(master, CUT_SECONDS):
            kill(master.pid, signal.SIGKILL)
        return False

    def _gone(self, master: ProcessIdentity, seconds: float) -> bool:
        deadline = time.monotonic() + seconds
        while self.procfs.alive(master):
            if time.monotonic() >= deadline or signal.sigtimedwait(ENDING, _LOOK) is not None:
                return False
            reap()
        return True


def kill(pid: int, number: int) -> None:
    """Send a signal to a process, which may be gone."""
    with suppress(ProcessLookupError):
        os.kill(pid, number)


def reap() -> dict[int, int]:
    """The children that have ended, ours and those inherited: their exit status, or 128 and the signal, by their id."""
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
    Drain: ``STATE_DIRECTORY SECONDS``. A signal cuts what is still open at once.

    :return: the exit status, 0 however it ended.
    """
    directory, seconds = arguments
    signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)
    if not HAProxy(directory).drain(float(seconds)):
        sys.stdout.write(f"connections that were still open after {seconds} s, or at a signal, were cut\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
