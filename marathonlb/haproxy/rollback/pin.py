"""
The pin: a configuration of the past that an operator wants back, until it is released.

It is one file of the state directory, so it holds over restarts of the controller and also for a script that runs from
cron. What it holds is its own copy: the archive may drop the version meanwhile.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress

from attrs import field, frozen
from twisted.logger import Logger

from marathonlb.files import ChangedFile, Ownership
from marathonlb.haproxy.files.disk import Disk, publishing, read_text
from marathonlb.haproxy.files.publish import Published

FILE = "pin.json"

PRIVATE = Ownership(0o600)
"""A configuration may hold password hashes."""


@frozen
class Pin:
    """
    A pinned configuration.

    :param name: which one of the archive it was.
    :param since: when it was pinned, in seconds since the epoch.
    :param published: its texts, as they were then.
    """

    name: str
    since: float
    published: Published = field(repr=False)


class Pins:
    """
    The one pin that there is, or none.

    What the file says counts, whoever wrote it: it is looked at each time, and read when it has changed.

    :param directory: the state directory; it is made when something is pinned.
    """

    _log = Logger()

    def __init__(self, directory: str, disk: Disk | None = None) -> None:
        self._directory = directory
        self._path = os.path.join(directory, FILE)
        self._disk = disk or Disk()
        self._file = ChangedFile(self._path)
        self._pin: Pin | None = None

    def current(self) -> Pin | None:
        """What is pinned; None where nothing is. A file that cannot be read is said once, and pins nothing."""
        try:
            version = self._file.changed()
        except OSError:
            self._file.forget()
            self._pin = None
            return None
        if version is not None:
            self._file.accept(version)
            self._pin = self._read()
        return self._pin

    def put(self, pin: Pin) -> None:
        """Pin this, durably, in place of what was pinned before. Raises `marathonlb.errors.PublishFailed`."""
        about = {
            "name": pin.name,
            "since": pin.since,
            "text": pin.published.text,
            "maps": dict(pin.published.maps),
        }
        with publishing(self._path):
            os.makedirs(self._directory, 0o750, exist_ok=True)
            self._disk.replace(self._path, json.dumps(about) + "\n", PRIVATE, durable=True)

    def release(self) -> Pin | None:
        """Pin nothing any more, durably; what was pinned. Raises `marathonlb.errors.PublishFailed`."""
        released = self.current()
        with publishing(self._path), suppress(FileNotFoundError):
            self._disk.remove(self._path)
            self._disk.sync(self._directory)
        return released

    def _read(self) -> Pin | None:
        try:
            about = json.loads(read_text(self._path) or "")
            maps = {str(name): str(text) for name, text in about["maps"].items()}
            return Pin(str(about["name"]), float(about["since"]), Published(str(about["text"]), maps))
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            self._log.error(
                "{path} cannot be read: {error}. Nothing is pinned; remove it, or pin a configuration again",
                path=self._path,
                error=str(error) or type(error).__name__,
            )
            return None
