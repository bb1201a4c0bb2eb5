"""Finding the HAProxy that a controller before left behind."""

from __future__ import annotations

from itertools import pairwise

from marathonlb.errors import HAProxyUnavailable
from marathonlb.haproxy.files.state_directory import StateDirectory
from marathonlb.haproxy.process.procfs import Procfs, Seen


def left_behind(state: StateDirectory, path: str, procfs: Procfs) -> Seen | None:
    """
    The master that was told to bind our socket: the one that the pid file names, or where that is lost, the one found.

    :param path: haproxy.cfg.

    Raises `HAProxyUnavailable` where it runs with another file, which no reload would change, and where another's
    HAProxy runs with this file: the kernel would let both have the ports, and only one of them would follow.
    """
    socket = state.socket("master.sock")
    pid = _noted_pid(state)
    seen = procfs.see(pid) if pid else None
    if seen is not None and socket in _told_to_bind(procfs.arguments(seen.pid)):
        if procfs.runs_with(seen.pid, path):
            return seen
        reason = f"the HAProxy that runs (pid {seen.pid}) has another configuration file than {path}"
        raise HAProxyUnavailable(
            reason=f"{reason}: end it, or choose another --state-dir or --haproxy-config"
        )
    for master in procfs.masters(path):
        if socket not in _told_to_bind(procfs.arguments(master)):
            raise HAProxyUnavailable(
                reason=f"a HAProxy that is not ours (pid {master}) runs with {path} and holds its ports: end it "
                "(`systemctl disable --now haproxy`, where the distribution has started it), or give the --state-dir "
                "that it was started with"
            )
        return procfs.see(master)
    return None


def _noted_pid(state: StateDirectory) -> int | None:
    try:
        with open(state.file("haproxy.pid"), encoding="ascii") as file:
            return int(file.readline())
    except (OSError, ValueError):
        return None


def _told_to_bind(arguments: tuple[str, ...]) -> set[str]:
    """The master sockets of a HAProxy's command line."""
    return {value.partition(",")[0] for option, value in pairwise(arguments) if option == "-S"}
