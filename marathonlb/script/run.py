"""Choose the kind of work that the options ask for, and import it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from twisted.internet.defer import Deferred

from marathonlb.script.progress import Progress, Watch
from marathonlb.script.terminal import Terminal
from marathonlb.settings import Settings

Work = Callable[[Settings, Any, Terminal, Watch], Awaitable[int]]


def run(settings: Settings, reactor: Any, terminal: Terminal) -> Deferred[int]:
    """
    Do what the settings ask for; fires with the exit status.

    Fails with `MarathonLBError` if it cannot be done.
    """
    if settings.status:
        from marathonlb.script.status import show_status

        return Deferred.fromCoroutine(show_status(settings, reactor, terminal))
    work = _work(settings)
    progress = Progress(terminal.err if terminal.watched else None, reactor)

    async def watched() -> int:
        progress.start()
        try:
            return await work(settings, reactor, terminal, progress.stage)
        finally:
            progress.stop()

    return Deferred.fromCoroutine(watched())


def _work(settings: Settings) -> Work:
    """Import and return the work that these settings ask for."""
    if settings.rollback is not None:
        from marathonlb.script.rollback import roll_back

        return roll_back
    if settings.diff:
        from marathonlb.script.diff import show_difference

        return show_difference
    if settings.explain:
        from marathonlb.script.explain import show_explanation

        return show_explanation
    from marathonlb.script.once import converge

    return converge
