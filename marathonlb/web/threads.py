"""Work that takes long, done beside the reactor, so that nothing else waits for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from twisted.internet.interfaces import IReactorThreads
from twisted.internet.threads import deferToThreadPool

Result = TypeVar("Result")


async def aside(clock: object, work: Callable[[], Result]) -> Result:
    """
    What some pure work comes to, done in a thread of the reactor's.

    :param clock: the reactor; a clock that has no threads does it at once.
    :param work: reads and changes nothing that others change.
    """
    if not IReactorThreads.providedBy(clock):
        return work()
    result: Result = await deferToThreadPool(clock, clock.getThreadPool(), work)
    return result
