"""
Capabilities of a HAProxy's runtime API: asked where it tells, known by version, learnt from refusals. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping

from attrs import evolve, field, frozen
from msgspec import Struct

from marathonlb.config.text.named_defaults import SINCE
from marathonlb.config.text.server_lines import ARGUMENTS, ServerLine
from marathonlb.haproxy.reload_reason import ReasonKind, ReloadReason
from marathonlb.haproxy.runtime.replies import CommandRefusal, supported

COOKIES_SINCE = (2, 7)
"""The first version that takes ``cookie`` in ``add server``."""

_OF_BACKENDS = ("experimental-mode ", "publish backend ", "unpublish backend ")
"""Beginnings of commands without which no backend is created."""


class Impossible(Struct, frozen=True):
    """The runtime API cannot make a change, for a reason that takes a reload."""

    reason: ReloadReason


@frozen
class UpdateObstacle:
    """
    A property of a server or a backend that the runtime API does not take.

    :param detail: in words that follow ``server shop/a`` or ``backend shop:``.
    :param refused: whether that is known because HAProxy refused it.
    """

    detail: str
    refused: bool = False

    def of_server(self, name: str) -> Impossible:
        """Return the reason for a server: ``backend/server``."""
        return self._impossible(ReasonKind.SERVER_NOT_UPDATABLE, name, "server")

    def of_backend(self, name: str) -> Impossible:
        """Return the reason for the servers of a backend."""
        return self._impossible(ReasonKind.BACKEND_NOT_UPDATABLE, name, "backend")

    def of_new_backend(self, name: str) -> Impossible:
        """Return the reason for a backend that cannot be created."""
        return self._impossible(ReasonKind.BACKEND_NOT_CREATABLE, name, "backend")

    def _impossible(self, kind: ReasonKind, name: str, section: str) -> Impossible:
        return Impossible(ReloadReason(kind, name, self.detail, section, refused=self.refused))


@frozen
class RuntimeLimits:
    """
    Limits of the runtime API of one HAProxy.

    :param arguments: arguments of a server that it does not take, each with the reason.
    :param backends: backends in which it refused a server, by name: the text without servers at which it did, and its
        words. With another text it may take one.
    :param creates_backends: whether whole backends are created and deleted without a reload (HAProxy 3.4).
    :param defaults: the ``defaults`` sections from which it refuses to create a backend, each with its words.
    """

    arguments: Mapping[str, UpdateObstacle] = field(factory=dict)
    backends: Mapping[str, tuple[str, str]] = field(factory=dict)
    creates_backends: bool = False
    defaults: Mapping[str, str] = field(factory=dict)

    def obstacle_to(self, server: ServerLine) -> UpdateObstacle | None:
        """Return why this server cannot be added; None where it can."""
        if server.problem:
            return UpdateObstacle(server.problem)
        for word in server.arguments:
            if word in self.arguments:
                obstacle = self.arguments[word]
                return evolve(obstacle, detail=f"has the argument {word}, {obstacle.detail}")
        return None


@frozen
class RuntimeCapabilities:
    """
    What the runtime API of one version of HAProxy can do.

    :param version: as ``show version`` has it; empty where it was not asked yet.
    """

    version: str = ""
    limits: RuntimeLimits = field(factory=RuntimeLimits)

    @property
    def numbers(self) -> tuple[int, ...]:
        """The first two numbers of the version."""
        return tuple(int(part) for part in self.version.split("-")[0].split(".")[:2] if part.isdigit())

    @classmethod
    def of(cls, version: str, server_help: str = "") -> RuntimeCapabilities:
        """
        Return the capabilities of a version.

        :param server_help: the reply to ``add server help``, which lists arguments in newer versions (3.4).
        """
        self = cls(version)
        obstacle = UpdateObstacle(f"which HAProxy {version} does not take at runtime")
        arguments = {}
        if self.numbers < COOKIES_SINCE:
            arguments["cookie"] = obstacle
        listed = supported(server_help, ARGUMENTS)
        if listed is not None:
            arguments.update(dict.fromkeys(ARGUMENTS.keys() - listed, obstacle))
        return cls(version, RuntimeLimits(arguments, creates_backends=self.numbers >= SINCE))

    def updated(self, version: str, server_help: str) -> RuntimeCapabilities:
        """Return the capabilities of a worker that answers so; with the same version what was learnt stays."""
        return self if version == self.version else self.of(version, server_help)

    def without(self, refusal: CommandRefusal, rest: str) -> RuntimeCapabilities:
        """
        Return what is left after a refusal.

        :param rest: the text without servers of the backend that it was about; with another text it may do.
        """
        limits = self.limits
        if refusal.argument:
            obstacle = UpdateObstacle(f"which HAProxy refuses: {refusal.reason}", refused=True)
            return self._limited(evolve(limits, arguments={**limits.arguments, refusal.argument: obstacle}))
        if not refusal.lasting:
            return self
        if refusal.command.startswith("add server "):
            refused = (rest, f"HAProxy refuses new servers: {refusal.reason}")
            return self._limited(evolve(limits, backends={**limits.backends, refusal.backend: refused}))
        if refusal.command.startswith("add backend "):
            section = refusal.command.split()[-1]
            return self._limited(evolve(limits, defaults={**limits.defaults, section: refusal.reason}))
        if refusal.command.startswith(_OF_BACKENDS):
            return self._limited(evolve(limits, creates_backends=False))
        return self

    def _limited(self, limits: RuntimeLimits) -> RuntimeCapabilities:
        return evolve(self, limits=limits)
