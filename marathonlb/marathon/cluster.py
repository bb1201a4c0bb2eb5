"""
Apps by id, and what an answer changes about them.

The one place where history enters the state, in two ways that are bounded: an app that cannot be read keeps the
value held before, and a task whose health results are missing keeps its last verdict. Everything else follows from
the last answers alone, whatever their order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType

import msgspec
from attrs import frozen

from marathonlb.marathon.interfaces import UnreadableApp
from marathonlb.marathon.model import App, Task

_NOTHING: frozenset[str] = frozenset()


@frozen(kw_only=True)
class Change:
    """
    What an answer changed, as ids of apps; true where there is anything.

    :param stale: apps whose answer is older than what is held, which was kept. They are to be asked again, and
        the second answer is to be given as ``confirmed``: after a restored backup the older one is the truth.
    """

    added: frozenset[str] = _NOTHING
    removed: frozenset[str] = _NOTHING
    changed: frozenset[str] = _NOTHING
    stale: frozenset[str] = _NOTHING

    @property
    def touched(self) -> frozenset[str]:
        """Every app that is not what it was."""
        return self.added | self.removed | self.changed

    def __bool__(self) -> bool:
        return bool(self.added or self.removed or self.changed)


@frozen
class Shrink:
    """
    How much an answer would take away.

    :param before: the services there are now.
    :param vanished: how many of them would have nothing behind them any more.
    """

    before: int
    vanished: int

    @property
    def percent(self) -> float:
        """0 to 100; 0 where there is nothing to lose."""
        return 100 * self.vanished / self.before if self.before else 0.0


def offered_ports(app: App) -> int:
    """How many services an app may have: its ports, where a ``HAPROXY_`` label says that it is meant for us."""
    return len(app.ports) if app.labels else 0


class ClusterState:
    """What is known to run. Not thread safe; its values are frozen."""

    def __init__(self) -> None:
        self._apps: dict[str, App] = {}
        self._unreadable: dict[str, str] = {}

    @property
    def apps(self) -> Mapping[str, App]:
        """The apps by id, a live view; its order says nothing."""
        return MappingProxyType(self._apps)

    @property
    def unreadable(self) -> Mapping[str, str]:
        """Why an app could not be read lately, by id; what was held of it is still in `apps`."""
        return MappingProxyType(self._unreadable)

    def replace_all(
        self, apps: Iterable[App], unreadable: Iterable[UnreadableApp] = (), *, confirmed: bool = False
    ) -> Change:
        """
        Take an answer about everything.

        Where an unreadable app has lost even its id it may be any of those that are missing, so none is removed.

        :param confirmed: this is the second answer that says so; an older version is believed.
        """
        given = {app.id: app for app in apps}
        self._unreadable = {each.app_id: each.reason for each in unreadable}
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

        :param app: None where it is gone.
        :param confirmed: as in `replace_all`.
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
        """Note that one app's answer could not be read; what is held of it stays."""
        self._unreadable[unreadable.app_id] = unreadable.reason

    def shrink(
        self,
        apps: Iterable[App],
        unreadable: Iterable[UnreadableApp] = (),
        weigh: Callable[[App], int] = offered_ports,
    ) -> Shrink:
        """
        How much would go away if this answer about everything were taken.

        A service goes away with its app, with its port or label, and when an app that wants instances loses all
        of its tasks at once.

        :param weigh: how many services an app has.
        """
        given = {app.id: app for app in apps}
        unread = {each.app_id for each in unreadable}
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
    """Whether an answer was overtaken by the one that is held (ISO 8601 in UTC orders as text)."""
    if not app.version or not held.version:
        return False
    return app.version.removesuffix("Z") < held.version.removesuffix("Z")


def with_known_verdicts(app: App, held: App) -> App:
    """
    Fill the health that Marathon does not tell just now with what it told last about the same task.

    Results are missing for a moment after a change of leader; without health checks there are none to wait for.
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
