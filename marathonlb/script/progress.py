"""The present stage of a long run and its duration in seconds, on a terminal."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall

from marathonlb.script.terminal import ErrorStream

Watch = Callable[[str], object]
"""Is called with the name of each stage that begins."""

PATIENCE = 0.5
"""Seconds before anything is shown; most runs have ended by then."""

INTERVAL = 0.1
"""Seconds between two updates of the line."""

STAGES = {
    "gather": "asking Marathon",
    "render": "rendering the configuration",
    "steps": "updating HAProxy through its runtime API",
    "check": "checking the configuration",
    "publish": "writing the files",
    "reload": "reloading HAProxy",
}
"""The text that is shown for each stage."""


class Progress:
    """
    Shows the stage on one line, and updates it.

    :param stream: None to show nothing.
    """

    def __init__(self, stream: ErrorStream | None, clock: IReactorTime) -> None:
        self._stream = stream
        self._clock = clock
        self._text = ""
        self._began = self._stage_began = clock.seconds()
        self._updates = LoopingCall(self._show)
        self._updates.clock = clock

    def start(self) -> None:
        """Begin to update the line."""
        if self._stream is not None:
            self._updates.start(INTERVAL, now=False).addErrback(lambda _: None)  # the terminal is closed

    def stop(self) -> None:
        """Remove the line, and stop updating it."""
        if self._updates.running:
            self._updates.stop()
        if self._stream is not None:
            self._stream.hide()

    def stage(self, name: str) -> None:
        """Take note that a stage of `STAGES` begins."""
        self._text, self._stage_began = STAGES.get(name, name), self._clock.seconds()
        if self._stream is not None:
            self._show()

    def _show(self) -> None:
        now = self._clock.seconds()
        if self._stream is not None and self._text and now - self._began >= PATIENCE:
            self._stream.show(f"{self._text}: {now - self._stage_began:.1f} s")
