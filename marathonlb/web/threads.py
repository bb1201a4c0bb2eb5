"""Long computations in threads, so that the reactor is not blocked."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from twisted.internet.interfaces import IReactorThreads
from twisted.internet.threads import deferToThreadPool

Result = TypeVar("Result")


async def in_thread(clock: object, work: Callable[[], Result]) -> Result:
    """
    Return the result of a pure function, run in a thread of the reactor.

    :param clock: the reactor; with a clock without threads the function runs at once.
    :param work: must not read or change anything that others change.
    """
    if not IReactorThreads.providedBy(clock):
        return work()
    result: Result = await deferToThreadPool(clock, clock.getThreadPool(), work)
    return result
