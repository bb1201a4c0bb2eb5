"""One kind of problem, as a value."""

from __future__ import annotations

from enum import StrEnum

from attrs import frozen


class Category(StrEnum):
    """The field ``kind`` of ``/api/problems``, and the label of that name in the metrics."""

    PIN = "pin"
    TEMPLATE = "template"
    QUARANTINE = "quarantine"
    POLICY = "policy"
    COLLISION = "collision"
    LABEL = "label"
    APP = "app"
    FAILURE = "failure"
    """An error of the controller as a whole (`marathonlb.errors`); never in ``/api/problems``."""


@frozen(kw_only=True)
class ProblemKind:
    """
    One kind of problem.

    The texts are plain sentences; words between backticks are code.

    :param code: ``MLB-`` and a number whose first digit is the topic; it never changes and is never used again.
    :param slug: a short name, part of the section's address in docs/problems.md.
    :param category: the coarser kind that the API and the metrics give.
    :param title: one line.
    :param meaning: why it is reported.
    :param meanwhile: what is served until it is solved.
    :param remedy: what to do.
    """

    code: str
    slug: str
    category: Category
    title: str
    meaning: str
    meanwhile: str
    remedy: str

    @property
    def anchor(self) -> str:
        """The name of the section in docs/problems.md."""
        return f"{self.code}-{self.slug}".lower()

    def __str__(self) -> str:
        return self.code
