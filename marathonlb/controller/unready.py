"""The apps with tasks that are not ready yet: Marathon does not announce when they are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from marathonlb.marathon.model import App

READINESS = 5.0
"""Seconds after which they are asked about again."""


class UnreadyApps:
    """Remembers their ids."""

    def __init__(self) -> None:
        self._apps: set[str] = set()

    def note(self, touched: Iterable[str], cluster: Mapping[str, App]) -> None:
        """Look at apps that have changed."""
        for app_id in touched:
            app = cluster.get(app_id)
            if app is not None and any(task.ready is False for task in app.tasks):
                self._apps.add(app_id)
            else:
                self._apps.discard(app_id)

    @property
    def apps(self) -> frozenset[str]:
        """Their ids now."""
        return frozenset(self._apps)
