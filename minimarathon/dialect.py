"""How Marathon's versions differ where a client can see it: one value that is asked, instead of version numbers."""

from __future__ import annotations

from attrs import frozen

RELEASES = {
    (1, 4): "1.4.13",
    (1, 5): "1.5.15",
    (1, 6): "1.6.590",
    (1, 7): "1.7.236",
    (1, 8): "1.8.244",
    (1, 9): "1.9.109",
    (1, 10): "1.10.17",
    (1, 11): "1.11.24",
}


@frozen
class Dialect:
    """
    The Marathon that is spoken.

    :param version: major and minor number, one of `RELEASES`.
    """

    version: tuple[int, int] = (1, 5)

    @classmethod
    def parse(cls, text: str) -> Dialect:
        """
        Return the dialect of ``1.5`` or ``1.5.15``.

        :raise ValueError: where this is no version that is spoken here.
        """
        for version, release in RELEASES.items():
            short = ".".join(map(str, version))
            if text in (short, release):
                return cls(version)
        known = ", ".join(".".join(map(str, v)) for v in RELEASES)
        raise ValueError(f"{text!r} is none of the versions that are spoken: {known}")

    @property
    def release(self) -> str:
        """A full version number, as ``/v2/info`` tells it."""
        return RELEASES[self.version]

    @property
    def old_ports(self) -> bool:
        """``ports``, ``ipAddress``, ``docker.network`` and explicit nulls; from 1.5 on ``networks`` instead."""
        return self.version < (1, 5)

    @property
    def subscriptions(self) -> bool:
        """``/v2/eventSubscriptions`` exists; removed in 1.5."""
        return self.version < (1, 5)

    @property
    def goals(self) -> bool:
        """Instances have goals (1.8+): conditions Scheduled and Provisioned, ids with ``instance-``."""
        return self.version >= (1, 8)

    @property
    def roles(self) -> bool:
        """Tasks and apps carry a ``role`` (1.9+)."""
        return self.version >= (1, 9)

    @property
    def closes_slow_streams(self) -> bool:
        """An event stream that falls behind is closed (1.8+); before, its events were dropped in silence."""
        return self.version >= (1, 8)

    @property
    def max_outstanding(self) -> int:
        """How many unsent events a stream may have."""
        return 50 if self.version < (1, 5) else 1024

    @property
    def unknown_path_status(self) -> int:
        """The response to an unknown path: later Marathons call it their own error."""
        return 404 if self.version < (1, 6) else 500

    @property
    def failure_reasons(self) -> bool:
        """``deployment_failed`` names its reason (1.6+)."""
        return self.version >= (1, 6)

    def light_plans(self, asked: bool) -> bool:
        """
        Whether deployment events leave out the whole cluster before and after.

        :param asked: the stream was opened with ``plan-format=light``.
        """
        return self.version >= (1, 7) or (asked and self.version >= (1, 5))
