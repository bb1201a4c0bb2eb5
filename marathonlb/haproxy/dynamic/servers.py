"""
What a backend runs and what it should run → the commands in between, or why only a reload leads there. Pure.

Steps come in two parts: what adds capacity is said and confirmed before anything that takes capacity away.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from attrs import evolve, field, frozen

from marathonlb.config.text.diff import Difference, Fate
from marathonlb.config.text.server_lines import Backend, Inherited, ServerLine
from marathonlb.haproxy.outcome import RuntimeChanges
from marathonlb.haproxy.reload_reason import ReasonKind, ReloadReason, from_differences

READY, DRAIN, MAINTENANCE = "ready", "drain", "maint"
"""The admin states, in the words of ``set server … state``."""


@frozen
class Held:
    """
    A server as HAProxy holds it.

    :param server: where it leads and its weight now; the arguments are those that it was made with.
    :param admin: `READY`, `DRAIN` or `MAINTENANCE`.
    :param known: whether its arguments are known. They cannot be read back.
    """

    server: ServerLine
    admin: str = READY
    known: bool = True

    @property
    def drained(self) -> bool:
        """Whether it takes nothing but the requests that are bound to it."""
        return self.admin == DRAIN or self.server.weight == 0

    def is_as_read(self, server: ServerLine) -> bool:
        """Whether this is what a HAProxy holds that has just read the server's line."""
        same = self.server is server or self.server == server
        return same and self.admin == READY and self.known


@frozen
class Step:
    """
    One thing that is done to a server or a map, by commands that are said one after another.

    :param kind: what is counted: ``added``, ``removed``, …; see `RuntimeChanges`.
    :param target: ``backend/server``, or the name of a backend or of a map file.
    :param server: what is added, where something is.
    :param undo: the commands that put back a server that was deleted to be made anew, and could not be.
    :param idle: whether what it takes away was drained before, so that it takes no capacity.
    """

    kind: str
    target: str
    commands: tuple[str, ...]
    server: ServerLine | None = None
    undo: tuple[str, ...] = ()
    idle: bool = False

    def without_id(self) -> Step:
        """The same without the server's id, which somebody else has."""
        assert self.server is not None
        said, bare = self.server.add_arguments(), self.server.add_arguments(with_id=False)
        return evolve(self, commands=tuple(c.replace(said, bare) for c in self.commands))


@frozen
class Steps:
    """
    The way from what runs to what is wanted.

    :param gains: what adds or moves capacity; all of it has to succeed before the rest is said.
    :param losses: what takes capacity away.
    """

    gains: tuple[Step, ...] = ()
    losses: tuple[Step, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.gains or self.losses)

    @property
    def admin_states_alone(self) -> bool:
        """Whether they do nothing but drain servers and put them back, which every backend allows."""
        return all(
            step.kind in ("drained", "readied") and all(" state " in command for command in step.commands)
            for step in (*self.gains, *self.losses)
        )

    def __add__(self, other: Steps) -> Steps:
        return Steps(self.gains + other.gains, self.losses + other.losses)

    def changes(self) -> RuntimeChanges:
        """Return the number of steps of each kind, and the maps that they change."""
        every = (*self.gains, *self.losses)
        maps = sorted({step.target for step in every if step.kind == "map"})
        return RuntimeChanges(dict(Counter(step.kind for step in every)), tuple(maps))


@frozen
class Impossible:
    """The runtime API cannot make a change, for a reason that takes a reload."""

    reason: ReloadReason


@frozen
class Obstacle:
    """
    A property of a server or a backend that the runtime API does not take.

    :param detail: in words that follow ``server shop/a`` or ``backend shop:``.
    :param refused: whether that is known since HAProxy refused it.
    """

    detail: str
    refused: bool = False

    def of_server(self, name: str) -> Impossible:
        """Return the reason for a server: ``backend/server``."""
        kind = ReasonKind.SERVER_NOT_UPDATABLE
        return Impossible(ReloadReason(kind, name, self.detail, "server", refused=self.refused))

    def of_backend(self, name: str) -> Impossible:
        """Return the reason for the servers of a backend."""
        kind = ReasonKind.BACKEND_NOT_UPDATABLE
        return Impossible(ReloadReason(kind, name, self.detail, "backend", refused=self.refused))

    def of_new_backend(self, name: str) -> Impossible:
        """Return the reason for a backend that cannot be created."""
        kind = ReasonKind.BACKEND_NOT_CREATABLE
        return Impossible(ReloadReason(kind, name, self.detail, "backend", refused=self.refused))


@frozen
class Limits:
    """
    What cannot be said to this HAProxy, though it could be to another.

    :param arguments: of a server, each with the reason.
    :param backends: by name, each with the text at which HAProxy refused, servers apart, and its words.
    :param makes_backends: whether whole backends come and go without a reload (HAProxy 3.4).
    :param origins: the ``defaults`` from which it refuses to make one, each with its words.
    """

    arguments: Mapping[str, Obstacle] = field(factory=dict)
    backends: Mapping[str, tuple[str, str]] = field(factory=dict)
    makes_backends: bool = False
    origins: Mapping[str, str] = field(factory=dict)

    def of(self, server: ServerLine) -> Obstacle | None:
        """Return why this server cannot be added; None where it can."""
        if server.problem:
            return Obstacle(server.problem)
        for word in server.arguments:
            if word in self.arguments:
                obstacle = self.arguments[word]
                return evolve(obstacle, detail=f"has the argument {word}, {obstacle.detail}")
        return None


def held_by(backend: Backend) -> dict[str, Held]:
    """What a HAProxy holds that has just read this text."""
    return {name: Held(server) for name, server in backend.servers.items()}


def plan_servers(
    running: Backend, held: Mapping[str, Held], wanted: Backend, inherited: Inherited, limits: Limits
) -> Steps | Impossible:
    """
    The steps for one backend.

    :param running: the text that runs.
    :param held: the servers that HAProxy holds, which may be others than the text has.
    """
    if running.rest != wanted.rest:
        changed = Difference("backend", wanted.name, Fate.CHANGED)
        return Impossible(from_differences([changed])[0])
    balance = wanted.balance or inherited.balance
    steps = _Planner(held, wanted, balance).steps(limits)
    if isinstance(steps, Impossible) or not steps:
        return steps
    if steps.admin_states_alone:
        return steps
    if running.problem:
        return Obstacle(running.problem).of_backend(wanted.name)
    obstacle = unchangeable(wanted, inherited, limits)
    return steps if obstacle is None else obstacle.of_backend(wanted.name)


def unchangeable(backend: Backend, inherited: Inherited, limits: Limits) -> Obstacle | None:
    """Return why no server can be added to a backend; None where one can."""
    problem = backend.problem or inherited.problem
    if problem:
        return Obstacle(problem)
    if not backend.balance and inherited.balance:
        return Obstacle(f"inherits balance {inherited.balance}")
    at, refused = limits.backends.get(backend.name, ("", ""))
    return Obstacle(refused, refused=True) if refused and at == backend.rest else None


def adding(target: str, server: ServerLine) -> tuple[str, ...]:
    """The commands that add a server and put it in service."""
    health = (f"enable health {target}",) if server.checked else ()
    return (f"add server {target} {server.add_arguments()}", *health, f"enable server {target}")


@frozen
class _Planner:
    held: Mapping[str, Held]
    wanted: Backend
    balance: str

    def steps(self, limits: Limits) -> Steps | Impossible:
        gains: list[Step] = []
        losses: list[Step] = []
        order = self._order_matters()
        if order:
            return Obstacle(order).of_backend(self.wanted.name)
        for name, server in self.wanted.servers.items():
            held = self.held.get(name)
            if held is not None and held.known and held.server.arguments == server.arguments:
                step = self._changed(held, server)
                if step is not None:
                    (losses if step.kind == "drained" else gains).append(step)
                moved = step is not None and step.kind == "moved" and server.problem
                obstacle = Obstacle(server.problem) if moved else None
            else:
                obstacle = limits.of(server) or (self._alone(server) if held is not None else None)
                if held is None:
                    gains.append(self._added(server))
                else:
                    losses.append(self._replaced(held, server))
            if obstacle is not None:
                return obstacle.of_server(self._target(name))
        losses += [
            self._removed(name, held)
            for name, held in self.held.items()
            if name not in self.wanted.servers and held.admin != MAINTENANCE
        ]
        return Steps(tuple(gains), tuple(losses))

    def _order_matters(self) -> str:
        """
        What differs in ids or order, where the algorithm goes by them.

        One that hashes does not let servers be changed at all; then any difference counts.
        """
        balance = self.balance
        if balance in ("", "roundrobin", "leastconn") or balance.startswith("random"):
            return ""
        before = {name: held.server.id for name, held in self.held.items() if name in self.wanted.servers}
        after = {name: server.id for name, server in self.wanted.servers.items() if name in self.held}
        by_ids = balance == "first" and all(after.values())
        if before == after and (by_ids or list(before) == list(after)):
            return ""
        return f"ids or order of its servers differ, and balance {balance} goes by them"

    def _alone(self, server: ServerLine) -> Obstacle | None:
        """Return why a server cannot be taken out for the moment that replacing it takes."""
        others = [
            s
            for s in self.wanted.servers.values()
            if s.weight and s.name in self.held and s.name != server.name
        ]
        new = [s for s in self.wanted.servers.values() if s.weight and s.name not in self.held]
        return None if others or new else Obstacle("is the only one, and its arguments differ")

    def _target(self, name: str) -> str:
        return f"{self.wanted.name}/{name}"

    def _added(self, server: ServerLine) -> Step:
        return Step("added", self._target(server.name), self._adding(server), server)

    def _adding(self, server: ServerLine) -> tuple[str, ...]:
        return adding(self._target(server.name), server)

    def _replaced(self, held: Held, server: ServerLine) -> Step:
        """Out of service, away, and in again with other arguments."""
        target = self._target(server.name)
        commands = (f"set server {target} state maint", f"del server {target}", *self._adding(server))
        undo = self._adding(held.server) if held.known and not held.server.problem else ()
        return Step("replaced", target, commands, server, undo)

    def _removed(self, name: str, held: Held) -> Step:
        """No new request, then away with it; where it is in use, that is refused and tried again later."""
        target = self._target(name)
        commands = (f"set server {target} state maint", f"del server {target}")
        return Step("removed", target, commands, idle=held.drained)

    def _changed(self, held: Held, server: ServerLine) -> Step | None:
        """Address, weight and admin state change in place."""
        target = f"{self.wanted.name}/{server.name}"
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
