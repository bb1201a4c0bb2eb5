"""Decide which ports this load balancer serves, by their groups and by HAPROXY_{n}_ENABLED; also for explanations."""

from __future__ import annotations

from marathonlb.routing.labels.parse import AppLabels, PortLabels
from marathonlb.settings import Settings


def why_not_offered(labels: AppLabels, index: int, settings: Settings) -> str | None:
    """
    Return why this load balancer does not serve a port, in words for its owner; None if it does.

    :param index: the index of the port, from 0.
    """
    port = labels.port(index)
    if not in_group(labels, port, settings.groups):
        groups = port.get("GROUP", labels.groups)
        mine = f"is in the group {', '.join(groups)}" if groups else "has no group (HAPROXY_GROUP)"
        ours = (
            f"the group {', '.join(sorted(settings.groups))}" if settings.groups else "apps without a group"
        )
        return f"it {mine}, and this load balancer serves {ours} (--group)"
    enabled: bool | None = port.get("ENABLED")
    if enabled is False:
        return f"HAPROXY_{index}_ENABLED is false"
    if enabled is None and settings.strict_mode:
        return f"HAPROXY_{index}_ENABLED is not set, and under --strict-mode a port is off without it"
    return None


def in_group(labels: AppLabels, port: PortLabels, wanted: frozenset[str]) -> bool:
    """
    Return True if a port belongs to one of the wanted groups.

    :param wanted: no group selects apps without a group; ``*`` selects all apps.
    """
    groups: tuple[str, ...] = port.get("GROUP", labels.groups)
    if "*" in wanted:
        return True
    return not wanted.isdisjoint(groups) if wanted else not groups
