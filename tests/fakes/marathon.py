"""A Marathon in memory that provides `IMarathon`; it passes the same contract as the real client."""

from __future__ import annotations

from typing import TypeVar

from attrs import evolve
from twisted.internet.defer import Deferred, fail, succeed
from zope.interface import implementer

from marathonlb.errors import SourceError
from marathonlb.marathon.interfaces import AppsAnswer, IMarathon, UnreadableApp
from marathonlb.marathon.model import App

T = TypeVar("T")


@implementer(IMarathon)
class FakeMarathon:
    """
    A Marathon whose apps, unreadable apps, failures and delays its test sets.

    :ivar asked: the requests, in order: ``*`` for everything, an app's id, ``elected``.
    :ivar avoided: the ``avoid`` of each request about everything.
    """

    def __init__(self, *apps: App, url: str = "http://fake:8080") -> None:
        self.url = url
        self.asked: list[str] = []
        self.avoided: list[str | None] = []
        self.has_leader = True
        self._apps: dict[str, App] = {}
        self._unreadable: dict[str, UnreadableApp] = {}
        self._failure: SourceError | None = None
        self._answers: list[AppsAnswer] = []
        self._held: list[Deferred[None]] | None = None
        self.set(*apps)

    def set(self, *apps: App) -> None:
        """Run exactly these apps from now on, all of them readable."""
        self._apps = {app.id: app for app in apps}
        self._unreadable = {}

    def put(self, *apps: App) -> None:
        """Run these apps, too, from now on, in place of those with their ids."""
        for app in apps:
            self._apps[app.id] = app
            self._unreadable.pop(app.id, None)

    def remove(self, *app_ids: str) -> None:
        """Remove these apps."""
        for app_id in app_ids:
            del self._apps[app_id]

    def garble(self, app_id: str, reason: str = "`$.ports[0]` is no port") -> None:
        """Make this app unreadable from now on."""
        self._apps.pop(app_id, None)
        self._unreadable[app_id] = UnreadableApp(app_id=app_id, reason=reason)

    def fail(self, reason: str | None = "no leader", status: int | None = 503) -> None:
        """Fail every request from now on; with None answer them again."""
        self._failure = None if reason is None else SourceError(url=self.url, reason=reason, status=status)

    def next_answers(self, *answers: AppsAnswer) -> None:
        """Return these to the next requests about everything or one app, whatever runs."""
        self._answers.extend(answers)

    def hold(self) -> None:
        """Hold back answers until `release`; each has the apps of that time."""
        self._held = self._held or []

    @property
    def held(self) -> int:
        """The number of answers that wait."""
        return len([each for each in self._held or () if not each.called])

    def release(self, count: int | None = None) -> None:
        """Release the first ``count`` waiting answers; without a number all of them, and hold back no more."""
        held = self._held or []
        if count is None:
            self._held = None
        else:
            self._held = held[count:]
        for each in held[:count]:
            if not each.called:
                each.callback(None)

    def apps(self, avoid: str | None = None) -> Deferred[AppsAnswer]:
        """See `IMarathon.apps`."""
        self.asked.append("*")
        self.avoided.append(avoid)
        return self._when_released().addCallback(lambda _: self._everything())

    def app(self, app_id: str) -> Deferred[AppsAnswer]:
        """See `IMarathon.app`."""
        self.asked.append(app_id)
        return self._when_released().addCallback(lambda _: self._one(app_id))

    def elected(self) -> Deferred[bool]:
        """See `IMarathon.elected`."""
        self.asked.append("elected")
        return self._when_released().addCallback(lambda _: self._checked(self.has_leader))

    def _when_released(self) -> Deferred[None]:
        if self._held is None:
            return succeed(None)
        waiting: Deferred[None] = Deferred()
        self._held.append(waiting)
        return waiting

    def _checked(self, answer: T) -> Deferred[T]:
        return succeed(answer) if self._failure is None else fail(self._failure)

    def _everything(self) -> Deferred[AppsAnswer]:
        answer = AppsAnswer(
            apps=tuple(self._apps.values()), unreadable=tuple(self._unreadable.values()), url=self.url
        )
        return self._checked(self._answers.pop(0) if self._answers else answer)

    def _one(self, app_id: str) -> Deferred[AppsAnswer]:
        app, unreadable = self._apps.get(app_id), self._unreadable.get(app_id)
        answer = AppsAnswer(apps=(), url=self.url)
        if app is not None:
            answer = evolve(answer, apps=(app,))
        if unreadable is not None:
            answer = evolve(answer, unreadable=(unreadable,))
        return self._checked(self._answers.pop(0) if self._answers else answer)
