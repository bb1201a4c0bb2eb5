"""The processes of the demonstration: they are started to end with this one, and ended without leftovers."""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from attrs import frozen

#: Option of prctl(2): send a signal to this process when its parent dies.
PR_SET_PDEATHSIG = 1
#: Seconds between two checks of a condition.
POLL_INTERVAL = 0.05


@frozen
class Child:
    """A started process; its output is in `log`."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path

    def log_tail(self, lines: int = 15) -> str:
        """Return the last lines of its log."""
        return "\n".join(self.log.read_text("utf-8", "replace").splitlines()[-lines:])


def start(
    name: str, command: Sequence[str], log: Path, directory: Path, environ: Mapping[str, str] | None = None
) -> Child:
    """
    Start a process in its own session, so Ctrl-C reaches only this process; if this process dies, it gets SIGTERM.

    :param environ: additional environment variables, for values that the process list must not show.
    :raise OSError: if it cannot be started.
    """
    libc = ctypes.CDLL(None, use_errno=True)

    def end_with_parent() -> None:
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)

    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            cwd=directory,
            env={**os.environ, **(environ or {})},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=end_with_parent,  # safe: this process has one thread
        )
    return Child(name, process, log)


def end(child: Child, seconds: float) -> bool:
    """Send SIGTERM, and SIGKILL after `seconds`; return whether SIGTERM was enough."""
    if child.process.poll() is None:
        child.process.send_signal(signal.SIGTERM)
    try:
        child.process.wait(seconds)
    except subprocess.TimeoutExpired:
        child.process.kill()
        child.process.wait()
        return False
    return True


def haproxies(config: Path) -> Iterator[int]:
    """Return the ids of the HAProxy processes, masters and workers, that use a configuration file."""
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            arguments = (entry / "cmdline").read_bytes().split(b"\0")
            state = (entry / "stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            continue
        program = os.path.basename(arguments[0]).startswith(b"haproxy")
        if program and state != "Z" and os.fsencode(config) in arguments:
            yield int(entry.name)


def end_haproxies(config: Path, seconds: float = 5.0) -> int:
    """
    End every HAProxy process that uses a configuration file: SIGTERM, and SIGKILL after `seconds`.

    :return: the number of processes.
    """
    running = list(haproxies(config))
    deadline = time.monotonic() + seconds
    number = signal.SIGTERM
    remaining = running
    while remaining:
        for pid in remaining:
            _signal(pid, number)
        until(lambda: not list(haproxies(config)), max(0.0, deadline - time.monotonic()) or 1.0)
        remaining = list(haproxies(config))
        if time.monotonic() >= deadline:
            number = signal.SIGKILL
    return len(running)


def _signal(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return


def until(condition: Callable[[], bool], seconds: float) -> bool:
    """Wait for a condition for at most `seconds`; return whether it became true."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() >= deadline:
            return False
        time.sleep(POLL_INTERVAL)
    return True


def port_in_use(address: str, port: int) -> bool:
    """Return whether another process listens on a port."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
            probe.listen(1)
        except OSError:
            return True
    return False
