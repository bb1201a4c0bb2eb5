"""
What a HAProxy can be told at runtime: asked where it tells, known by version else, learnt from refusals. Pure.
"""

from __future__ import annotations

from attrs import evolve, field, frozen

from marathonlb.config.text.named_defaults import SINCE
from marathonlb.config.text.server_lines import ARGUMENTS
from marathonlb.haproxy.dynamic.servers import Limits, Obstacle
from marathonlb.haproxy.runtime.replies import CommandRefusal, supported

COOKIES_SINCE = (2, 7)
"""Before this version ``cookie`` is refused in ``add server``."""


@frozen
class Abilities:
    """
    The abilities of one version.

    :param version: as ``show version`` has it; empty where it was not asked yet.
    """

    version: str = ""
    limits: Limits = field(factory=Limits)

    @property
    def numbers(self) -> tuple[int, ...]:
        """The first two numbers of the version."""
        return tuple(int(part) for part in self.version.split("-")[0].split(".")[:2] if part.isdigit())

    @classmethod
    def of(cls, version: str, helped: str = "") -> Abilities:
        """
        What a version can do.

        :param helped: the answer to ``add server help``, which tells in newer versions (3.4).
        """
        self = cls(version)
        arguments = {}
        if self.numbers < COOKIES_SINCE:
            arguments["cookie"] = Obstacle(f"which HAProxy {version} does not take at runtime")
        there = supported(helped, ARGUMENTS)
        if there is not None:
            obstacle = Obstacle(f"which HAProxy {version} does not take at runtime")
            arguments.update(dict.fromkeys(ARGUMENTS.keys() - there, obstacle))
        return cls(version, Limits(arguments, makes_backends=self.numbers >= SINCE))

    def without(self, refused: CommandRefusal, rest: str) -> Abilities:
        """
        What is left after a refusal.

        :param rest: of the text of the backend that it was about; with another text it may do.
        """
        limits = self.limits
        if refused.argument:
            obstacle = Obstacle(f"which HAProxy refuses: {refused.reason}", refused=True)
            arguments = {**limits.arguments, refused.argument: obstacle}
            return evolve(self, limits=evolve(limits, arguments=arguments))
        if refused.lasting and refused.command.startswith("add server "):
            why = (rest, f"HAProxy refuses new servers: {refused.reason}")
            return evolve(self, limits=evolve(limits, backends={**limits.backends, refused.backend: why}))
        if refused.lasting and refused.command.startswith("add backend "):
            origins = {**limits.origins, refused.command.split()[-1]: refused.reason}
            return evolve(self, limits=evolve(limits, origins=origins))
        if refused.lasting and refused.command.startswith(_OF_BACKENDS):
            return evolve(self, limits=evolve(limits, makes_backends=False))
        return self


_OF_BACKENDS = ("experimental-mode ", "publish backend ", "unpublish backend ")
