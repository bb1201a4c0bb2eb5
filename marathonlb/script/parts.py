"""The controller's parts for a single run."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractContextManager, asynccontextmanager
from typing import Any

from marathonlb.controller.event_log import EventLog
from marathonlb.parts import Parts, learn, make_parts
from marathonlb.script.progress import Watch
from marathonlb.settings import Settings


class RunLog(EventLog):
    """
    The log of a single run, which also tells its stages. It keeps no timeline and no metrics: nothing can ask for them.

    :param watch: called with the name of each stage that begins.
    """

    def __init__(self, watch: Watch) -> None:
        super().__init__()
        self._watch = watch

    def stage(self, name: str) -> AbstractContextManager[None]:
        """See `EventLog.stage`."""
        self._watch(name)
        return super().stage(name)


@asynccontextmanager
async def parts_of(settings: Settings, reactor: Any, watch: Watch) -> AsyncIterator[Parts]:
    """
    Yield parts that are used and not started; close their connections at the end.

    :raises MarathonLBError: the templates or the policy cannot be used.
    """
    parts = make_parts(settings, reactor, RunLog(watch), once=True)
    parts.applier.watch = watch
    try:
        await learn(parts)
        yield parts
    finally:
        await parts.pool.closeCachedConnections()
