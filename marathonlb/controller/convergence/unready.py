"""Apps with tasks that are not ready yet: Marathon sends no event when they become ready, so it is asked again."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from marathonlb.base.causes import Cause, CauseKind
from marathonlb.marathon.events.hints import Hint
from marathonlb.marathon.model import App
from marathonlb.timers import NamedTimers

READINESS = 5.0
"""Seconds between two questions about apps with tasks that are not ready."""


class UnreadyApps:
    """
    Keeps the ids of these apps, and gives hints about them until all their tasks are ready.

    :param timers: holds the timer ``readiness``.
    :param running: returns whether hints are acted on; without that there are no timers.
    """

    def __init__(
        self, poke: Callable[[Hint], object], timers: NamedTimers, running: Callable[[], bool]
    ) -> None:
        self._poke = poke
        self._timers = timers
        self._running = running
        self._apps: set[str] = set()

    @property
    def apps(self) -> frozenset[str]:
        """Their ids."""
        return frozenset(self._apps)

    def note(self, touched: Iterable[str], cluster: Mapping[str, App]) -> None:
        """
        Look at apps that have changed.

        :param touched: their ids; one that is not in the cluster is gone.
        """
        for app_id in touched:
            app = cluster.get(app_id)
            if app is not None and any(task.ready is False for task in app.tasks):
                self._apps.add(app_id)
            else:
                self._apps.discard(app_id)
        self._watch()

    def _watch(self) -> None:
        if self._apps and "readiness" not in self._timers and self._running():
            self._timers.set("readiness", READINESS, self._ask)

    def _ask(self) -> None:
        if self._apps:
            self._poke(Hint.of(self._apps, Cause(CauseKind.READINESS)))
            self._watch()
