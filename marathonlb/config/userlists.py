"""
The owners of userlists. Pure.

HAProxy uses the first of two userlists with the same name, with hardly a warning. So an app could set the passwords of
another app's host, and two apps that have copied the same lines would share the passwords of one of them.
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
    Leave out the services whose labels declare a userlist that belongs to another owner.

    A userlist belongs to the service with its name, else to the operator if a template declares it, else to the oldest
    service that declares it.

    :return: the remaining services and sections, the problems of the others, and, if there are any problems, the keys
        of all services whose labels declare a userlist, because their age decided.
    """
    owners: dict[str, Service | None] = {}
    claims: list[tuple[Service, frozenset[str]]] = []
    shared = set(declared(head.text, "userlist"))
    for service, own in zip(services, sections, strict=True):
        claimed, others = own.userlists
        name = f"user_{service.backend}"
        if name in claimed or name in others:
            owners[name] = service
        shared |= others - {name}
        if claimed:
            claims.append((service, claimed))
    owners = {**dict.fromkeys(shared), **owners}
    problems = []
    for service, claimed in sorted(claims, key=lambda claim: seniority(claim[0])):
        for name in sorted(claimed):
            owner = owners.setdefault(name, service)
            if owner is not service:
                problems.append(_problem(service, name, owner))
    if not problems:
        return services, sections, [], frozenset()
    left_out = {(problem.app_id, problem.port_index) for problem in problems}
    remaining = [(s, own) for s, own in zip(services, sections, strict=True) if s.key not in left_out]
    claimants = frozenset(service.key for service, _ in claims)
    return [service for service, _ in remaining], [own for _, own in remaining], problems, claimants


def _problem(service: Service, name: str, owner: Service | None) -> Problem:
    owned_by = "the operator's" if owner is None else f"{owner.app_id}'s"
    template = next((key for key, text in service.overrides.items() if name in text), "USERLIST_HEAD")
    label = f"HAPROXY_{service.port_index}_{template}"
    reason = f"declares a userlist that is {owned_by}: give it another name"
    rival = "" if owner is None else owner.app_id
    return Problem(service.app_id, service.port_index, label, name, reason, kind=USERLIST_TAKEN, rival=rival)
