"""
The search for the services that make HAProxy fail when HAProxy names no line. Pure.

All services with a text that HAProxy has not read are suspected, and held at the text that it has read (`Quarantine`),
so that all other changes continue. Batches of them are admitted on trial, one after another: a batch that HAProxy
accepts is cleared, a batch that fails is halved, and a unit that fails alone is convicted if HAProxy accepts the rest
without it. So two independent culprits are both found; of two that fail only together, the younger one is convicted,
because the older ones are tried first.

A batch consists of units. A unit is what one app has changed: an app with 5,000 ports is one culprit, not 5,000. If one
app is found and has few ports, its ports are then tried one by one.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence

from marathonlb.routing.quarantine.refused import Key, Quarantine
from marathonlb.routing.services.model import Service

MAX_RUNS = 64
"""Maximum number of batches that one search tries."""

MAX_SECONDS = 300.0
"""Maximum seconds that one search takes."""

RETRY = 30.0
"""Seconds until a convicted service is tried again, with the text that it has then; doubled each time."""

MAX_DOUBLINGS = 6
"""Maximum number of doublings of `RETRY`: half an hour."""

FEW_PORTS = 8
"""Maximum number of ports of one app that are tried one by one."""

Unit = tuple[Key, ...]
Batch = tuple[Unit, ...]


class Suspects:
    """
    The services that may be to blame, in the order in which they are tried.

    :ivar trial: the batch that is admitted on trial now; empty if there is none.
    :ivar runs: the number of batches that this search has tried.
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
        """True while a search is under way."""
        return bool(self.trial or self._queue or self._new)

    def __len__(self) -> int:
        return len(self._quarantine.suspects)

    def begin(
        self, services: Sequence[Service], good: Mapping[Key, Service], message: str, now: float
    ) -> None:
        """
        Begin a search among services after a failure.

        :param good: the services that HAProxy has read, by key.
        :param message: how HAProxy failed.
        :param now: seconds.
        """
        self.runs, self._since = 0, now
        self._quarantine.suspect(services, good, message)
        batch = _parted(_units(services))
        self._queue.extend(_halves(batch) if len(batch) > 1 else (batch,))

    def join(self, services: Sequence[Service], good: Mapping[Key, Service], message: str) -> None:
        """Suspect services that have changed during the search, so that they do not spoil the trial of others."""
        self._quarantine.suspect(services, good, message)
        self._new += _units(services)

    def next(self, now: float) -> bool:
        """
        Admit the next batch, unless one is on trial.

        Convicted services whose time has come are tried alone, each app by itself. Services that change meanwhile wait
        for at most one turn.

        :param now: seconds.
        :return: True if a new batch is on trial.
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
        """Release the batch on trial, which HAProxy accepts."""
        trial, self.trial = self.trial, ()
        self._quarantine.acquit(_keys(trial))

    def failed(self) -> Unit:
        """
        Hold the batch on trial again, with which HAProxy fails.

        :return: the unit that was alone in the batch, to be convicted or acquitted next; empty if there were several.
        """
        trial, self.trial = self.trial, ()
        self._quarantine.try_these(())
        batch = _parted(trial)
        if len(batch) == 1:
            return batch[0]
        self._queue.extendleft(reversed(_halves(batch)))
        return ()

    def convict(self, unit: Unit, message: str, now: float) -> None:
        """Hold a unit that is to blame, until its next trial."""
        count = max((self._quarantine.failures(key) for key in unit), default=0)
        until = now + RETRY * 2.0 ** min(count, MAX_DOUBLINGS)
        self._quarantine.convict(unit, message, until, alone=True)

    def give_up(self, message: str, now: float) -> bool:
        """End a search that has used up its runs or its time, and hold what is left of it; return True if it has."""
        if self.runs < MAX_RUNS and now - self._since < MAX_SECONDS:
            return False
        left = self._quarantine.suspects
        result = f" (one of {len(left)} services; the search ended after {self.runs} attempts)"
        self._quarantine.convict(left, message + result, now + RETRY, alone=False)
        self._end()
        return True

    def abandon(self) -> None:
        """Release all suspects: no service is at fault."""
        self._quarantine.acquit(self._quarantine.suspects)
        self._end()

    def _end(self) -> None:
        self.trial, self._new = (), ()
        self._queue.clear()
        self._quarantine.try_these(())


def _units(services: Iterable[Service]) -> Batch:
    """Return one unit for each app, the oldest app first."""
    return _by_app(
        service.key for service in sorted(services, key=lambda service: (service.since, service.key))
    )


def _by_app(keys: Iterable[Key]) -> Batch:
    by_app: dict[str, list[Key]] = {}
    for key in keys:
        by_app.setdefault(key[0], []).append(key)
    return tuple(map(tuple, by_app.values()))


def _parted(batch: Batch) -> Batch:
    """Return a batch; of a batch of one app with few ports, each port as a unit."""
    if len(batch) == 1 and 1 < len(batch[0]) <= FEW_PORTS:
        return tuple((key,) for key in batch[0])
    return batch


def _halves(batch: Batch) -> tuple[Batch, Batch]:
    middle = len(batch) // 2
    return batch[:middle], batch[middle:]


def _keys(batch: Batch) -> list[Key]:
    return [key for unit in batch for key in unit]
