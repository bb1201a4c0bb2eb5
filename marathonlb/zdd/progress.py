"""The progress of a deployment: lines for people, or one JSON object per line for programs."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from typing import IO, Any

from twisted.logger import Logger

Now = Callable[[], datetime]


class DeploymentProgress:
    """
    Writes the progress to a stream.

    :param now: returns the time of day.
    :param as_json: write JSON lines: ``time``, ``event``, ``message`` and the event's own fields.
    """

    _log = Logger()

    def __init__(self, stream: IO[str], now: Now, *, as_json: bool = False) -> None:
        self._stream = stream
        self._now = now
        self._as_json = as_json
        self._waiting = ""

    def say(self, event: str, message: str, **fields: Any) -> None:
        """
        Write that something was done.

        :param event: one word; part of the documented format.
        :param fields: plain values; part of the documented format.
        """
        self._waiting = ""
        self._write(event, message, fields)

    def wait(self, reason: str) -> None:
        """Write the reason of a wait, once."""
        if reason != self._waiting:
            self._waiting = reason
            self._write("waiting", f"waiting: {reason}", {})

    def _write(self, event: str, message: str, fields: dict[str, Any]) -> None:
        now = self._now()
        if self._as_json:
            line = json.dumps({"time": now.isoformat(), "event": event, "message": message, **fields})
        else:
            text = "".join(letter if letter.isprintable() else " " for letter in message)
            line = f"{now:%H:%M:%S} {text}"
        try:
            self._stream.write(f"{line}\n")
            self._stream.flush()
        except OSError as error:  # the reader has ended, which must not end the deployment
            self._log.debug("The progress of the deployment cannot be written: {error}", error=str(error))
