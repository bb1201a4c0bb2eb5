"""What a long run is at, with the seconds that it takes: for whoever looks at a terminal."""

from __future__ import annotations

from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall

from marathonlb.script.terminal import ErrorStream

PATIENCE = 0.5
"""Seconds of silence; most runs are over by then."""

INTERVAL = 0.1

STAGES = {
    "gather": "asking Marathon",
    "render": "writing the text",
    "steps": "telling HAProxy what has changed",
    "check": "letting HAProxy check it",
    "publish": "writing the files",
    "reload": "reloading HAProxy",
}


class Progress:
    """
    Shows one line that changes.

    :param stream: None shows nothing.
    """

    def __init__(self, stream: ErrorStream | None, clock: IReactorTime) -> None:
        self._stream = stream
        self._clock = clock
        self._words = ""
        self._began = self._stage_began = clock.seconds()
        self._beat = LoopingCall(self._show)
        self._beat.clock = clock

    def start(self) -> None:
        """Look at the clock from now on."""
        if self._stream is not None:
            self._beat.start(INTERVAL, now=False).addErrback(lambda _: None)  # a terminal that is gone

    def stop(self) -> None:
        """Show nothing any more."""
        if self._beat.running:
            self._beat.stop()
        if self._stream is not None:
            self._stream.hide()

    def stage(self, name: str) -> None:
        """A stage begins: see `STAGES`."""
        self._words, self._stage_began = STAGES.get(name, name), self._clock.seconds()
        if self._stream is not None:
            self._show()

    def _show(self) -> None:
        now = self._clock.seconds()
        if self._stream is not None and self._words and now - self._began >= PATIENCE:
            self._stream.show(f"{self._words}: {now - self._stage_began:.1f} s")
