"""The processes of a demonstration: started so that they end with us, and ended so that nothing is left."""

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

#: ``prctl``: have a signal sent to us when our parent dies.
PR_SET_PDEATHSIG = 1
LOOK = 0.05


@frozen
class Child:
    """A process of ours; its output is in `log`."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path

    def last_words(self, lines: int = 15) -> str:
        """Return the end of its log."""
        return "\n".join(self.log.read_text("utf-8", "replace").splitlines()[-lines:])


def start(
    name: str, command: Sequence[str], log: Path, directory: Path, environ: Mapping[str, str] | None = None
) -> Child:
    """
    Start a process in a session of its own, so that a Ctrl-C reaches us alone; should we die, it gets SIGTERM.

    :param environ: variables besides ours: what the list of processes must not show.
    :raise OSError: where it cannot be started.
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
            preexec_fn=end_with_parent,  # safe: no thread of ours is there
        )
    return Child(name, process, log)


def end(child: Child, seconds: float) -> bool:
    """SIGTERM, and SIGKILL after `seconds`; whether it went by itself."""
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
    """Return the HAProxy processes, masters and workers, that run with a configuration file."""
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
    End every HAProxy that runs with a configuration file: SIGTERM, and SIGKILL after `seconds`.

    :return: how many there were.
    """
    found = list(haproxies(config))
    deadline = time.monotonic() + seconds
    number = signal.SIGTERM
    there = found
    while there:
        for pid in there:
            _signal(pid, number)
        until(lambda: not list(haproxies(config)), max(0.0, deadline - time.monotonic()) or 1.0)
        there = list(haproxies(config))
        if time.monotonic() >= deadline:
            number = signal.SIGKILL
    return len(found)


def _signal(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return


def until(true: Callable[[], bool], seconds: float) -> bool:
    """Wait until something is true, for `seconds` at most; whether it is."""
    deadline = time.monotonic() + seconds
    while not true():
        if time.monotonic() >= deadline:
            return False
        time.sleep(LOOK)
    return True


def taken(address: str, port: int) -> bool:
    """Return whether another process listens on a port."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
            probe.listen(1)
        except OSError:
            return True
    return False
