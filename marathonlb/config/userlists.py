"""
Whose a userlist is. Pure.

Of two userlists of one name HAProxy takes the first and says next to nothing, so that an app could set the passwords of
another one's host, or two that have copied the same lines would share those of one of them.
"""

from __future__ import annotations

from marathonlb.config.sections import Sections
from marathonlb.config.templates.structure import declared
from marathonlb.config.text.model import Section
from marathonlb.problem_kinds.sharing import USERLIST_TAKEN
from marathonlb.routing.precedence import seniority
from marathonlb.routing.problems import Problem
from marathonlb.routing.services.model import Service


def settled(
    head: Section, services: list[Service], sections: list[Sections]
) -> tuple[list[Service], list[Sections], list[Problem], frozenset[tuple[str, int]]]:
    """
    The services without those whose labels declare a userlist which is another one's, and a problem for each of these.

    It is that of the service whose name it bears, else the operator's whose template declares it, else the oldest's.

    :return: last the services, by key, whose labels declare any, where there is a problem: their age may matter.
    """
    owners: dict[str, Service | None] = {}
    claims: list[tuple[Service, frozenset[str]]] = []
    shared = set(declared(head.text, "userlist"))
    for service, own in zip(services, sections, strict=True):
        claimed, given = own.userlists
        mine = f"user_{service.backend}"
        if mine in claimed or mine in given:
            owners[mine] = service
        shared |= given - {mine}
        if claimed:
            claims.append((service, claimed))
    owners = {**dict.fromkeys(shared), **owners}
    problems = []
    for service, claimed in sorted(claims, key=lambda each: seniority(each[0])):
        for name in sorted(claimed):
            owner = owners.setdefault(name, service)
            if owner is not service:
                problems.append(_problem(service, name, owner))
    if not problems:
        return services, sections, [], frozenset()
    out = {(problem.app_id, problem.port_index) for problem in problems}
    kept = [(s, own) for s, own in zip(services, sections, strict=True) if s.key not in out]
    keys = frozenset(service.key for service, _ in claims)
    return [service for service, _ in kept], [own for _, own in kept], problems, keys


def _problem(service: Service, name: str, owner: Service | None) -> Problem:
    whose = "the operator's" if owner is None else f"{owner.app_id}'s"
    template = next((each for each, text in service.overrides.items() if name in text), "USERLIST_HEAD")
    label = f"HAPROXY_{service.port_index}_{template}"
    reason = f"declares a userlist that is {whose}: give it another name"
    rival = "" if owner is None else owner.app_id
    return Problem(service.app_id, service.port_index, label, name, reason, kind=USERLIST_TAKEN, rival=rival)
