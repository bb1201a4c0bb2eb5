"""The first stage of a convergence: ask Marathon about the apps that hints name, and find the changes."""

from __future__ import annotations

from msgspec import Struct
from twisted.internet.interfaces import IReactorTime

from marathonlb.controller.convergence.pending_hints import PendingHints
from marathonlb.controller.convergence.unready import UnreadyApps
from marathonlb.controller.event_log import EventLog
from marathonlb.controller.status import CurrentStatus
from marathonlb.marathon.gatherer import AppGatherer, hosts_of
from marathonlb.marathon.interfaces import Hosts


class ClusterNews(Struct, frozen=True):
    """
    The changes that an answer of Marathon brings.

    :param touched: the ids of the apps that changed, or whose agents' addresses did.
    :param believed: False if the answer removes so much that a second one has to confirm it.
    """

    touched: frozenset[str]
    believed: bool


class Gathering:
    """
    Asks Marathon, resolves the agents' hosts, and notes drift and readiness.

    :param counts_drift: False if Marathon is polled: without events none can be missed.
    :ivar as_of: the time as of which the known state holds, in seconds on the clock.
    """

    def __init__(
        self,
        gatherer: AppGatherer,
        hosts: Hosts,
        hints: PendingHints,
        unready: UnreadyApps,
        status: CurrentStatus,
        event_log: EventLog,
        clock: IReactorTime,
        *,
        counts_drift: bool,
    ) -> None:
        self.as_of = 0.0
        self._gatherer = gatherer
        self._hosts = hosts
        self._hints = hints
        self._unready = unready
        self._status = status
        self._event_log = event_log
        self._clock = clock
        self._counts_drift = counts_drift

    async def gather(self, apps: frozenset[str] | None) -> ClusterNews:
        """
        Ask Marathon about these apps.

        :param apps: their ids; None for everything.
        :raises SourceError: Marathon did not answer.
        """
        named = self._hints.take_named()
        asked_at = self._clock.seconds()
        try:
            with self._event_log.stage("gather"):
                gathered = await self._gatherer.gather(apps)
        except BaseException:
            self._hints.named |= named
            raise
        self.as_of = asked_at if gathered.as_of is None else gathered.as_of
        cluster = self._gatherer.cluster.apps
        touched = gathered.change.touched
        await self._hosts.learn(hosts_of(cluster[app_id] for app_id in touched if app_id in cluster))
        if gathered.full:
            self._status.update(last_full=self._gatherer.last_full)
            self._note_drift(gathered.drifted - named)
            self._hosts.keep(hosts_of(cluster.values()))
        self._unready.note(touched, cluster)
        moved = self._hosts.moved()
        if moved:
            touched |= {app.id for app in cluster.values() if not moved.isdisjoint(hosts_of([app]))}
        return ClusterNews(touched, believed=gathered.again_in is None)

    def _note_drift(self, apps: frozenset[str]) -> None:
        """Count changed apps that no event had named: Marathon drops events, and streams end."""
        if apps and self._counts_drift:
            self._status.update(drift=self._status.now.drift + len(apps))
            self._event_log.drifted(apps)
