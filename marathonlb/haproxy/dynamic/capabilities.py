"""
Capabilities of a HAProxy's runtime API: asked where it tells, known by version, learnt from refusals. Pure.
"""

from __future__ import annotations

from attrs import evolve, field, frozen

from marathonlb.config.text.named_defaults import SINCE
from marathonlb.config.text.server_lines import ARGUMENTS
from marathonlb.haproxy.dynamic.servers import RuntimeLimits, UpdateObstacle
from marathonlb.haproxy.runtime.replies import CommandRefusal, supported

COOKIES_SINCE = (2, 7)
"""The first version that takes ``cookie`` in ``add server``."""

_OF_BACKENDS = ("experimental-mode ", "publish backend ", "unpublish backend ")
"""Beginnings of commands without which no backend is created."""


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
