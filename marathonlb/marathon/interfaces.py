"""The interfaces through which the reconciler asks Marathon and resolves the hosts of agents, and their values."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from attrs import frozen
from twisted.internet.defer import Deferred
from zope.interface import Interface

from marathonlb.marathon.model import App


@frozen(kw_only=True)
class UnreadableApp:
    """
    An app of an answer that cannot be read; the other apps of that answer are valid.

    :param app_id: its id, or a placeholder such as ``#3`` (the third of the list) if even the id is missing.
    """

    app_id: str
    reason: str


@frozen(kw_only=True)
class UnreadableTask:
    """A task that cannot be read and was left out; its app and the other tasks are valid."""

    app_id: str
    task_id: str
    reason: str


@frozen(kw_only=True)
class AppsAnswer:
    """
    One answer about running apps.

    :param left_out: single tasks that cannot be read, of apps that are otherwise valid.
    :param size: bytes of the answer's body, after decompression.
    :param url: the base URL of the Marathon that gave it.
    """

    apps: tuple[App, ...]
    unreadable: tuple[UnreadableApp, ...] = ()
    left_out: tuple[UnreadableTask, ...] = ()
    size: int = 0
    url: str = ""


class IMarathon(Interface):
    """A cluster's Marathon. Each failure is a `marathonlb.errors.SourceError`, never an empty answer."""

    def apps(avoid: str | None = None) -> Deferred[AppsAnswer]:
        """
        Return every app and pod with its tasks.

        :param avoid: the URL of a Marathon that is asked only if all others fail; for a second answer.
        """

    def app(app_id: str) -> Deferred[AppsAnswer]:
        """Return one app with its tasks: an answer with one app, one unreadable app, or none if it is gone."""

    def elected() -> Deferred[bool]:
        """Return whether a leader is elected, according to ``/v2/info``."""


class Hosts(Protocol):
    """The addresses of the agents' hosts."""

    async def learn(self, hosts: Iterable[str]) -> None:
        """Resolve the hosts that are not known yet."""

    def keep(self, hosts: Iterable[str]) -> None:
        """Forget all hosts but these."""

    def moved(self) -> frozenset[str]:
        """Return the hosts whose address has changed since the last call."""
