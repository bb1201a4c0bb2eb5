"""Which of the script's works a command line asks for."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred

from marathonlb.script.diff import show_difference
from marathonlb.script.explain import show_explanation
from marathonlb.script.once import converge
from marathonlb.script.progress import Progress
from marathonlb.script.rollback import roll_back
from marathonlb.script.status import show_status
from marathonlb.script.terminal import Terminal
from marathonlb.settings import Settings


def run(settings: Settings, reactor: Any, terminal: Terminal) -> Deferred[int]:
    """
    Do what the settings ask for; fires with the exit status.

    Fails with `MarathonLBError` where it cannot be done.
    """
    if settings.status:
        return Deferred.fromCoroutine(show_status(settings, reactor, terminal))
    work = converge
    if settings.rollback is not None:
        work = roll_back
    elif settings.diff:
        work = show_difference
    elif settings.explain:
        work = show_explanation
    progress = Progress(terminal.err if terminal.watched else None, reactor)

    async def watched() -> int:
        progress.start()
        try:
            return await work(settings, reactor, terminal, progress.stage)
        finally:
            progress.stop()

    return Deferred.fromCoroutine(watched())
