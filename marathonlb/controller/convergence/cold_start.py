"""Doubt the first configuration after a start if it lacks many of the services that HAProxy runs."""

from __future__ import annotations

from twisted.internet.interfaces import IReactorTime

from marathonlb.controller.event_log import EventLog
from marathonlb.controller.planned_config import PlannedConfig
from marathonlb.haproxy.interfaces import IApplier
from marathonlb.marathon.gatherer import SECOND_OPINION, AppGatherer


class ColdStartDoubt:
    """
    Asks for a second opinion if the first configuration removes too many services.

    The gatherer doubts later answers; before the first answer only HAProxy's running configuration is there to compare
    with. The removal is believed when a second full answer agrees, as in the gatherer.

    :param max_shrink: percent of the services that may be removed without a second opinion; 100 turns the doubt off.
    """

    def __init__(
        self,
        gatherer: AppGatherer,
        applier: IApplier,
        event_log: EventLog,
        clock: IReactorTime,
        max_shrink: float,
    ) -> None:
        self._gatherer = gatherer
        self._applier = applier
        self._event_log = event_log
        self._clock = clock
        self._max_shrink = max_shrink
        self._since: float | None = None

    async def about(self, planned: PlannedConfig) -> bool:
        """Return whether a plan lacks too many of the running services, and no second answer has agreed yet."""
        if self._max_shrink >= 100:
            return False
        before = self._applier.served()
        gone = before - {service.backend for service in planned.services if service.servers}
        if not before or 100 * len(gone) / len(before) <= self._max_shrink:
            return False
        if self._since is None:
            self._since = self._clock.seconds()
            self._event_log.doubted(len(gone), len(before), SECOND_OPINION)
        elif await self._gatherer.agrees(self._since):
            return False
        self._gatherer.doubt()
        return True
