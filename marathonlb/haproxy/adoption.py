"""Finding the HAProxy that a controller before left behind."""

from __future__ import annotations

from itertools import pairwise

from marathonlb.errors import HAProxyUnavailable
from marathonlb.haproxy.procfs import Procfs, Seen
from marathonlb.haproxy.state import StateDirectory


def left_behind(state: StateDirectory, path: str, procfs: Procfs) -> Seen | None:
    """
    The master that the pid file names, where it is still that one: it was told to bind our socket.

    :param path: haproxy.cfg.

    Raises `HAProxyUnavailable` where it runs with another file, which no reload would change.
    """
    pid = _noted_pid(state)
    seen = procfs.see(pid) if pid else None
    if seen is None or state.socket("master.sock") not in _told_to_bind(procfs.arguments(seen.pid)):
        return None
    if not procfs.runs_with(seen.pid, path):
        reason = f"the HAProxy that runs (pid {seen.pid}) has another configuration file than {path}"
        raise HAProxyUnavailable(
            reason=f"{reason}: end it, or choose another --state-dir or --haproxy-config"
        )
    return seen


def _noted_pid(state: StateDirectory) -> int | None:
    try:
        with open(state.file("haproxy.pid"), encoding="ascii") as file:
            return int(file.readline())
    except (OSError, ValueError):
        return None


def _told_to_bind(arguments: tuple[str, ...]) -> set[str]:
    """The master sockets of a HAProxy's command line."""
    return {value.partition(",")[0] for option, value in pairwise(arguments) if option == "-S"}
