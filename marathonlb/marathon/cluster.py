"""
The known apps by id, and the changes that an answer makes to them.

Only two things depend on history, and both are bounded: an app that cannot be read keeps its last value, and a task
whose health results are missing keeps its last result. Everything else follows from the last answers alone, in any
order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType

import msgspec
from msgspec import Struct

from marathonlb.marathon.interfaces import UnreadableApp
from marathonlb.marathon.model import App, Task

_NOTHING: frozenset[str] = frozenset()


class Change(Struct, frozen=True, kw_only=True):
    """
    The changes of an answer, as ids of apps; true if there are any.

    :param stale: apps whose answer is older than the known value, which was kept. The caller asks for them again and
        passes the second answer as ``confirmed``: after a restored backup the older version is the right one.
    """

    added: frozenset[str] = _NOTHING
    removed: frozenset[str] = _NOTHING
    changed: frozenset[str] = _NOTHING
    stale: frozenset[str] = _NOTHING

    @property
    def touched(self) -> frozenset[str]:
        """Every app that was added, removed or changed."""
        return self.added | self.removed | self.changed

    def __bool__(self) -> bool:
        return bool(self.added or self.removed or self.changed)


class Shrink(Struct, frozen=True):
    """
    The number of services that an answer would remove.

    :param before: number of services now.
    :param vanished: number of them that would have no servers any more.
    """

    before: int
    vanished: int

    @property
    def percent(self) -> float:
        """Percentage of the services that would vanish, 0 to 100; 0 if there are none."""
        return 100 * self.vanished / self.before if self.before else 0.0


def offered_ports(app: App) -> int:
    """Return the maximum number of services of an app: its ports if it has a ``HAPROXY_`` label, else 0."""
    return len(app.ports) if app.labels else 0


class ClusterState:
    """The known apps of a cluster. Not thread safe; the values are frozen."""

    def __init__(self) -> None:
        self._apps: dict[str, App] = {}
        self._unreadable: dict[str, str] = {}

    @property
    def apps(self) -> Mapping[str, App]:
        """The apps by id, as a live view in no particular order."""
        return MappingProxyType(self._apps)

    @property
    def unreadable(self) -> Mapping[str, str]:
        """The reasons why apps could not be read lately, by id; their last values are still in `apps`."""
        return MappingProxyType(self._unreadable)

    def replace_all(
        self, apps: Iterable[App], unreadable: Iterable[UnreadableApp] = (), *, confirmed: bool = False
    ) -> Change:
        """
        Take an answer about everything.

        If an unreadable app lacks even its id, it may be any of those that are missing, so none is removed.

        :param confirmed: True for a second answer, whose older versions are accepted.
        """
        given = {app.id: app for app in apps}
        self._unreadable = {app.app_id: app.reason for app in unreadable}
        nameless = any("/" not in app_id for app_id in self._unreadable)
        gone = [] if nameless else [i for i in self._apps if i not in given and i not in self._unreadable]
        added, changed, stale = set(), set(), set()
        for app_id, app in given.items():
            held = self._apps.get(app_id)
            if held is None:
                added.add(app_id)
            elif not confirmed and is_older(app, held):
                stale.add(app_id)
                continue
            else:
                app = with_known_verdicts(app, held)
                if app == held:
                    continue
                changed.add(app_id)
            self._apps[app_id] = app
        for app_id in gone:
            del self._apps[app_id]
        return Change(
            added=frozenset(added),
            removed=frozenset(gone),
            changed=frozenset(changed),
            stale=frozenset(stale),
        )

    def replace(self, app_id: str, app: App | None, *, confirmed: bool = False) -> Change:
        """
        Take an answer about one app.

        :param app: None if it is gone.
        :param confirmed: see `replace_all`.
        """
        self._unreadable.pop(app_id, None)
        held = self._apps.get(app_id)
        if app is None:
            if held is None:
                return Change()
            del self._apps[app_id]
            return Change(removed=frozenset((app_id,)))
        if held is None:
            self._apps[app_id] = app
            return Change(added=frozenset((app_id,)))
        if not confirmed and is_older(app, held):
            return Change(stale=frozenset((app_id,)))
        app = with_known_verdicts(app, held)
        if app == held:
            return Change()
        self._apps[app_id] = app
        return Change(changed=frozenset((app_id,)))

    def keep(self, unreadable: UnreadableApp) -> None:
        """Record that an app cannot be read; its last value stays."""
        self._unreadable[unreadable.app_id] = unreadable.reason

    def shrink(
        self,
        apps: Iterable[App],
        unreadable: Iterable[UnreadableApp] = (),
        weigh: Callable[[App], int] = offered_ports,
    ) -> Shrink:
        """
        Return how many services would vanish if this answer about everything were taken.

        A service vanishes with its app, with its port or label, and when an app whose definition asks for instances
        loses all of its tasks at once.

        :param weigh: returns the number of services of an app.
        """
        given = {app.id: app for app in apps}
        unread = {app.app_id for app in unreadable}
        nameless = any("/" not in app_id for app_id in unread)
        before = vanished = 0
        for app_id, held in self._apps.items():
            weight = weigh(held)
            before += weight
            app = given.get(app_id)
            if app is None:
                vanished += 0 if nameless or app_id in unread else weight
            elif held.tasks and not app.tasks and app.instances > 0:
                vanished += weight
            elif app is not held:
                vanished += max(0, weight - weigh(app))
        return Shrink(before, vanished)


def is_older(app: App, held: App) -> bool:
    """Return whether an answer is older than the known value (ISO 8601 in UTC orders as text)."""
    if not app.version or not held.version:
        return False
    return app.version.removesuffix("Z") < held.version.removesuffix("Z")


def with_known_verdicts(app: App, held: App) -> App:
    """
    Return the app with missing health results replaced by the last known ones of the same task.

    Results are missing for a moment after a change of leader. An app without health checks has none.
    """
    if not app.health_checks or all(task.alive is not None for task in app.tasks):
        return app
    known = {task.id: task.alive for task in held.tasks if task.alive is not None}
    if not known:
        return app
    return msgspec.structs.replace(app, tasks=tuple(_judged(task, known.get(task.id)) for task in app.tasks))


def _judged(task: Task, known: bool | None) -> Task:
    if task.alive is not None or known is None:
        return task
    return msgspec.structs.replace(task, alive=known)
