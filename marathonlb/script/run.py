"""Which of the script's works a command line asks for."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred

from marathonlb.script.diff import show_difference
from marathonlb.script.progress import Progress
from marathonlb.script.rollback import roll_back
from marathonlb.script.status import show_status
from marathonlb.script.terminal import Terminal
from marathonlb.service import Parts, run_once
from marathonlb.settings import Settings


def run(settings: Settings, reactor: Any, terminal: Terminal) -> Deferred[int]:
    """
    Do what the settings ask for; fires with the exit status.

    Fails with `MarathonLBError` where it cannot be done.
    """
    progress = Progress(terminal.err if terminal.watched else None, reactor)

    def watch(parts: Parts) -> Parts:
        parts.record.watch = parts.applier.watch = progress.stage
        return parts

    async def work() -> int:
        if settings.status:
            return await show_status(settings, reactor, terminal)
        progress.start()
        try:
            if settings.rollback is not None:
                return await roll_back(settings, reactor, terminal, watch)
            if settings.diff:
                return await show_difference(settings, reactor, terminal, watch)
            return await run_once(settings, reactor, terminal.out, watch)
        finally:
            progress.stop()

    return Deferred.fromCoroutine(work())
