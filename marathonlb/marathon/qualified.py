"""
A named cluster: its answers have app ids that no other cluster has.

The name is put before the ids here, where the answers come in, so that rules, names of backends, problems,
explanations and history keep the clusters apart without further code.
"""

from __future__ import annotations

import msgspec
from attrs import evolve
from twisted.internet.defer import Deferred
from zope.interface import implementer

from marathonlb.marathon.events.hints import Hint
from marathonlb.marathon.interfaces import AppsAnswer, IMarathon
from marathonlb.marathon.model import id_in_cluster, qualified


@implementer(IMarathon)
class NamedMarathon:
    """
    A cluster's Marathon, with the cluster's name before the ids of its apps.

    :param name: lower-case letters, digits and hyphens.
    """

    def __init__(self, name: str, marathon: IMarathon) -> None:
        self._name = name
        self._marathon = marathon

    def apps(self, avoid: str | None = None) -> Deferred[AppsAnswer]:
        """See `IMarathon.apps`."""
        answer: Deferred[AppsAnswer] = self._marathon.apps(avoid)
        return answer.addCallback(self._qualified)

    def app(self, app_id: str) -> Deferred[AppsAnswer]:
        """See `IMarathon.app`."""
        answer: Deferred[AppsAnswer] = self._marathon.app(id_in_cluster(app_id))
        return answer.addCallback(self._qualified)

    def elected(self) -> Deferred[bool]:
        """See `IMarathon.elected`."""
        elected: Deferred[bool] = self._marathon.elected()
        return elected

    def _qualified(self, answer: AppsAnswer) -> AppsAnswer:
        name = self._name
        return evolve(
            answer,
            apps=tuple(msgspec.structs.replace(app, id=qualified(name, app.id)) for app in answer.apps),
            unreadable=tuple(evolve(app, app_id=qualified(name, app.app_id)) for app in answer.unreadable),
            left_out=tuple(evolve(task, app_id=qualified(name, task.app_id)) for task in answer.left_out),
        )


def everything_of(cluster: str) -> str:
    """Return the marker that stands for all apps of a cluster in a hint."""
    return f"{cluster}:"


def hint_within(cluster: str, hint: Hint) -> Hint:
    """Return a hint of a cluster's own Marathon as a hint among several clusters."""
    if hint.apps is None:
        return evolve(hint, apps=frozenset((everything_of(cluster),)))
    return evolve(hint, apps=ids_within(cluster, hint.apps))


def ids_within(cluster: str, apps: frozenset[str]) -> frozenset[str]:
    """Return the ids of a cluster's own Marathon as ids among several clusters."""
    return frozenset(qualified(cluster, app_id) for app_id in apps)
