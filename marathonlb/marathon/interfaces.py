"""What the reconciler wants of Marathon; the client and the tests' fake both provide it."""

from __future__ import annotations

from attrs import frozen
from twisted.internet.defer import Deferred
from zope.interface import Interface

from marathonlb.marathon.model import App


@frozen(kw_only=True)
class UnreadableApp:
    """
    An app in an answer that could not be understood; the others of that answer can be believed.

    :param app_id: its id, or a placeholder such as ``#3`` (the third of the list) where even that is missing.
    """

    app_id: str
    reason: str


@frozen(kw_only=True)
class UnreadableTask:
    """A task that could not be understood and was left out; its app and the other tasks can be believed."""

    app_id: str
    task_id: str
    reason: str


@frozen(kw_only=True)
class AppsAnswer:
    """
    One answer to "what runs?".

    :param left_out: single tasks that could not be understood, of apps that are otherwise good.
    :param size: bytes of the answer's body, after decompression.
    :param url: the Marathon that gave it.
    """

    apps: tuple[App, ...]
    unreadable: tuple[UnreadableApp, ...] = ()
    left_out: tuple[UnreadableTask, ...] = ()
    size: int = 0
    url: str = ""


class IMarathon(Interface):
    """A cluster that can be asked. Each failure is a `marathonlb.errors.SourceError`, never an empty answer."""

    def apps(avoid: str | None = None) -> Deferred[AppsAnswer]:
        """
        Every app and pod with its tasks.

        :param avoid: the URL of a Marathon not to ask where there is another: a second opinion.
        """

    def app(app_id: str) -> Deferred[AppsAnswer]:
        """One app with its tasks: an answer with one app, with one unreadable app, or with none where it is gone."""

    def elected() -> Deferred[bool]:
        """Whether ``/v2/info`` says that a leader is elected."""
