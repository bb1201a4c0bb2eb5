"""
What a backend runs and what it should run → the commands in between, or why only a reload leads there. Pure.

Steps come in two parts: what adds capacity is said and confirmed before anything that takes capacity away.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from attrs import evolve, field, frozen

from marathonlb.config.text.server_lines import Backend, Inherited, ServerLine

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

    :param kind: what is counted: ``added``, ``removed``, …; see `KINDS`.
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


KINDS = {
    "added": "added",
    "revived": "put back",
    "moved": "moved to another address",
    "weighed": "given another weight",
    "readied": "put back",
    "replaced": "replaced",
    "drained": "drained",
    "removed": "removed",
    "made": "added",
    "withdrawn": "removed",
}
"""What is counted of servers and of whole backends, and in which words."""


def _noun(step: Step) -> str:
    return "backend" if step.kind in ("made", "withdrawn") else "server"


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

    def counts(self) -> dict[str, int]:
        """How many steps of each kind."""
        return dict(Counter(step.kind for step in (*self.gains, *self.losses)))

    def phrase(self) -> str:
        """``3 servers added, 1 drained``; maps are named."""
        every = (*self.gains, *self.losses)
        counted = Counter((_noun(step), KINDS[step.kind]) for step in every if step.kind in KINDS)
        said: list[str] = []
        before = ""
        for (noun, words), count in counted.items():
            named = "" if noun == before else f" {noun}" if count == 1 else f" {noun}s"
            said.append(f"{count}{named} {words}")
            before = noun
        maps = sorted({step.target for step in every if step.kind not in KINDS})
        return ", ".join(said + [f"{name} changed" for name in maps])


@frozen
class Impossible:
    """
    Steps do not lead there.

    :param why: in one phrase.
    """

    why: str


@frozen
class Limits:
    """
    What cannot be said to this HAProxy, though it could be to another.

    :param arguments: of a server, each with the reason.
    :param backends: by name, each with the text at which HAProxy refused, servers apart, and its words.
    :param makes_backends: whether whole backends come and go without a reload (HAProxy 3.4).
    :param origins: the ``defaults`` from which it refuses to make one, each with its words.
    """

    arguments: Mapping[str, str] = field(factory=dict)
    backends: Mapping[str, tuple[str, str]] = field(factory=dict)
    makes_backends: bool = False
    origins: Mapping[str, str] = field(factory=dict)

    def of(self, server: ServerLine) -> str:
        """Why this server cannot be added; empty where it can."""
        if server.problem:
            return server.problem
        for word in server.arguments:
            if word in self.arguments:
                return f"has the argument {word}, {self.arguments[word]}"
        return ""


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
        return Impossible(f"backend {wanted.name} differs")
    balance = wanted.balance or inherited.balance
    steps = _Planner(held, wanted, balance).steps(limits)
    if isinstance(steps, Impossible) or not steps:
        return steps
    if steps.admin_states_alone:
        return steps
    problem = running.problem or unchangeable(wanted, inherited, limits)
    return Impossible(f"backend {wanted.name}: {problem}") if problem else steps


def unchangeable(backend: Backend, inherited: Inherited, limits: Limits) -> str:
    """Why no server can be added to a backend; empty where it can."""
    problem = backend.problem or inherited.problem
    if not problem and not backend.balance and inherited.balance:
        problem = f"inherits balance {inherited.balance}"
    at, refused = limits.backends.get(backend.name, ("", ""))
    return problem or (refused if at == backend.rest else "")


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
            return Impossible(f"backend {self.wanted.name}: {order}")
        for name, server in self.wanted.servers.items():
            held = self.held.get(name)
            if held is not None and held.known and held.server.arguments == server.arguments:
                step = self._changed(held, server)
                if step is not None:
                    (losses if step.kind == "drained" else gains).append(step)
                    problem = server.problem if step.kind == "moved" else ""
                else:
                    problem = ""
            else:
                problem = limits.of(server) or (self._alone(server) if held is not None else "")
                if held is None:
                    gains.append(self._added(server))
                else:
                    losses.append(self._replaced(held, server))
            if problem:
                return Impossible(f"server {self.wanted.name}/{name} {problem}")
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

    def _alone(self, server: ServerLine) -> str:
        """Why a server cannot be taken out for a moment, to be made anew."""
        others = [
            s
            for s in self.wanted.servers.values()
            if s.weight and s.name in self.held and s.name != server.name
        ]
        new = [s for s in self.wanted.servers.values() if s.weight and s.name not in self.held]
        return "" if others or new else "is the only one, and its arguments differ"

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
