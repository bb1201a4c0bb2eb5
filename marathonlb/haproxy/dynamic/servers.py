"""
Servers of one backend: the runtime API commands from what HAProxy holds to what is wanted. Pure.

A plan has two parts. The gains add or move capacity, and all of them have to succeed before the losses, which take
capacity away, are executed. Where the runtime API cannot make a change, the plan is a reason for a reload.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping

from attrs import evolve, frozen
from msgspec import Struct

from marathonlb.config.text.diff import Difference, Fate
from marathonlb.config.text.model import Section
from marathonlb.config.text.server_lines import Backend, Inherited, ServerLine
from marathonlb.haproxy.dynamic.capabilities import Impossible, RuntimeLimits, UpdateObstacle
from marathonlb.haproxy.outcome import RuntimeChanges
from marathonlb.haproxy.reload_reason import Reasons, ReloadReason, from_differences

READY, DRAIN, MAINTENANCE = "ready", "drain", "maint"
"""The admin states, in the words of ``set server … state``."""


@frozen
class HeldServer:
    """
    A server as HAProxy holds it.

    :param server: its address, port and weight now; the arguments are those that it was created with.
    :param admin: `READY`, `DRAIN` or `MAINTENANCE`.
    :param known: whether its arguments are known. They cannot be read back.
    """

    server: ServerLine
    admin: str = READY
    known: bool = True

    @property
    def drained(self) -> bool:
        """True if it takes only requests that are bound to it."""
        return self.admin == DRAIN or self.server.weight == 0

    def is_as_read(self, server: ServerLine) -> bool:
        """Return whether a HAProxy that has just read this line would hold the same."""
        same = self.server is server or self.server == server
        return same and self.admin == READY and self.known


@frozen
class Step:
    """
    One change of a server, a backend or a map, by commands that are executed one after another.

    :param kind: the kind that is counted: ``added``, ``removed``, …; see `RuntimeChanges`.
    :param target: ``backend/server``, or the name of a backend or of a map file.
    :param server: the server that is added, where one is.
    :param undo: the commands that put back a server that was deleted to be replaced, and could not be.
    :param idle: whether the server that goes was drained before, so that no capacity is lost.
    """

    kind: str
    target: str
    commands: tuple[str, ...]
    server: ServerLine | None = None
    undo: tuple[str, ...] = ()
    idle: bool = False

    def without_id(self) -> Step:
        """Return the same step without the server's id, which another server has."""
        assert self.server is not None
        full, bare = self.server.add_arguments(), self.server.add_arguments(with_id=False)
        return evolve(self, commands=tuple(command.replace(full, bare) for command in self.commands))


class Steps(Struct, frozen=True):
    """
    Changes at runtime.

    :param gains: the steps that add or move capacity; all of them have to succeed before a loss is executed.
    :param losses: the steps that take capacity away.
    """

    gains: tuple[Step, ...] = ()
    losses: tuple[Step, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.gains or self.losses)

    def __len__(self) -> int:
        return len(self.gains) + len(self.losses)

    def __add__(self, other: Steps) -> Steps:
        return Steps(self.gains + other.gains, self.losses + other.losses)

    @property
    def only_admin_states(self) -> bool:
        """True if servers are drained and put back, and nothing else; every backend allows that."""
        return all(
            step.kind in ("drained", "readied") and all(" state " in command for command in step.commands)
            for step in (*self.gains, *self.losses)
        )

    def changes(self) -> RuntimeChanges:
        """Return the number of steps of each kind, and the maps that they change."""
        every = (*self.gains, *self.losses)
        maps = sorted({step.target for step in every if step.kind == "map"})
        return RuntimeChanges(dict(Counter(step.kind for step in every)), tuple(maps))


def held_by(backend: Backend) -> dict[str, HeldServer]:
    """Return what a HAProxy holds that has just read this backend, by server."""
    return {name: HeldServer(server) for name, server in backend.servers.items()}


class BackendChange(Struct, frozen=True):
    """
    A backend whose servers are to change.

    :param old: its section in what runs.
    :param new: its section in what is wanted.
    :param before: the backend of the old section.
    :param held: the servers that HAProxy holds before the change.
    :param wanted: the servers that it is to hold afterwards.
    :param readable: whether the section says all that HAProxy holds of it, so that the two can be compared.
    """

    old: Section
    new: Section
    before: Backend
    held: Mapping[str, HeldServer]
    wanted: Backend
    readable: bool = True

    def expected(self, undeleted: Collection[str]) -> dict[str, HeldServer]:
        """
        Return what HAProxy holds once the change is made.

        :param undeleted: the servers that are to go and were still in use.
        """
        drained = {
            name: evolve(server, admin=MAINTENANCE)
            for name, server in self.held.items()
            if name not in self.wanted.servers and (server.admin == MAINTENANCE or name in undeleted)
        }
        return held_by(self.wanted) | drained


class BackendsPlan(Struct, frozen=True):
    """
    The steps for backends that run and are wanted.

    :param backends: those that are changed, by name.
    :param obstacles: why the runtime API cannot change the others.
    """

    steps: Steps
    backends: Mapping[str, BackendChange]
    obstacles: Reasons


def plan_backends(
    changes: Iterable[BackendChange], inherited: Inherited, limits: RuntimeLimits
) -> BackendsPlan:
    """Plan the steps for the servers of backends."""
    gains, losses = list[Step](), list[Step]()
    backends: dict[str, BackendChange] = {}
    obstacles: list[ReloadReason] = []
    for change in changes:
        steps = plan_servers(change.before, change.held, change.wanted, inherited, limits)
        if isinstance(steps, Impossible):
            obstacles.append(steps.reason)
            continue
        gains += steps.gains
        losses += steps.losses
        backends[change.new.name] = change
    return BackendsPlan(Steps(tuple(gains), tuple(losses)), backends, tuple(obstacles))


def plan_servers(
    running: Backend,
    held: Mapping[str, HeldServer],
    wanted: Backend,
    inherited: Inherited,
    limits: RuntimeLimits,
) -> Steps | Impossible:
    """
    Plan the steps for the servers of one backend.

    :param running: the backend as the running configuration has it.
    :param held: the servers that HAProxy holds, which may be others than the configuration has.
    """
    if running.rest != wanted.rest:
        changed = Difference("backend", wanted.name, Fate.CHANGED)
        return Impossible(from_differences([changed])[0])
    balance = wanted.balance or inherited.balance
    steps = _BackendPlanner(held, wanted, balance).steps(limits)
    if isinstance(steps, Impossible) or not steps or steps.only_admin_states:
        return steps
    if running.problem:
        return UpdateObstacle(running.problem).of_backend(wanted.name)
    obstacle = obstacle_to_servers(wanted, inherited, limits)
    return steps if obstacle is None else obstacle.of_backend(wanted.name)


def obstacle_to_servers(
    backend: Backend, inherited: Inherited, limits: RuntimeLimits
) -> UpdateObstacle | None:
    """Return why no server can be added to a backend; None where one can."""
    problem = backend.problem or inherited.problem
    if problem:
        return UpdateObstacle(problem)
    if not backend.balance and inherited.balance:
        return UpdateObstacle(f"inherits balance {inherited.balance}")
    text, refusal = limits.backends.get(backend.name, ("", ""))
    return UpdateObstacle(refusal, refused=True) if refusal and text == backend.rest else None


def add_server_commands(target: str, server: ServerLine) -> tuple[str, ...]:
    """Return the commands that add a server, ``backend/server``, and put it in service."""
    health = (f"enable health {target}",) if server.checked else ()
    return (f"add server {target} {server.add_arguments()}", *health, f"enable server {target}")


class _BackendPlanner(Struct, frozen=True):
    held: Mapping[str, HeldServer]
    wanted: Backend
    balance: str

    def steps(self, limits: RuntimeLimits) -> Steps | Impossible:
        order = self._order_differs()
        if order:
            return UpdateObstacle(order).of_backend(self.wanted.name)
        gains: list[Step] = []
        losses: list[Step] = []
        for name, server in self.wanted.servers.items():
            step, obstacle = self._step(server, self.held.get(name), limits)
            if obstacle is not None:
                return obstacle.of_server(self._target(name))
            if step is not None:
                (losses if step.kind in ("drained", "replaced") else gains).append(step)
        losses += [
            self._removed(name, held)
            for name, held in self.held.items()
            if name not in self.wanted.servers and held.admin != MAINTENANCE
        ]
        return Steps(tuple(gains), tuple(losses))

    def _step(
        self, server: ServerLine, held: HeldServer | None, limits: RuntimeLimits
    ) -> tuple[Step | None, UpdateObstacle | None]:
        if held is None:
            return self._added(server), limits.obstacle_to(server)
        if not held.known or held.server.arguments != server.arguments:
            return self._replaced(held, server), limits.obstacle_to(server) or self._irreplaceable(server)
        step = self._changed(held, server)
        moved = step is not None and step.kind == "moved"
        return step, UpdateObstacle(server.problem) if moved and server.problem else None

    def _order_differs(self) -> str:
        """
        Return how ids or order of the servers differ, where the balance algorithm depends on them.

        With one that hashes, the runtime API cannot change servers at all; then any difference counts.
        """
        balance = self.balance
        if balance in ("", "roundrobin", "leastconn") or balance.startswith("random"):
            return ""
        before = {name: held.server.id for name, held in self.held.items() if name in self.wanted.servers}
        after = {name: server.id for name, server in self.wanted.servers.items() if name in self.held}
        by_ids = balance == "first" and all(after.values())
        if before == after and (by_ids or list(before) == list(after)):
            return ""
        return f"ids or order of its servers differ, and balance {balance} depends on them"

    def _irreplaceable(self, server: ServerLine) -> UpdateObstacle | None:
        """Return why a server cannot be out of service for the moment that replacing it takes."""
        if any(other.weight and other.name != server.name for other in self.wanted.servers.values()):
            return None
        return UpdateObstacle("is the only one, and its arguments differ")

    def _target(self, name: str) -> str:
        return f"{self.wanted.name}/{name}"

    def _added(self, server: ServerLine) -> Step:
        target = self._target(server.name)
        return Step("added", target, add_server_commands(target, server), server)

    def _replaced(self, held: HeldServer, server: ServerLine) -> Step:
        """Take a server out, delete it, and add it with other arguments."""
        target = self._target(server.name)
        commands = (
            f"set server {target} state maint",
            f"del server {target}",
            *add_server_commands(target, server),
        )
        undo = add_server_commands(target, held.server) if held.known and not held.server.problem else ()
        return Step("replaced", target, commands, server, undo)

    def _removed(self, name: str, held: HeldServer) -> Step:
        """Drain a server and delete it; where it is in use, the deletion is refused and tried again later."""
        target = self._target(name)
        commands = (f"set server {target} state maint", f"del server {target}")
        return Step("removed", target, commands, idle=held.drained)

    def _changed(self, held: HeldServer, server: ServerLine) -> Step | None:
        """Change address, weight and admin state in place."""
        target = self._target(server.name)
        now = held.server
        commands = []
        kinds = []
        if (now.address, now.port) != (server.address, server.port):
            commands.append(f"set server {target} addr {server.address} port {server.port}")
            kinds.append("moved")
        if server.weight == 0:
            if not held.drained or held.admin == MAINTENANCE:
                commands.append(f"set server {target} state drain")
                kinds.append("drained")
        else:
            if now.weight != server.weight:
                commands.append(f"set server {target} weight {server.weight}")
                kinds.append("weighed")
            if held.admin != READY or now.weight == 0:
                commands.append(f"set server {target} state ready")
                kinds.append("revived" if held.admin == MAINTENANCE else "readied")
        if not commands:
            return None
        return Step(kinds[-1] if "moved" not in kinds else "moved", target, tuple(commands))
