"""
Whole backends that are created and deleted at runtime (HAProxy 3.4 and later): planning and execution.

A backend is created from a named ``defaults`` section that the worker has read
(`marathonlb.config.text.named_defaults`), given its servers, and published, so that no request reaches it before it is
whole. One that goes is unpublished first: it takes no new request and ends those that it has. Then it is deleted.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence

from attrs import evolve, field, frozen
from msgspec import Struct

from marathonlb.config.text import named_defaults
from marathonlb.config.text.diff import Difference
from marathonlb.config.text.model import Config, Section
from marathonlb.config.text.server_lines import Backend, Inherited, parse
from marathonlb.haproxy.dynamic.capabilities import Impossible, RuntimeLimits, UpdateObstacle
from marathonlb.haproxy.dynamic.server_state import is_unpublished, parse_state, questions
from marathonlb.haproxy.dynamic.servers import Step, Steps, add_server_commands, obstacle_to_servers
from marathonlb.haproxy.reload_reason import ReasonKind, Reasons, ReloadReason, from_refusal
from marathonlb.haproxy.runtime.interfaces import IRuntimeConnection
from marathonlb.haproxy.runtime.replies import refusal

MAX_CREATED = 100
"""Maximum number of backends created by one update; of more a reload costs less."""

_PROXIES = re.compile(r"^[ \t]*(?:backend|listen)[ \t]+(\S+)", re.MULTILINE)


class ReportedBackends(Struct, frozen=True):
    """
    Backends of a worker that are in no file.

    :param published: those that take requests.
    :param unpublished: those that take none, and can be deleted.
    """

    published: frozenset[str] = frozenset()
    unpublished: tuple[str, ...] = ()


@frozen
class BackendCreation:
    """
    The plan for backends that are new.

    :param backends: those that are created, by name.
    :param others: those that differ from every ``defaults`` section, so that a reload has to add them.
    :param reasons: why others cannot be created, or why no reload can be avoided anyway.
    """

    backends: Mapping[str, Backend] = field(factory=dict)
    steps: tuple[Step, ...] = ()
    others: tuple[Difference, ...] = ()
    reasons: Reasons = ()


class WorkerBackends:
    """
    The backends of one worker beside those of its configuration, and what it can create backends from.

    :ivar published: those that take requests and are in no file; their directives are unknown.
    :ivar unpublished: those that take no requests and are to be deleted, the oldest first.
    :ivar unsure: those that were being created, so that they may or may not be there.
    """

    def __init__(self) -> None:
        self.published: frozenset[str] = frozenset()
        self.unpublished: dict[str, None] = {}
        self.unsure: set[str] = set()
        self._sections: frozenset[str] = frozenset()
        self._inherited: named_defaults.InheritedDefaults | None = None

    def read(self, config: Config) -> None:
        """Note that the worker has read this configuration, and holds nothing else."""
        self.reported(ReportedBackends())
        self._sections = frozenset(s.name for s in config.sections if s.kind == "defaults")
        self._inherited = named_defaults.inherited(config.sections) if self._sections else None

    def reported(self, backends: ReportedBackends) -> None:
        """Note the backends that are in no file."""
        self.published = backends.published
        self.unpublished = dict.fromkeys(backends.unpublished)
        self.unsure.clear()

    def defaults_of(self, backend: Backend) -> str:
        """Return the ``defaults`` section that a backend can be created from; empty where there is none."""
        if self._inherited is None:
            return ""
        name = self._inherited.name(named_defaults.body(backend.rest))
        return name if name in self._sections else ""

    def plan_creation(
        self,
        new: Sequence[Difference],
        parse: Callable[[Section], Backend],
        inherited: Inherited,
        limits: RuntimeLimits,
    ) -> BackendCreation:
        """
        Plan the creation of backends.

        :param new: the backends that are in what is wanted alone.
        """
        reasons = [
            ReloadReason(ReasonKind.BACKEND_UNKNOWN, name, section="backend")
            for name in sorted(self.published)
        ]
        if len(new) > MAX_CREATED:
            return BackendCreation(others=tuple(new), reasons=tuple(reasons))
        backends: dict[str, Backend] = {}
        steps, others = list[Step](), list[Difference]()
        for difference in new:
            assert difference.new is not None
            backend = parse(difference.new)
            step = self._plan_one(backend, inherited, limits)
            if isinstance(step, Step):
                backends[difference.name] = backend
                steps.append(step)
            elif step is None:
                others.append(difference)
            else:
                reasons.append(step.reason)
        return BackendCreation(backends, tuple(steps), tuple(others), tuple(reasons))

    def _plan_one(
        self, backend: Backend, inherited: Inherited, limits: RuntimeLimits
    ) -> Step | Impossible | None:
        """Return the step that creates a backend; None where there is no section to create it from."""
        defaults = self.defaults_of(backend) if limits.creates_backends else ""
        if not defaults:
            return None
        name = backend.name
        if name in self.unpublished or name in self.published:
            return UpdateObstacle("the one before it is not gone yet").of_new_backend(name)
        if defaults in limits.defaults:
            detail = f"HAProxy refuses it: {limits.defaults[defaults]}"
            return UpdateObstacle(detail, refused=True).of_new_backend(name)
        obstacle = obstacle_to_servers(backend, inherited, limits)
        if obstacle is not None and backend.servers:
            return obstacle.of_new_backend(name)
        for server in backend.servers.values():
            obstacle = limits.obstacle_to(server)
            if obstacle is not None:
                detail = f"its server {server.name} {obstacle.detail}"
                return evolve(obstacle, detail=detail).of_new_backend(name)
        return create_step(backend, defaults)


def create_step(backend: Backend, defaults: str) -> Step:
    """Return the step that creates a backend from a ``defaults`` section, with its servers, and then publishes it."""
    name = backend.name
    commands = ["experimental-mode on", f"add backend {name} from {defaults}"]
    for server in backend.servers.values():
        commands += add_server_commands(f"{name}/{server.name}", server)
    return Step("made", name, (*commands, f"publish backend {name}"))


def unpublish_step(name: str) -> Step:
    """Return the step after which a backend takes no new request."""
    return Step("withdrawn", name, ("experimental-mode on", f"unpublish backend {name}"))


# execution


async def find_backends(connection: IRuntimeConnection, config: Config) -> ReportedBackends:
    """Return the backends of a worker that are not in its configuration."""
    (reply,) = await connection.execute(["show backend"])
    held = [line for line in reply.splitlines() if line and line[0] not in "#<"]
    known = {section.name for section in config.sections if section.kind == "backend"}
    unknown = [name for name in held if name not in known]
    if unknown:
        known.update(*(_PROXIES.findall(s.text) for s in config.sections if s.kind != "backend"))
        unknown = [name for name in unknown if name not in known]
    idle = await find_unpublished(connection, unknown)
    return ReportedBackends(frozenset(unknown) - frozenset(idle), tuple(idle))


async def find_unpublished(connection: IRuntimeConnection, names: Sequence[str]) -> list[str]:
    """Return those of these backends that take no requests."""
    if not names:
        return []
    replies = await connection.execute([f"show stat {name} 2 -1" for name in names])
    return [name for name, reply in zip(names, replies, strict=True) if is_unpublished(reply)]


async def unpublish(connection: IRuntimeConnection, names: Sequence[str]) -> tuple[Steps, Reasons]:
    """
    Let these backends take no new request.

    :return: the steps, and the reasons of a reload where one of them failed.
    """
    steps = Steps(losses=tuple(unpublish_step(name) for name in names))
    commands = [command for step in steps.losses for command in step.commands]
    for command, reply in zip(commands, await connection.execute(commands), strict=True):
        refused = refusal(command, reply)
        if refused is not None:
            return Steps(), (from_refusal(refused),)
    left = set(names) - set(await find_unpublished(connection, names))
    return steps, (_differs(min(left), "still takes requests after unpublish"),) if left else ()


async def require_published(connection: IRuntimeConnection, names: Sequence[str]) -> Reasons:
    """Return the reasons of a reload where one of these backends takes no requests though it was published."""
    closed = await find_unpublished(connection, names)
    return (_differs(closed[0], "takes no requests after publish"),) if closed else ()


def _differs(name: str, detail: str) -> ReloadReason:
    return ReloadReason(ReasonKind.READ_BACK_DIFFERS, name, detail, "backend")


async def delete_unused(connection: IRuntimeConnection, names: Sequence[str]) -> tuple[str, ...]:
    """Delete those of these unpublished backends that are not in use any more; return them."""
    deleted = []
    for name, state in zip(names, await connection.execute(questions(names)), strict=True):
        servers = [f"{name}/{server}" for server in parse_state(state).get(name, {})]
        commands = [
            *unpublish_step(name).commands,
            *(f"set server {server} state maint" for server in servers),
            *(f"del server {server}" for server in servers),
            f"del backend {name}",
        ]
        replies = await connection.execute(commands)
        if refusal(commands[-1], replies[-1]) is None:
            deleted.append(name)
    return tuple(deleted)


MAX_REMEMBERED = 2_000
"""Maximum number of backends kept; a backend that has changed a moment ago is likely to change again."""


class ParsedBackends:
    """Parses sections, and of a backend that has changed only its new lines."""

    def __init__(self) -> None:
        self._parsed: OrderedDict[str, tuple[Section, Backend]] = OrderedDict()

    def of(self, section: Section) -> Backend:
        """Return the backend of a section."""
        kept = self._parsed.pop(section.name, None)
        if kept is None or kept[0] is not section:
            kept = section, parse(section, kept[1] if kept else None)
        self._parsed[section.name] = kept
        if len(self._parsed) > MAX_REMEMBERED:
            self._parsed.popitem(last=False)
        return kept[1]

    def forget(self, name: str) -> None:
        """Drop a backend that is gone."""
        self._parsed.pop(name, None)
