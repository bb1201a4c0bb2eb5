"""Which of an app's health checks speaks for which of its ports."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import frozen

from marathonlb.marathon.model import App, HealthCheck

HTTP_CHECKS = frozenset({"HTTP", "HTTPS", "MESOS_HTTP", "MESOS_HTTPS"})
TCP_CHECKS = frozenset({"TCP", "MESOS_TCP"})


@frozen
class Checks:
    """
    The HTTP and TCP checks of an app: the first that names a port speaks for it, else one of a fixed port, else none.

    :param named: by the index that they name.
    :param fixed: the first that names a port and no index.
    :param first: the first that names no index, which speaks for the first port.
    """

    named: Mapping[int, HealthCheck]
    fixed: HealthCheck | None = None
    first: HealthCheck | None = None

    @classmethod
    def of(cls, app: App) -> Checks:
        """Those of an app."""
        usable = [check for check in app.health_checks if check.protocol in HTTP_CHECKS | TCP_CHECKS]
        named = {check.port_index: check for check in reversed(usable) if check.port_index is not None}
        rest = [check for check in usable if check.port_index is None]
        fixed = next((check for check in rest if check.port is not None), None)
        return cls(named, fixed, rest[0] if rest else None)

    def of_port(self, index: int) -> HealthCheck | None:
        """The one that speaks for a port; None where there is none."""
        return self.named.get(index) or (self.fixed if index else self.first)
