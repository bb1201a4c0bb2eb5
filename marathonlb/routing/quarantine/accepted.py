"""The services whose text HAProxy has read: when it fails, a service with another text may be the cause. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from marathonlb.routing.quarantine.refused import Key, bare
from marathonlb.routing.services.model import Service


class Readings:
    """
    Remembers the services whose text HAProxy has read; their tasks do not count.

    Each service is known twice: as its owner offered it, and as it was rendered, with what collisions have left it.

    :ivar good: the services as they were rendered when HAProxy last read its configuration, by key.
    :ivar any: True if HAProxy has read anything.
    """

    def __init__(self) -> None:
        self.good: Mapping[Key, Service] = {}
        self.any = False
        self._read: Mapping[Key, Service] = {}
        self._runs: Mapping[Key, Service] = {}

    def took(self, rendered: Iterable[Service], admitted: Mapping[Key, Service], *, read: bool) -> None:
        """
        Remember what HAProxy runs.

        :param admitted: the services that are served as they are offered, by key.
        :param read: True if HAProxy has read the text; False if the runtime API made the changes.
        """
        self._runs = admitted
        if read or not self.any:
            self._read, self.any = admitted, True
            self.good = {service.key: service for service in rendered}

    def unread(self, rendered: Iterable[Service], admitted: Mapping[Key, Service]) -> list[Service]:
        """Return the services with a text that HAProxy has not read."""
        return [
            service
            for service in rendered
            if _differs(self.good.get(service.key), service)
            or _differs(self._read.get(service.key), admitted.get(service.key))
        ]

    def new(self, offered: Iterable[Service], held: Collection[Key]) -> list[Service]:
        """Return the services that have changed since HAProxy last accepted something, those that are held aside."""
        return [
            service
            for service in offered
            if service.key not in held and _differs(self._runs.get(service.key), service)
        ]


def _differs(before: Service | None, after: Service | None) -> bool:
    return after is not None and (before is None or bare(before) != bare(after))
