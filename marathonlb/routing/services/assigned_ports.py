"""
Service ports for the ports that Marathon gave none (IP per task, pods), from the range of the options. Pure.

The older app (then the smaller app id) keeps its port, and a port that an app names is assigned to no younger app.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping

from msgspec import Struct

from marathonlb.marathon.model import App, Networking

_NONE: Mapping[int, int] = {}


class _PortClaims(Struct, frozen=True):
    """
    One app's claims to ports of the range.

    :param since: when the app last changed: its age.
    :param named: the ports of the range that its labels or Marathon name.
    :param needed: the indexes of the ports for which neither names one.
    """

    since: str
    named: frozenset[int]
    needed: tuple[int, ...]


class AssignedPorts:
    """
    The assigned service ports of all apps; they depend on the set of apps, not on the order of changes.

    :param low: the first port of the range.
    :param high: the last one; 0 assigns none.
    """

    def __init__(self, low: int, high: int) -> None:
        self._low = low
        self._high = high
        self._claims: dict[str, _PortClaims] = {}
        self._assigned: dict[str, dict[int, int]] = {}

    def copy(self) -> AssignedPorts:
        """Return a copy that changes independently."""
        other = AssignedPorts(self._low, self._high)
        other._claims, other._assigned = dict(self._claims), self._assigned
        return other

    def of(self, app_id: str) -> Mapping[int, int]:
        """Return the assigned ports of an app, by port index."""
        return self._assigned.get(app_id, _NONE)

    def update(self, apps: Mapping[str, App], touched: Iterable[str]) -> set[str]:
        """
        Record changed apps.

        :param apps: everything that runs, by id; a touched app that is not among them is gone.
        :return: the apps that have other assigned ports than before.
        """
        if not self._high:
            return set()
        changed = [app_id for app_id in touched if self._note(app_id, self._claims_of(apps.get(app_id)))]
        if not changed:
            return set()
        before, self._assigned = self._assigned, self._winners()
        moved = (
            app_id
            for app_id in before.keys() | self._assigned.keys()
            if before.get(app_id) != self._assigned.get(app_id)
        )
        return {app_id for app_id in moved if app_id in apps}

    def _claims_of(self, app: App | None) -> _PortClaims | None:
        if app is None:
            return None
        named = frozenset(port for port in _named_ports(app) if self._low <= port <= self._high)
        needed = tuple(_indexes_without_port(app))
        if not named and not needed:
            return None
        return _PortClaims(app.config_changed_at or app.version, named, needed)

    def _note(self, app_id: str, claims: _PortClaims | None) -> bool:
        """Keep an app's claims; return True if they have changed."""
        before = self._claims.pop(app_id, None)
        if claims is not None:
            self._claims[app_id] = claims
        return before != claims

    def _winners(self) -> dict[str, dict[int, int]]:
        """Assign the ports, to the oldest app first."""
        assigned: dict[str, dict[int, int]] = {}
        taken: set[int] = set()
        for app_id, claims in sorted(self._claims.items(), key=lambda item: (item[1].since, item[0])):
            taken |= claims.named
            for index in claims.needed:
                port = self._free_port(app_id, index, taken)
                if port is not None:
                    taken.add(port)
                    assigned.setdefault(app_id, {})[index] = port
        return assigned

    def _free_port(self, app_id: str, index: int, taken: set[int]) -> int | None:
        """Return the port that follows from the app's id and index, else the next free one; None if all are taken."""
        size = self._high - self._low + 1
        digest = hashlib.sha1(f"{app_id}:{index}".encode(), usedforsecurity=False).digest()
        start = int.from_bytes(digest[:4], "big") % size
        ports = (self._low + (start + step) % size for step in range(size))
        return next((port for port in ports if port not in taken), None)


def _indexes_without_port(app: App) -> Iterator[int]:
    """
    Yield the ports for which neither Marathon nor a label names a service port: of container networking, and of pods.

    In other networking modes only apps with labels of ours get one, so that pods that are not to be balanced do not
    use up the range.
    """
    if app.networking is not Networking.CONTAINER and not app.labels:
        return
    for index, port in enumerate(app.ports):
        if not port.service_port and "tcp" in port.protocol and f"HAPROXY_{index}_PORT" not in app.labels:
            yield index


def _named_ports(app: App) -> Iterator[int]:
    """Yield the service ports that labels or Marathon name; a label that is no number does not count."""
    for index, port in enumerate(app.ports):
        label = app.labels.get(f"HAPROXY_{index}_PORT", "").strip()
        yield int(label) if label.isdecimal() and len(label) < 6 else port.service_port
