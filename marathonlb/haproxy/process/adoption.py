"""Adopting the HAProxy that an earlier controller left running."""

from __future__ import annotations

from itertools import pairwise

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from marathonlb.errors import HAProxyUnavailable
from marathonlb.haproxy.files.state_directory import StateDirectory
from marathonlb.haproxy.process.instance import HAProxyInstance
from marathonlb.haproxy.process.procfs import ProcessIdentity, Procfs
from marathonlb.timers import pause

ADOPTION_TIMEOUT = 30.0
"""Seconds that a HAProxy which runs but does not answer is waited for: its master may be loading."""

_log = Logger()


async def adopt(instance: HAProxyInstance, path: str, clock: IReactorTime) -> ProcessIdentity | None:
    """
    Adopt a HAProxy that an earlier controller started, without changing it.

    One that runs but does not answer is waited for: it may be loading.

    :param path: haproxy.cfg.
    :return: None if there is none.

    Raises `HAProxyUnavailable` if it never answers, and as `left_running` does.
    """
    process = left_running(instance.state, path, instance.procfs)
    if process is None:
        return None
    deadline = clock.seconds() + ADOPTION_TIMEOUT
    rebinding = False
    while instance.alive(process):
        try:
            processes = await instance.master(process).processes()
        except HAProxyUnavailable as error:
            if clock.seconds() > deadline:
                if rebinding or not instance.rebind_socket(process):
                    reason = (
                        f"{error}; HAProxy (pid {process.pid}) holds the ports but does not answer: end it"
                    )
                    raise HAProxyUnavailable(reason=reason) from error
                rebinding, deadline = True, deadline + ADOPTION_TIMEOUT
            await pause(clock, 0.2)
            continue
        if rebinding:
            await instance.master(process).socket_rebound(None, instance.output().tail)
        _log.info(
            "Adopted the running HAProxy (pid {pid}, workers {workers}) without a reload; nothing to do",
            pid=process.pid,
            workers=sorted(processes.current),
        )
        return process
    return None


def left_running(state: StateDirectory, path: str, procfs: Procfs) -> ProcessIdentity | None:
    """
    Return the master that was started to bind our socket: the one in the pid file or, if that is lost, the one found.

    :param path: haproxy.cfg.

    Raises `HAProxyUnavailable` if it runs with another file, which no reload would change, and if a HAProxy that is not
    ours runs with this file: the kernel would let both bind the ports, and only one of them would be updated.
    """
    socket = state.socket("master.sock")
    pid = _noted_pid(state)
    process = procfs.identify(pid) if pid else None
    if process is not None and socket in _master_sockets(procfs.arguments(process.pid)):
        if procfs.runs_with(process.pid, path):
            return process
        reason = f"the running HAProxy (pid {process.pid}) has another configuration file than {path}"
        raise HAProxyUnavailable(
            reason=f"{reason}: end it, or choose another --state-dir or --haproxy-config"
        )
    for master in procfs.masters(path):
        if socket not in _master_sockets(procfs.arguments(master)):
            raise HAProxyUnavailable(
                reason=f"a HAProxy that is not ours (pid {master}) runs with {path} and holds its ports: end it "
                "(`systemctl disable --now haproxy` if the distribution has started it), or use the --state-dir that "
                "it was started with"
            )
        return procfs.identify(master)
    return None


def _noted_pid(state: StateDirectory) -> int | None:
    try:
        with open(state.file("haproxy.pid"), encoding="ascii") as file:
            return int(file.readline())
    except (OSError, ValueError):
        return None


def _master_sockets(arguments: tuple[str, ...]) -> set[str]:
    """Return the master sockets of a HAProxy's command line."""
    return {value.partition(",")[0] for option, value in pairwise(arguments) if option == "-S"}
