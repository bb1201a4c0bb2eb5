"""The times that the stages of one application take."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from twisted.internet.interfaces import IReactorTime


class StageTimes:
    """
    Measures stages.

    :param watch: called with the name of each stage that begins.
    :ivar seconds: by stage, of those that have succeeded.
    """

    def __init__(self, clock: IReactorTime, watch: Callable[[str], object]) -> None:
        self.seconds: dict[str, float] = {}
        self._clock = clock
        self._watch = watch

    @contextmanager
    def measure(self, name: str) -> Iterator[None]:
        """Measure what is done inside; of a stage that comes several times, all together."""
        self._watch(name)
        began = self._clock.seconds()
        yield
        self.seconds[name] = round(self.seconds.get(name, 0.0) + self._clock.seconds() - began, 6)
