"""
Whole backends that come and go while HAProxy runs (3.4 and later): which can, and by which commands. Pure.

A backend is made from a named ``defaults`` that the worker has read (`marathonlb.config.text.named_defaults`), given
its servers, and published, so that nobody is led to it before it is whole. One that goes is withdrawn first: no new
request comes to it, and those that it has in hand end. It is deleted when they have.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence

from attrs import evolve, field, frozen

from marathonlb.config.text import named_defaults
from marathonlb.config.text.diff import Difference
from marathonlb.config.text.model import Config, Section
from marathonlb.config.text.server_lines import Backend, Inherited
from marathonlb.haproxy.dynamic.servers import Impossible, Limits, Obstacle, Step, adding, unchangeable
from marathonlb.haproxy.reload_reason import ReasonKind, Reasons, ReloadReason

MAX_MADE = 100
"""Of more backends than these at once a reload is the smaller step."""


@frozen
class Making:
    """
    What is to be made.

    :param backends: by name.
    :param others: those that differ from all that they could be made from.
    :param reasons: why the runtime API cannot create others.
    """

    backends: Mapping[str, Backend] = field(factory=dict)
    steps: tuple[Step, ...] = ()
    others: tuple[Difference, ...] = ()
    reasons: Reasons = ()


class Originals:
    """
    What one worker makes backends from, and what it holds of backends that the text which runs has not.

    :ivar strays: those that take requests: nobody knows what they were made from.
    :ivar leaving: those that take none any more, or never did, and are to be deleted.
    :ivar doubtful: those that were to be made, and nobody knows whether they were.
    """

    def __init__(self) -> None:
        self.strays: set[str] = set()
        self.leaving: dict[str, None] = {}
        self.doubtful: set[str] = set()
        self._names: frozenset[str] = frozenset()
        self._source: named_defaults.InheritedDefaults | None = None

    def began(self, config: Config) -> None:
        """A worker has read this text, and holds nothing else."""
        self.strays.clear()
        self.leaving.clear()
        self.doubtful.clear()
        self._names = frozenset(s.name for s in config.sections if s.kind == "defaults")
        self._source = named_defaults.inherited(config.sections) if self._names else None

    def of(self, backend: Backend) -> str:
        """The ``defaults`` that a backend can be made from, empty where there is none."""
        if self._source is None:
            return ""
        name = self._source.name(named_defaults.body(backend.rest))
        return name if name in self._names else ""

    def make(
        self,
        new: Sequence[Difference],
        backend_of: Callable[[Section], Backend],
        inherited: Inherited,
        limits: Limits,
    ) -> Making:
        """What can be made of backends that are new."""
        reasons = [
            ReloadReason(ReasonKind.BACKEND_UNKNOWN, name, section="backend") for name in sorted(self.strays)
        ]
        if len(new) > MAX_MADE:
            return Making(others=tuple(new), reasons=tuple(reasons))
        backends: dict[str, Backend] = {}
        steps, others = list[Step](), list[Difference]()
        for each in new:
            assert each.new is not None
            backend = backend_of(each.new)
            step = self.plan(backend, inherited, limits)
            if isinstance(step, Step):
                backends[each.name] = backend
                steps.append(step)
            elif step is None:
                others.append(each)
            else:
                reasons.append(step.reason)
        return Making(backends, tuple(steps), tuple(others), tuple(reasons))

    def plan(self, backend: Backend, inherited: Inherited, limits: Limits) -> Step | Impossible | None:
        """How to make a backend; None where there is nothing to make it from."""
        origin = self.of(backend) if limits.makes_backends else ""
        if not origin:
            return None
        name = backend.name
        if name in self.leaving or name in self.strays:
            return Obstacle("the one before it is not gone yet").of_new_backend(name)
        if origin in limits.origins:
            detail = f"HAProxy refuses it: {limits.origins[origin]}"
            return Obstacle(detail, refused=True).of_new_backend(name)
        obstacle = unchangeable(backend, inherited, limits)
        if obstacle is not None and backend.servers:
            return obstacle.of_new_backend(name)
        for server in backend.servers.values():
            obstacle = limits.of(server)
            if obstacle is not None:
                detail = f"its server {server.name} {obstacle.detail}"
                return evolve(obstacle, detail=detail).of_new_backend(name)
        return making(backend, origin)


def making(backend: Backend, origin: str) -> Step:
    """Make a backend from a ``defaults``, with its servers, and only then let requests come to it."""
    name = backend.name
    commands = ["experimental-mode on", f"add backend {name} from {origin}"]
    for server in backend.servers.values():
        commands += adding(f"{name}/{server.name}", server)
    return Step("made", name, (*commands, f"publish backend {name}"))


def withdrawing(name: str) -> Step:
    """Let no new request come to a backend."""
    return Step("withdrawn", name, ("experimental-mode on", f"unpublish backend {name}"))


def unmentioned(names: Iterable[str], config: Config) -> bool:
    """Whether nothing in a text names these backends, so that HAProxy would read it without them."""
    text = config.template
    return not any(
        name in text and re.search(rf"(?<![\w.-]){re.escape(name)}(?![\w.-])", text) for name in names
    )
