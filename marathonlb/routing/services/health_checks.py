"""The health check of each port of an app."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from marathonlb.marathon.model import App, HealthCheck

HTTP_CHECKS = frozenset({"HTTP", "HTTPS", "MESOS_HTTP", "MESOS_HTTPS"})
TCP_CHECKS = frozenset({"TCP", "MESOS_TCP"})


class PortChecks(Struct, frozen=True):
    """
    The HTTP and TCP checks of an app: the first that names a port's index is its check, else one of a fixed port.

    :param named: the checks that name an index, by that index.
    :param fixed: the first check that names a port and no index.
    :param first: the first check that names no index: that of the first port.
    """

    named: Mapping[int, HealthCheck]
    fixed: HealthCheck | None = None
    first: HealthCheck | None = None

    @classmethod
    def of(cls, app: App) -> PortChecks:
        """Return the checks of an app."""
        usable = [check for check in app.health_checks if check.protocol in HTTP_CHECKS | TCP_CHECKS]
        named = {check.port_index: check for check in reversed(usable) if check.port_index is not None}
        rest = [check for check in usable if check.port_index is None]
        fixed = next((check for check in rest if check.port is not None), None)
        return cls(named, fixed, rest[0] if rest else None)

    def of_port(self, index: int) -> HealthCheck | None:
        """Return the check of a port, or None."""
        return self.named.get(index) or (self.fixed if index else self.first)
