"""
The search for the services that make HAProxy fail without a word about who is to blame. Pure.

All services with a text that HAProxy has not read are suspected, and held at the text that it has read (`Quarantine`),
so that everything else goes on. One batch of them after the other is admitted, on trial: a batch that HAProxy takes is
cleared, one that fails is halved, and what fails alone is convicted, if HAProxy still takes the rest without it. So two
culprits are both found, and of two that fail only together the younger one, since the older ones are tried first.

A batch is made of units. A unit is what one app has changed: an app with 5,000 ports is one culprit, not 5,000. The
ports of an app that is found alone are told apart where they are few.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence

from marathonlb.routing.quarantine.refused import Key, Quarantine
from marathonlb.routing.services.model import Service

MAX_RUNS = 64
"""Batches that one search tries at most."""

MAX_SECONDS = 300.0
"""Seconds after which one search ends at most."""

RETRY = 30.0
"""Seconds until what was convicted is tried again, with its text of that day; doubled each time."""

MAX_DOUBLINGS = 6
"""The number of times that it is doubled at most: half an hour."""

FEW_PORTS = 8
"""The number of ports of one app that are told apart at most."""

Unit = tuple[Key, ...]
Batch = tuple[Unit, ...]


class Suspects:
    """
    The services that may be to blame, and whose turn it is.

    :ivar trial: the batch that is admitted now; empty where none is.
    :ivar runs: how many batches this search has tried.
    """

    def __init__(self, quarantine: Quarantine) -> None:
        self.trial: Batch = ()
        self.runs = 0
        self._quarantine = quarantine
        self._queue: deque[Batch] = deque()
        self._new: Batch = ()
        self._since = 0.0

    @property
    def searching(self) -> bool:
        """Whether a search is under way."""
        return bool(self.trial or self._queue or self._new)

    def __len__(self) -> int:
        return len(self._quarantine.suspects)

    def begin(self, services: Sequence[Service], good: Mapping[Key, Service], words: str, now: float) -> None:
        """
        Suspect services of one failure.

        :param good: what HAProxy has read, by key.
        :param words: what happened.
        """
        self.runs, self._since = 0, now
        self._quarantine.suspect(services, good, words)
        batch = _parted(_units(services))
        self._queue.extend(_halves(batch) if len(batch) > 1 else (batch,))

    def join(self, services: Sequence[Service], good: Mapping[Key, Service], words: str) -> None:
        """Suspect services that have changed during the search: they are not to spoil the trial of others."""
        self._quarantine.suspect(services, good, words)
        self._new += _units(services)

    def next(self, now: float) -> bool:
        """
        Admit the next batch, unless one is on trial.

        Those whose time has come are tried alone, each app by itself. What comes meanwhile waits for one turn.

        :return: whether another batch is on trial than before.
        """
        if self.trial:
            return False
        due = self._quarantine.due(now)
        if due:
            if not self.searching:
                self.runs, self._since = 0, now
            convicted = [key for key in due if self._quarantine.failures(key)]
            others = tuple(key for key in due if not self._quarantine.failures(key))
            self._queue.extend((unit,) for unit in _by_app(convicted))
            if others:
                self._queue.append(_by_app(others))
            self._quarantine.suspect_again(due)
        left = frozenset(self._quarantine.suspects)
        while self.searching and not self.trial:
            if self._new and (not self._queue or self.runs % 2):
                batch, self._new = self._new, ()
            else:
                batch = self._queue.popleft()
            units = (tuple(key for key in unit if key in left) for unit in batch)
            self.trial = tuple(unit for unit in units if unit)
        self._quarantine.try_these(_keys(self.trial))
        self.runs += bool(self.trial)
        return bool(self.trial)

    def cleared(self) -> None:
        """HAProxy takes what is on trial."""
        trial, self.trial = self.trial, ()
        self._quarantine.acquit(_keys(trial))

    def failed(self) -> Unit:
        """
        HAProxy fails with what is on trial, which is held again.

        :return: the unit that was alone, and is to be convicted or acquitted next; empty where there were several.
        """
        trial, self.trial = self.trial, ()
        self._quarantine.try_these(())
        batch = _parted(trial)
        if len(batch) == 1:
            return batch[0]
        self._queue.extendleft(reversed(_halves(batch)))
        return ()

    def convict(self, unit: Unit, words: str, now: float) -> None:
        """This unit is to blame."""
        count = max((self._quarantine.failures(key) for key in unit), default=0)
        until = now + RETRY * 2.0 ** min(count, MAX_DOUBLINGS)
        self._quarantine.convict(unit, words, until, alone=True)

    def give_up(self, words: str, now: float) -> bool:
        """Hold those that are left for a while, where the search has used up its runs or its time; whether it has."""
        if self.runs < MAX_RUNS and now - self._since < MAX_SECONDS:
            return False
        left = self._quarantine.suspects
        of = f" (one of {len(left)} services; the search was ended after {self.runs} attempts)"
        self._quarantine.convict(left, words + of, now + RETRY, alone=False)
        self._end()
        return True

    def abandon(self) -> None:
        """Suspect nobody any more: it is not a service's fault."""
        self._quarantine.acquit(self._quarantine.suspects)
        self._end()

    def _end(self) -> None:
        self.trial, self._new = (), ()
        self._queue.clear()
        self._quarantine.try_these(())


def _units(services: Iterable[Service]) -> Batch:
    """What each app has changed, the oldest app first."""
    return _by_app(service.key for service in sorted(services, key=lambda each: (each.since, each.key)))


def _by_app(keys: Iterable[Key]) -> Batch:
    found: dict[str, list[Key]] = {}
    for key in keys:
        found.setdefault(key[0], []).append(key)
    return tuple(map(tuple, found.values()))


def _parted(batch: Batch) -> Batch:
    """A batch, of one app with few ports each of these by itself."""
    if len(batch) == 1 and 1 < len(batch[0]) <= FEW_PORTS:
        return tuple((key,) for key in batch[0])
    return batch


def _halves(batch: Batch) -> tuple[Batch, Batch]:
    middle = len(batch) // 2
    return batch[:middle], batch[middle:]


def _keys(batch: Batch) -> list[Key]:
    return [key for unit in batch for key in unit]
