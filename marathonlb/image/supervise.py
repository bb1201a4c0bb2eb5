"""
A container's first process: keeps the controller running, and drains HAProxy when the container is to end.

HAProxy lives in a session of its own and outlives the controller, so a controller that dies is started again after a
pause and adopts it; clients notice nothing. Where no HAProxy runs there is nothing to protect: then the container ends
with the controller's status, and whoever started it sees why.

SIGTERM and SIGINT end it: first the controller, which would start HAProxy again, then HAProxy, which takes no new
connections and may finish those it has. What is still open when the time is over, or at a second such signal, is cut.
SIGHUP and SIGUSR1 are handed to the controller. As the first process it inherits what loses its parent, and reaps it.

It imports as little as it can: it stays in memory for the life of the container.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Sequence

from attrs import define, frozen

from marathonlb.image.drain import ENDING, HAProxy, kill, reap

HANDED_ON = (signal.SIGHUP, signal.SIGUSR1)
WATCHED = (*ENDING, *HANDED_ON, signal.SIGCHLD)

FIRST_PAUSE, LONGEST_PAUSE = 0.5, 30.0
"""Seconds before a controller that died is started again: doubled each time, up to the second one."""

LONG_ENOUGH = 30.0
"""Seconds after which a controller that dies has not just died again."""

CONTROLLER_SECONDS = 3.0
"""What the controller has for its end before it is killed."""

_LOOK = 0.05


@frozen
class Program:
    """One program that is kept running; its arguments begin with its path."""

    name: str
    arguments: tuple[str, ...]


def say(message: str) -> None:
    """One line on standard error."""
    sys.stderr.write(f"docker-entrypoint: {message}\n")
    sys.stderr.flush()


@define
class Child:
    """
    A program and its process.

    :param pid: None while it is not running.
    :param since: when it was started, or is to be started, in seconds of the monotonic clock.
    """

    program: Program
    pid: int | None = None
    since: float = 0.0
    pause: float = FIRST_PAUSE

    def start(self) -> None:
        """Start it, with no signal blocked or ignored."""
        arguments = self.program.arguments
        self.pid = os.posix_spawn(arguments[0], arguments, os.environ, setsigmask=(), setsigdef=WATCHED)
        self.since = time.monotonic()

    def ended(self) -> float:
        """Note that it has ended; the seconds after which it is started again."""
        self.pid = None
        now = time.monotonic()
        if now - self.since >= LONG_ENOUGH:
            self.pause = FIRST_PAUSE
        pause, self.pause = self.pause, min(self.pause * 2, LONGEST_PAUSE)
        self.since = now + pause
        return pause

    def stop(self, seconds: float) -> None:
        """Ask it to end, and see to it that it has after these seconds."""
        if self.pid is None:
            return
        kill(self.pid, signal.SIGTERM)
        deadline = time.monotonic() + seconds
        while self.pid not in reap():
            if time.monotonic() >= deadline:
                say(f"{self.program.name} does not end and is killed")
                kill(self.pid, signal.SIGKILL)
                deadline = float("inf")
            time.sleep(_LOOK)
        self.pid = None


class Supervisor:
    """
    Keeps programs running until a signal ends it, or the controller ends where no HAProxy runs.

    :param controller: the program whose HAProxy is drained.
    :param others: started and ended with it.
    :param drain: seconds that connections may go on.
    """

    def __init__(
        self, controller: Program, others: Sequence[Program], haproxy: HAProxy, drain: float
    ) -> None:
        self._controller = Child(controller)
        self._children = (*(Child(other) for other in others), self._controller)
        self._haproxy = haproxy
        self._drain = drain

    def run(self) -> int:
        """Work until the end; returns the exit status."""
        signal.pthread_sigmask(signal.SIG_BLOCK, WATCHED)
        code: int | None = None
        while code is None:
            for child in self._children:
                if child.pid is None and child.since <= time.monotonic():
                    child.start()
            code = self._step()
        return code

    def _step(self) -> int | None:
        """Wait for the next thing to happen, and answer it; the exit status where that is the end."""
        due = [child.since for child in self._children if child.pid is None]
        patience = max(0.0, min(due) - time.monotonic()) if due else 3600.0
        happened = signal.sigtimedwait(WATCHED, patience)
        number = happened.si_signo if happened is not None else signal.SIGCHLD
        if number in ENDING:
            return self._end()
        if number in HANDED_ON and self._controller.pid is not None:
            kill(self._controller.pid, number)
        ended = reap()
        for child in self._children:
            if child.pid in ended:
                code = self._ended(child, ended[child.pid])
                if code is not None:
                    return code
        return None

    def _ended(self, child: Child, code: int) -> int | None:
        name = child.program.name
        how = f"ended with status {code}" if code < 128 else f"was ended by signal {code - 128}"
        if child is self._controller and self._haproxy.master() is None:
            child.pid = None
            say(f"{name} {how}; no HAProxy runs, so the container ends")
            self._stop_all()
            return code
        say(
            f"{name} {how}; it is started again in {child.ended():g} s"
            + (", HAProxy serves on" if child is self._controller else "")
        )
        return None

    def _end(self) -> int:
        """In order: the controller, HAProxy, the rest. What the first one takes, the second one has less."""
        say(f"the end is asked for; connections have {self._drain:g} s")
        over = time.monotonic() + self._drain
        self._controller.stop(CONTROLLER_SECONDS)
        if not self._haproxy.drain(max(0.0, over - time.monotonic())):
            say(f"connections that were still open after {self._drain:g} s, or at a second signal, were cut")
        self._stop_all()
        return 0

    def _stop_all(self) -> None:
        for child in self._children:
            child.stop(CONTROLLER_SECONDS)


def main(arguments: list[str]) -> int:
    """
    Run: ``STATE_DIRECTORY DRAIN_SECONDS SYSLOG CONTROLLER ARGUMENTS``.

    :param arguments: of them ``SYSLOG`` is where a syslog is to listen, or empty.
    """
    state_directory, drain, socket, *controller = arguments
    others = []
    if socket:
        from marathonlb.image import syslogd

        command = (sys.executable, "-I", "-S", os.path.abspath(syslogd.__file__), socket)
        others.append(Program("the syslog", command))
    supervisor = Supervisor(
        Program("the controller", tuple(controller)), others, HAProxy(state_directory), float(drain)
    )
    return supervisor.run()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
