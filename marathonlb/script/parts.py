"""The controller's parts for a single run."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from marathonlb.parts import Parts, learn, make_parts
from marathonlb.settings import Settings

Watch = Callable[[str], object]
"""Is told of each stage that begins, so that progress can be shown."""


@asynccontextmanager
async def parts_of(settings: Settings, reactor: Any, watch: Watch) -> AsyncIterator[Parts]:
    """
    Parts that are used and not started; their connections are closed at the end.

    :raises MarathonLBError: the templates or the policy cannot be used.
    """
    parts = make_parts(settings, reactor, once=True)
    parts.recorder.watch = parts.applier.watch = watch
    try:
        await learn(parts, reactor)
        yield parts
    finally:
        await parts.pool.closeCachedConnections()
