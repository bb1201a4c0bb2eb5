"""Ports for tests that no other process of a parallel test run uses."""

from __future__ import annotations

import os
import socket
from contextlib import suppress
from functools import cache
from itertools import count

_PORTS = range(12_000, 22_000)
_TASK_PORTS = range(22_000, 31_000)
_BLOCK = 900

_numbers = count(os.getpid() * 37)
_held: list[socket.socket] = []


def free_port() -> int:
    """
    Return a port that is free on every address and that no process of the test run has used before.

    The kernel does not choose it: it uses the same ports for outgoing connections, of which tests have many.
    """
    while True:
        port = _PORTS[next(_numbers) % len(_PORTS)]
        # reserved before it is tried: a trial of another process would take it from its owner for that moment
        if _reserve(f"port {port}"):
            with socket.socket() as probe, suppress(OSError):
                probe.bind(("0.0.0.0", port))
                return port


@cache
def task_ports() -> tuple[int, int]:
    """Return the first and the last port for the tasks of this process's Marathons."""
    first = next(first for first in _TASK_PORTS[::_BLOCK] if _reserve(f"tasks from {first}"))
    return first, first + _BLOCK - 1


def _reserve(what: str) -> bool:
    """Reserve a name until this process ends: an abstract socket has one owner and needs no file."""
    held = socket.socket(socket.AF_UNIX)
    try:
        held.bind(f"\0marathon-lb tests: {what}")
    except OSError:
        held.close()
        return False
    _held.append(held)
    return True
