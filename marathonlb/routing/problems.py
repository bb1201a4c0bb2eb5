"""What is wrong with one app's wishes: a value, not an exception, since it costs that service alone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby

from attrs import field, frozen

from marathonlb import limits
from marathonlb.redaction import masked, masked_value

PIN = "pin"
"""In the place of a label: a configuration of the past is pinned, which is nobody's mistake and everybody's concern."""


def _shown(value: str) -> str:
    """A value without what is secret, and so long as it is shown; a secret has room in what is looked at."""
    return limits.shortened(masked_value(value[: 2 * limits.SHOWN]))


def _told(reason: str) -> str:
    return limits.shortened(masked(reason[: 4 * limits.TOLD]), limits.TOLD)


@frozen
class Problem:
    """
    Something an app's owner should mend.

    :param app_id: whose it is.
    :param port_index: the index of the service port; None where it is the whole app's.
    :param label: the label's (or the field's) full name.
    :param value: what it holds, cut off where it is long; ``***`` in the place of what is secret, empty where it tells
        nothing.
    :param reason: what was expected, in words that its owner understands; cut off where it quotes too much.
    :param fatal: takes the service out; otherwise it is served, and this is a warning.
    """

    app_id: str
    port_index: int | None
    label: str
    value: str = field(converter=_shown)
    reason: str = field(converter=_told)
    fatal: bool = True

    def __str__(self) -> str:
        where = self.app_id if self.port_index is None else f"{self.app_id} port {self.port_index}"
        what = f"{self.label}={self.value!r}" if self.label and self.value else self.label
        return ": ".join(part for part in (where, what, self.reason) if part)


def gathered(problems: Iterable[Problem]) -> Iterator[Problem]:
    """
    The problems, of each app so many that somebody can read them, and then how many more there are.

    :param problems: by app id.
    """
    for app_id, each in groupby(problems, key=lambda problem: problem.app_id):
        found = list(each)
        if app_id and len(found) > limits.PROBLEMS:
            found.sort(key=lambda problem: not problem.fatal)
            reason = f"has {len(found) - limits.PROBLEMS} more problems; mend these first"
            found[limits.PROBLEMS :] = [Problem(app_id, None, "", "", reason, fatal=False)]
        yield from found
