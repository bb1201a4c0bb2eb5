"""Which texts of the services HAProxy has read: whoever has another one may be why it fails. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from marathonlb.routing.quarantine.refused import Key, bare
from marathonlb.routing.services.model import Service


class Readings:
    """
    Remembers them, tasks aside.

    A service is known twice: as its owner offered it, and as it was rendered, without the names that another one got.

    :ivar good: the services as they were rendered when HAProxy read them last.
    :ivar any: whether it has read anything.
    """

    def __init__(self) -> None:
        self.good: Mapping[Key, Service] = {}
        self.any = False
        self._read: Mapping[Key, Service] = {}
        self._runs: Mapping[Key, Service] = {}

    def took(self, rendered: Iterable[Service], admitted: Mapping[Key, Service], *, read: bool) -> None:
        """
        Take note of what HAProxy runs.

        :param admitted: the services that are served as they are offered.
        :param read: whether it has read the text; else it was led there by steps.
        """
        self._runs = admitted
        if read or not self.any:
            self._read, self.any = admitted, True
            self.good = {service.key: service for service in rendered}

    def unread(self, rendered: Iterable[Service], admitted: Mapping[Key, Service]) -> list[Service]:
        """The services with a text that HAProxy has not read."""
        return [
            service
            for service in rendered
            if _differs(self.good.get(service.key), service)
            or _differs(self._read.get(service.key), admitted.get(service.key))
        ]

    def new(self, offered: Iterable[Service], held: Collection[Key]) -> list[Service]:
        """The services that have changed since HAProxy took something; those that are held are not among them."""
        return [
            service
            for service in offered
            if service.key not in held and _differs(self._runs.get(service.key), service)
        ]


def _differs(before: Service | None, after: Service | None) -> bool:
    return after is not None and (before is None or bare(before) != bare(after))
