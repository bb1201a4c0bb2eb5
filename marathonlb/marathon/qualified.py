"""
A cluster with a name: the same questions and answers, under ids that no other cluster has.

The name is put before the ids here, at the border, so that whatever stands behind it, rules, names of backends,
problems, explanations, history, keeps two clusters apart without knowing of it.
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
    Asks a cluster, and puts its name before the ids of its apps.

    :param name: of lower-case letters, digits and hyphens.
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
            unreadable=tuple(evolve(each, app_id=qualified(name, each.app_id)) for each in answer.unreadable),
            left_out=tuple(evolve(each, app_id=qualified(name, each.app_id)) for each in answer.left_out),
        )


def everything_of(cluster: str) -> str:
    """What stands for all apps of a cluster in a hint."""
    return f"{cluster}:"


def hint_within(cluster: str, hint: Hint) -> Hint:
    """A hint of a cluster's own Marathon, as one among several clusters'."""
    if hint.apps is None:
        return evolve(hint, apps=frozenset((everything_of(cluster),)))
    return evolve(hint, apps=ids_within(cluster, hint.apps))


def ids_within(cluster: str, apps: frozenset[str]) -> frozenset[str]:
    """Ids as a cluster's own Marathon has them, as they are among several clusters'."""
    return frozenset(qualified(cluster, app_id) for app_id in apps)
