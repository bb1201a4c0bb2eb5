"""HAProxy's processes as the master process lists them: the replies to ``show proc``. Pure."""

from __future__ import annotations

import re

from attrs import frozen

_MASTER = re.compile(
    r"^(?P<pid>\d+)\s+master\s+(?P<reloads>\d+)(?:\s+\[failed: (?P<failed>\d+)\])?", re.MULTILINE
)
_WORKER = re.compile(r"^(?P<pid>\d+)\s+worker\s+(?P<reloads>\d+)\s", re.MULTILINE)


@frozen(kw_only=True)
class WorkerProcess:
    """
    A worker process.

    :param reloads: the number of reloads since its start, failed ones included.
    :param old: True if it accepts no new connections and only finishes those it has.
    """

    pid: int
    reloads: int = 0
    old: bool = False


@frozen(kw_only=True)
class HAProxyProcesses:
    """
    A reply to ``show proc``.

    :param master: the master's process id.
    :param reloads: the number of the master's reloads, failed ones included.
    :param failed: the number of failed reloads since the last successful one.
    """

    master: int
    reloads: int
    failed: int
    workers: tuple[WorkerProcess, ...]

    @property
    def current(self) -> frozenset[int]:
        """The process ids of the workers that accept new connections."""
        return frozenset(worker.pid for worker in self.workers if not worker.old)


def parse_processes(text: str) -> HAProxyProcesses | None:
    """Parse a reply to ``show proc`` (HAProxy 2.5 and later); return None if it is not one."""
    master = _MASTER.search(text)
    if master is None:
        return None
    current, _, old = text.partition("# old workers")
    old = old.partition("# programs")[0]
    workers = [
        WorkerProcess(pid=int(match["pid"]), reloads=int(match["reloads"]), old=is_old)
        for part, is_old in ((current, False), (old, True))
        for match in _WORKER.finditer(part)
    ]
    return HAProxyProcesses(
        master=int(master["pid"]),
        reloads=int(master["reloads"]),
        failed=int(master["failed"] or 0),
        workers=tuple(workers),
    )
