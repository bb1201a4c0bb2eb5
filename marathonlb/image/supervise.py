"""
A container's first process: keeps the controller running, and drains HAProxy when the container stops.

HAProxy runs in a session of its own and outlives the controller. So a controller that ended is started again after a
pause and adopts HAProxy; clients notice nothing. If no HAProxy runs, the container ends with the controller's status.

SIGTERM and SIGINT stop it: first the controller, which would start HAProxy again, then HAProxy, which accepts no new
connections and finishes those that it has. Connections that are open after the time limit, or at a second such signal,
are cut. SIGHUP and SIGUSR1 are passed on to the controller. As the first process it inherits and reaps orphans.

It imports as little as possible, because it stays in memory for the life of the container.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Sequence

from attrs import define, frozen

from marathonlb.image.drain import ENDING, HAProxy, kill, reap

FORWARDED = (signal.SIGHUP, signal.SIGUSR1)
"""The signals that are passed on to the controller."""

WATCHED = (*ENDING, *FORWARDED, signal.SIGCHLD)

FIRST_PAUSE, LONGEST_PAUSE = 0.5, 30.0
"""Seconds before an ended program is started again: the first pause, doubled each time, and the longest one."""

LONG_ENOUGH = 30.0
"""Seconds of running after which the pause is the first one again."""

CONTROLLER_SECONDS = 3.0
"""Seconds until a program that was asked to stop is killed."""

_LOOK = 0.05
"""Seconds between two checks of whether a program has ended."""


@frozen
class SupervisedProgram:
    """A program that is kept running; its path is the first argument."""

    name: str
    arguments: tuple[str, ...]


def say(message: str) -> None:
    """Write one line to standard error."""
    sys.stderr.write(f"docker-entrypoint: {message}\n")
    sys.stderr.flush()


@define
class Child:
    """
    A program and its process.

    :param pid: the process id; None while it is not running.
    :param since: when it was started, or is to be started next, in seconds of the monotonic clock.
    :param pause: seconds before it is started again after its next end.
    """

    program: SupervisedProgram
    pid: int | None = None
    since: float = 0.0
    pause: float = FIRST_PAUSE

    def start(self) -> None:
        """Start the program, with no signal blocked or ignored."""
        arguments = self.program.arguments
        self.pid = os.posix_spawn(arguments[0], arguments, os.environ, setsigmask=(), setsigdef=WATCHED)
        self.since = time.monotonic()

    def ended(self) -> float:
        """Record that the program has ended; return the seconds after which it is started again."""
        self.pid = None
        now = time.monotonic()
        if now - self.since >= LONG_ENOUGH:
            self.pause = FIRST_PAUSE
        pause, self.pause = self.pause, min(self.pause * 2, LONGEST_PAUSE)
        self.since = now + pause
        return pause

    def stop(self, seconds: float) -> None:
        """Stop the program; kill it after these seconds."""
        if self.pid is None:
            return
        kill(self.pid, signal.SIGTERM)
        deadline = time.monotonic() + seconds
        while self.pid not in reap():
            if time.monotonic() >= deadline:
                say(f"{self.program.name} does not stop and is killed")
                kill(self.pid, signal.SIGKILL)
                deadline = float("inf")
            time.sleep(_LOOK)
        self.pid = None


class Supervisor:
    """
    Keeps programs running until a signal, or until the controller ends while no HAProxy runs.

    :param controller: the program whose HAProxy is drained.
    :param others: programs that are started and stopped with it.
    :param drain: seconds that connections may continue.
    """

    def __init__(
        self,
        controller: SupervisedProgram,
        others: Sequence[SupervisedProgram],
        haproxy: HAProxy,
        drain: float,
    ) -> None:
        self._controller = Child(controller)
        self._children = (*(Child(other) for other in others), self._controller)
        self._haproxy = haproxy
        self._drain = drain

    def run(self) -> int:
        """Run until the end, and return the exit status."""
        signal.pthread_sigmask(signal.SIG_BLOCK, WATCHED)
        code: int | None = None
        while code is None:
            for child in self._children:
                if child.pid is None and child.since <= time.monotonic():
                    child.start()
            code = self._step()
        return code

    def _step(self) -> int | None:
        """Wait for the next signal or start, and handle it; return the exit status if this is the end."""
        due = [child.since for child in self._children if child.pid is None]
        patience = max(0.0, min(due) - time.monotonic()) if due else 3600.0
        received = signal.sigtimedwait(WATCHED, patience)
        number = received.si_signo if received is not None else signal.SIGCHLD
        if number in ENDING:
            return self._stop()
        if number in FORWARDED and self._controller.pid is not None:
            kill(self._controller.pid, number)
        ended = reap()
        for child in self._children:
            if child.pid in ended:
                code = self._ended(child, ended[child.pid])
                if code is not None:
                    return code
        return None

    def _ended(self, child: Child, code: int) -> int | None:
        """Handle the end of a program; return the exit status if the container ends with it."""
        name = child.program.name
        how = f"ended with status {code}" if code < 128 else f"was ended by signal {code - 128}"
        if child is self._controller and self._haproxy.master() is None:
            child.pid = None
            say(f"{name} {how}; no HAProxy runs, so the container ends")
            self._stop_all()
            return code
        say(
            f"{name} {how}; it is started again in {child.ended():g} s"
            + (", HAProxy keeps serving" if child is self._controller else "")
        )
        return None

    def _stop(self) -> int:
        """Stop the controller, HAProxy and the rest, in this order, within one time limit for the first two."""
        say(f"stopping; open connections have {self._drain:g} s")
        deadline = time.monotonic() + self._drain
        self._controller.stop(CONTROLLER_SECONDS)
        if not self._haproxy.drain(max(0.0, deadline - time.monotonic())):
            say(f"connections that were still open after {self._drain:g} s, or at a second signal, were cut")
        self._stop_all()
        return 0

    def _stop_all(self) -> None:
        for child in self._children:
            child.stop(CONTROLLER_SECONDS)


def main(arguments: list[str]) -> int:
    """
    Run with arguments ``STATE_DIRECTORY DRAIN_SECONDS SYSLOG CONTROLLER ARGUMENTS``.

    :param arguments: ``SYSLOG`` is the path of the syslog's socket; empty for no syslog.
    """
    state_directory, drain, socket, *controller = arguments
    others = []
    if socket:
        from marathonlb.image import syslogd

        command = (sys.executable, "-I", "-S", os.path.abspath(syslogd.__file__), socket)
        others.append(SupervisedProgram("the syslog", command))
    supervisor = Supervisor(
        SupervisedProgram("the controller", tuple(controller)), others, HAProxy(state_directory), float(drain)
    )
    return supervisor.run()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
