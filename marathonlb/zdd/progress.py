"""What a deployment says of itself: lines for people, or one JSON object a line for programs."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from typing import IO, Any

from twisted.logger import Logger

Now = Callable[[], datetime]


class Progress:
    """
    Writes what happens.

    :param as_json: JSON lines: ``time``, ``event``, ``message`` and the event's own fields.
    """

    _log = Logger()

    def __init__(self, stream: IO[str], now: Now, *, as_json: bool = False) -> None:
        self._stream = stream
        self._now = now
        self._as_json = as_json
        self._waiting = ""

    def say(self, event: str, message: str, **fields: Any) -> None:
        """
        Say that something was done.

        :param event: one word, which keeps its meaning.
        :param fields: plain values, with the same promise.
        """
        self._waiting = ""
        self._write(event, message, fields)

    def wait(self, why: str) -> None:
        """Say what is waited for, once."""
        if why != self._waiting:
            self._waiting = why
            self._write("waiting", f"waiting: {why}", {})

    def _write(self, event: str, message: str, fields: dict[str, Any]) -> None:
        now = self._now()
        if self._as_json:
            said = {"time": now.isoformat(), "event": event, "message": message, **fields}
            line = json.dumps(said)
        else:
            text = "".join(letter if letter.isprintable() else " " for letter in message)
            line = f"{now:%H:%M:%S} {text}"
        try:
            self._stream.write(f"{line}\n")
            self._stream.flush()
        except OSError as error:  # whoever read it is gone; that ends no deployment
            self._log.debug("What happens cannot be told any more: {error}", error=str(error))
