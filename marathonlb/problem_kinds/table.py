"""All kinds of problems, by code."""

from __future__ import annotations

from collections.abc import Mapping

from marathonlb.problem_kinds import apps, operators, running, sharing
from marathonlb.problem_kinds.kind import ProblemKind

TOPICS: Mapping[str, str] = {
    "MLB-1": "Labels",
    "MLB-2": "App definitions",
    "MLB-3": "Collisions between apps",
    "MLB-4": "Deployment groups",
    "MLB-5": "Certificates",
    "MLB-6": "The operator's templates",
    "MLB-7": "Quarantine",
    "MLB-8": "The policy",
    "MLB-9": "The controller, Marathon and HAProxy",
}
"""Headings of docs/problems.md, by how the codes begin."""

KINDS: tuple[ProblemKind, ...] = tuple(
    sorted((*apps.KINDS, *sharing.KINDS, *operators.KINDS, *running.KINDS), key=lambda kind: kind.code)
)

BY_CODE: Mapping[str, ProblemKind] = {kind.code: kind for kind in KINDS}
