"""
A load balancer's statistics (``/haproxy?stats;csv``): which tasks it drains, and the sessions that they still have.

Servers are found by their names, which are those of `marathonlb.routing.services.servers`: the agent's host, its
address if the host is a name, and the port, joined by ``_``.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Collection, Iterable, Mapping

from attrs import frozen

from marathonlb.zdd.pair import Place

_UNCLEAN = re.compile(r"[^A-Za-z0-9-]", re.ASCII)
_ADDRESS = r"(?:_\d+_\d+_\d+_\d+|(?:_+[0-9a-f]{0,4}){2,8})?"
_NO_SERVERS = frozenset({"FRONTEND", "BACKEND"})


Tasks = Mapping[str, frozenset[Place]]
"""Task id to its servers' addresses."""


@frozen
class ServerRow:
    """
    One server of one backend.

    :param held: number of its sessions and of queued requests.
    """

    name: str
    status: str
    weight: int
    held: int

    @property
    def drains(self) -> bool:
        """True if it gets no new sessions."""
        return self.weight == 0 or self.status.startswith(("DRAIN", "MAINT"))

    @property
    def serves(self) -> bool:
        """True if it gets new sessions."""
        return not self.drains and self.status.startswith(("UP", "no check"))


@frozen
class View:
    """
    The statistics of one load balancer.

    :param address: its stats address.
    :param rows: its servers.
    :param workers: number of HAProxy's worker processes; old ones still serve their sessions.
    :param problem: why it could not be read; then nothing else is known.
    """

    address: str
    rows: tuple[ServerRow, ...] = ()
    workers: int = 1
    problem: str = ""

    def of(self, places: Collection[Place]) -> tuple[ServerRow, ...]:
        """Return the servers of a task with these addresses."""
        names = [_name(place) for place in places]
        return tuple(row for row in self.rows if any(name.fullmatch(row.name) for name in names))


def _name(place: Place) -> re.Pattern[str]:
    """Return a pattern for the names of servers with this address."""
    host, port = place
    return re.compile(f"{re.escape(_UNCLEAN.sub('_', host))}{_ADDRESS}_{port}")


def parse(text: str) -> tuple[ServerRow, ...]:
    """
    Parse the servers in the statistics.

    :raises ValueError: the text is not HAProxy's statistics.
    """
    reader = csv.reader(io.StringIO(text))
    header = next(reader, [""])
    header[0] = header[0].removeprefix("# ")
    columns = {name: index for index, name in enumerate(header)}
    indices = [columns.get(name, -1) for name in ("svname", "status", "weight", "scur", "qcur")]
    if min(indices) < 0:
        raise ValueError("not with HAProxy's statistics")
    servers = []
    for row in reader:
        if len(row) <= max(indices):
            continue
        name, status, weight, sessions, queued = (row[index] for index in indices)
        if name not in _NO_SERVERS:
            held = int(sessions or 0) + int(queued or 0)
            servers.append(ServerRow(name, status, int(weight or 0), held))
    return tuple(servers)


@frozen
class DrainState:
    """
    The state of draining tasks, in all load balancers together.

    :param idle: the tasks that every load balancer has drained and that have no sessions.
    :param busy: why the other tasks are not idle, as a phrase.
    """

    idle: frozenset[str]
    busy: str


def drain_state(views: Iterable[View], tasks: Tasks) -> DrainState:
    """
    Return which tasks may be ended.

    A load balancer that cannot be read, or whose old processes still serve sessions, may have sessions of any task.
    """
    views = tuple(views)
    unknown = [view.problem for view in views if view.problem]
    unknown += [
        f"{view.address}: {view.workers - 1} HAProxy processes from before a reload still serve connections"
        for view in views
        if not view.problem and view.workers > 1
    ]
    if unknown:
        return DrainState(frozenset(), "; ".join(unknown))
    rows = {task: [row for view in views for row in view.of(places)] for task, places in tasks.items()}
    drained = {task for task, own in rows.items() if all(row.drains for row in own)}
    idle = frozenset(task for task in drained if not any(row.held for row in rows[task]))
    held = sum(row.held for task in drained - idle for row in rows[task])
    busy = f"{len(drained)} are drained in every load balancer"
    if held:
        busy += f", {held} sessions of {len(drained - idle)} are not over"
    return DrainState(idle, busy)


def lag(views: Iterable[View], new: Tasks, old: Tasks, keep: int) -> str:
    """
    Return why the load balancers do not show Marathon's state yet, as a phrase; empty if they do.

    :param new: the healthy tasks of the newer app; each has to get traffic from every load balancer.
    :param old: the healthy tasks of the older app.
    :param keep: the number of those that have to get traffic.
    """
    for view in views:
        if view.problem:
            return view.problem
        serving_new = _serving(view, new)
        if serving_new < len(new):
            return f"{view.address} serves {serving_new} of {len(new)} healthy new tasks"
        serving = _serving(view, old)
        if serving < keep:
            return f"{view.address} serves {serving} of {keep} old tasks that should serve"
    return ""


def shown(view: View, tasks: Tasks) -> bool:
    """Return whether a load balancer has a server of any of these tasks."""
    return any(view.of(places) for places in tasks.values())


def _serving(view: View, tasks: Tasks) -> int:
    """Return the number of these tasks that get traffic, on each of their ports."""
    servers = [view.of(places) for places in tasks.values()]
    return sum(bool(rows) and all(row.serves for row in rows) for rows in servers)
