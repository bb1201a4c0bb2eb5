"""
A load balancer's statistics (``/haproxy?stats;csv``): which tasks it drains, and what they still hold.

Servers are found by their names, which are those of `marathonlb.routing.services.servers`: the agent's host, where
that is a name also its address, and the port, joined by ``_``.
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
"""Where each task is served, by its id."""


@frozen
class ServerRow:
    """
    One server of one backend.

    :param held: sessions, and requests that wait for it.
    """

    name: str
    status: str
    weight: int
    held: int

    @property
    def drains(self) -> bool:
        """Whether it gets nothing new."""
        return self.weight == 0 or self.status.startswith(("DRAIN", "MAINT"))

    @property
    def serves(self) -> bool:
        """Whether it gets something new."""
        return not self.drains and self.status.startswith(("UP", "no check"))


@frozen
class View:
    """
    What one load balancer shows.

    :param address: where it was asked.
    :param workers: HAProxy's processes: more than one where old ones still serve what they hold.
    :param problem: why it could not be asked; then nothing else is known.
    """

    address: str
    rows: tuple[ServerRow, ...] = ()
    workers: int = 1
    problem: str = ""

    def of(self, places: Collection[Place]) -> tuple[ServerRow, ...]:
        """The servers of a task that is served at these places."""
        names = [_name(place) for place in places]
        return tuple(row for row in self.rows if any(name.fullmatch(row.name) for name in names))


def _name(place: Place) -> re.Pattern[str]:
    host, port = place
    return re.compile(f"{re.escape(_UNCLEAN.sub('_', host))}{_ADDRESS}_{port}")


def parse(text: str) -> tuple[ServerRow, ...]:
    """
    The servers in the statistics.

    :raises ValueError: this is no such table.
    """
    reader = csv.reader(io.StringIO(text))
    header = next(reader, [""])
    header[0] = header[0].removeprefix("# ")
    places = {name: index for index, name in enumerate(header)}
    wanted = [places.get(name, -1) for name in ("svname", "status", "weight", "scur", "qcur")]
    if min(wanted) < 0:
        raise ValueError("no statistics of HAProxy's")
    found = []
    for row in reader:
        if len(row) <= max(wanted):
            continue
        name, status, weight, sessions, queued = (row[index] for index in wanted)
        if name not in _NO_SERVERS:
            held = int(sessions or 0) + int(queued or 0)
            found.append(ServerRow(name, status, int(weight or 0), held))
    return tuple(found)


@frozen
class Verdict:
    """
    What all load balancers together say of some tasks.

    :param idle: those that each of them has drained and that hold nothing.
    :param busy: what is in the way of the others, for people.
    """

    idle: frozenset[str]
    busy: str


def verdict(views: Iterable[View], tasks: Tasks) -> Verdict:
    """
    Which tasks may be ended.

    A load balancer that cannot be asked, or whose old processes still serve something, may hold any of them.

    """
    views = tuple(views)
    unknown = [view.problem for view in views if view.problem]
    unknown += [
        f"{view.address}: {view.workers - 1} HAProxy processes from before a reload still serve connections"
        for view in views
        if not view.problem and view.workers > 1
    ]
    if unknown:
        return Verdict(frozenset(), "; ".join(unknown))
    rows = {task: [row for view in views for row in view.of(places)] for task, places in tasks.items()}
    drained = {task for task, found in rows.items() if all(row.drains for row in found)}
    idle = frozenset(task for task in drained if not any(row.held for row in rows[task]))
    held = sum(row.held for task in drained - idle for row in rows[task])
    busy = f"{len(drained)} are drained in every load balancer"
    if held:
        busy += f", {held} sessions of {len(drained - idle)} are not over"
    return Verdict(idle, busy)


def lag(views: Iterable[View], new: Tasks, old: Tasks, keep: int) -> str:
    """
    Why the load balancers do not show yet what Marathon does; empty where they do.

    :param new: where each healthy task of the newer app is served: each of them has to get traffic everywhere.
    :param old: the same of the older app.
    :param keep: how many of those have to.
    """
    for view in views:
        if view.problem:
            return view.problem
        known = _serving(view, new)
        if known < len(new):
            return f"{view.address} serves {known} of {len(new)} healthy new tasks"
        serving = _serving(view, old)
        if serving < keep:
            return f"{view.address} serves {serving} of {keep} old tasks that are to serve"
    return ""


def shown(view: View, tasks: Tasks) -> bool:
    """Whether a load balancer has a server of any of these tasks."""
    return any(view.of(places) for places in tasks.values())


def _serving(view: View, tasks: Tasks) -> int:
    """How many of these tasks get traffic, on each of their ports."""
    rows = [view.of(places) for places in tasks.values()]
    return sum(bool(found) and all(row.serves for row in found) for found in rows)
