"""Problems of one app or of the operator's configuration, as values: a problem costs one service alone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby

from attrs import field, frozen

from marathonlb.base import limits
from marathonlb.base.redaction import masked, masked_value
from marathonlb.problem_kinds.apps import MORE_PROBLEMS
from marathonlb.problem_kinds.kind import ProblemKind

PIN = "pin"
"""The label of the problem that a configuration of the past is pinned."""


def _shortened_value(value: str) -> str:
    """Return a value without secrets, shortened; a secret is masked before the value is cut."""
    return limits.shortened(masked_value(value[: 2 * limits.SHOWN]))


def _shortened_text(text: str) -> str:
    """Return a sentence without secrets, shortened."""
    return limits.shortened(masked(text[: 4 * limits.TOLD]), limits.TOLD)


@frozen
class Problem:
    """
    Something that an app's owner or the operator should correct.

    Its texts are for people and are parsed nowhere: everything that decides something is a field.

    :param app_id: the app; empty if the problem is the operator's.
    :param port_index: the index of the service port; None if the problem is the whole app's.
    :param label: the full name of the label, field, template or option.
    :param value: its value, shortened; ``***`` in place of secrets, empty if the value says nothing.
    :param reason: what was expected, in words for the owner; shortened if it quotes too much.
    :param fatal: True if the service is not served; otherwise this is a warning.
    :param kind: what kind of problem it is.
    :param haproxy: HAProxy's words, or how HAProxy failed; empty if the problem is not HAProxy's.
    :param rival: the id of the app that keeps what this one claims; empty if there is none.
    """

    app_id: str
    port_index: int | None
    label: str
    value: str = field(converter=_shortened_value)
    reason: str = field(converter=_shortened_text)
    fatal: bool = True
    kind: ProblemKind = field(kw_only=True)
    haproxy: str = field(default="", converter=_shortened_text, kw_only=True)
    rival: str = field(default="", kw_only=True)

    def __str__(self) -> str:
        where = self.app_id if self.port_index is None else f"{self.app_id} port {self.port_index}"
        setting = f"{self.label}={self.value!r}" if self.label and self.value else self.label
        return f"{self.kind.code} " + ": ".join(part for part in (where, setting, self.reason) if part)


def gathered(problems: Iterable[Problem]) -> Iterator[Problem]:
    """
    Return the problems, at most `limits.PROBLEMS` of each app, and one more that says how many were left out.

    :param problems: sorted by app id.
    """
    for app_id, of_app in groupby(problems, key=lambda problem: problem.app_id):
        kept = list(of_app)
        if app_id and len(kept) > limits.PROBLEMS:
            kept.sort(key=lambda problem: not problem.fatal)
            reason = f"has {len(kept) - limits.PROBLEMS} more problems; solve these first"
            kept[limits.PROBLEMS :] = [Problem(app_id, None, "", "", reason, fatal=False, kind=MORE_PROBLEMS)]
        yield from kept
