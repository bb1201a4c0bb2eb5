"""The differences between Marathon's versions that clients see, as properties of one value."""

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
    The Marathon version to emulate.

    :param version: major and minor number, one of `RELEASES`.
    """

    version: tuple[int, int] = (1, 5)

    @classmethod
    def parse(cls, text: str) -> Dialect:
        """
        Return the dialect of ``1.5`` or ``1.5.15``.

        :raise ValueError: if the version is not supported.
        """
        for version, release in RELEASES.items():
            short = ".".join(map(str, version))
            if text in (short, release):
                return cls(version)
        known = ", ".join(".".join(map(str, version)) for version in RELEASES)
        raise ValueError(f"{text!r} is not supported; supported versions: {known}")

    @property
    def release(self) -> str:
        """The full version number, as in ``/v2/info``."""
        return RELEASES[self.version]

    @property
    def old_ports(self) -> bool:
        """True if apps have ``ports``, ``ipAddress``, ``docker.network`` and nulls (before 1.5), not ``networks``."""
        return self.version < (1, 5)

    @property
    def subscriptions(self) -> bool:
        """True if ``/v2/eventSubscriptions`` exists (removed in 1.5)."""
        return self.version < (1, 5)

    @property
    def goals(self) -> bool:
        """True if instances have goals (1.8+): conditions Scheduled and Provisioned, ids with ``instance-``."""
        return self.version >= (1, 8)

    @property
    def roles(self) -> bool:
        """True if tasks and apps have a ``role`` (1.9+)."""
        return self.version >= (1, 9)

    @property
    def closes_slow_streams(self) -> bool:
        """True if a stream that falls behind is closed (1.8+); before, its events are dropped."""
        return self.version >= (1, 8)

    @property
    def max_outstanding(self) -> int:
        """Maximum number of unsent events of a stream."""
        return 50 if self.version < (1, 5) else 1024

    @property
    def unknown_path_status(self) -> int:
        """The HTTP status for an unknown path: 404 before 1.6, 500 since."""
        return 404 if self.version < (1, 6) else 500

    @property
    def failure_reasons(self) -> bool:
        """True if ``deployment_failed`` has a reason (1.6+)."""
        return self.version >= (1, 6)

    def light_plans(self, requested: bool) -> bool:
        """
        Return whether deployment events omit the whole cluster before and after.

        :param requested: true if the stream was opened with ``plan-format=light``.
        """
        return self.version >= (1, 7) or (requested and self.version >= (1, 5))
