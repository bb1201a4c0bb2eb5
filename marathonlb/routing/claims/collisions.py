"""The collisions between services: a problem for each that loses something, and the services concerned."""

from __future__ import annotations

from collections.abc import Iterable

from marathonlb.problem_kinds.kind import ProblemKind
from marathonlb.routing.precedence import Key, seniority
from marathonlb.routing.problems import Problem
from marathonlb.routing.services.model import Service


class Collisions:
    """
    The collisions of one set of services.

    :ivar problems: in the order in which they were found.
    :ivar contested: the keys of services whose claim collides with another service's, or with something reserved.
    """

    def __init__(self) -> None:
        self.problems: list[Problem] = []
        self.contested: set[Key] = set()

    def contest(self, services: Iterable[Service]) -> None:
        """Record that these services claim the same thing."""
        self.contested.update(service.key for service in services)

    def lose(self, loser: Service, winner: Service, label: str, value: str, kind: ProblemKind) -> None:
        """Report that a service does not get what another one keeps."""
        self.contest((loser, winner))
        advantage = _advantage(winner, loser)
        reason = f"is claimed by {loser.app_id} and {winner.app_id}; {winner.app_id} {advantage} and keeps it"
        self.report(loser, label, value, reason, kind, winner.app_id)

    def report(
        self,
        service: Service,
        label: str,
        value: str,
        reason: str,
        kind: ProblemKind,
        rival: str = "",
        *,
        fatal: bool = True,
    ) -> None:
        """
        Report a problem of a service.

        :param label: the label's name without ``HAPROXY_{n}_``.
        :param rival: the id of the app that keeps what this service claims.
        """
        index = service.port_index
        label = f"HAPROXY_{index}_{label}"
        self.problems.append(
            Problem(service.app_id, index, label, value, reason, fatal, kind=kind, rival=rival)
        )


def age_of(elder: Service, younger: Service) -> str:
    """Return why an elder service goes before a younger one, as the predicate of a sentence."""
    return "is older" if elder.since < younger.since else "goes first"


def _advantage(winner: Service, loser: Service) -> str:
    return "has the larger weight" if seniority(loser) < seniority(winner) else age_of(winner, loser)
