"""The hints that no convergence has answered yet, merged into one."""

from __future__ import annotations

from collections import Counter

from msgspec import Struct

from marathonlb.base.causes import Cause
from marathonlb.marathon.events.hints import Hint

NO_APPS: frozenset[str] = frozenset()


class HintSum(Struct, frozen=True):
    """
    The hints that one convergence answers.

    :param apps: the ids of the apps to ask Marathon about; None for everything.
    :param causes: number of times that each cause occurred.
    """

    apps: frozenset[str] | None
    causes: Counter[Cause]


class PendingHints:
    """
    Collects hints until a convergence takes them.

    :ivar named: the ids of apps that hints have named since Marathon was last asked.
    """

    def __init__(self) -> None:
        self.named = NO_APPS
        self._apps: frozenset[str] | None = NO_APPS
        self._causes: Counter[Cause] = Counter()

    def add(self, hint: Hint) -> None:
        """Add a hint."""
        self._causes.update(hint.causes)
        self.named |= hint.apps or NO_APPS
        self._apps = _both(self._apps, hint.apps)

    def add_everything(self) -> None:
        """Let the next convergence ask about everything."""
        self._apps = None

    def add_causes(self, causes: Counter[Cause]) -> None:
        """Add causes that the next convergence also answers."""
        self._causes.update(causes)

    def take(self) -> HintSum:
        """Return the collected hints, and begin again without any."""
        taken = HintSum(self._apps, self._causes)
        self._apps, self._causes = NO_APPS, Counter()
        return taken

    def put_back(self, taken: HintSum) -> None:
        """Put back the hints that a convergence took and could not answer."""
        self._apps = _both(taken.apps, self._apps)
        self._causes.update(taken.causes)

    def take_named(self) -> frozenset[str]:
        """Return the ids of the named apps, and begin again with none."""
        named, self.named = self.named, NO_APPS
        return named


def _both(one: frozenset[str] | None, other: frozenset[str] | None) -> frozenset[str] | None:
    """Return the apps of both; None is everything."""
    return None if one is None or other is None else one | other
