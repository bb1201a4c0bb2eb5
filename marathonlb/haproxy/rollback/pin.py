"""
The pin: a configuration of the past that HAProxy runs until an operator releases it.

It is one file in the state directory, so it outlives restarts of the controller and also holds for a script that runs
from cron. The file holds a copy of the configuration: the archive may remove its own meanwhile.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress

from attrs import field, frozen
from twisted.logger import Logger

from marathonlb.base.files import ChangedFile, Ownership
from marathonlb.haproxy.files.disk import Disk, publishing, read_text
from marathonlb.haproxy.files.publish import Published

FILE = "pin.json"
"""The file's name in the state directory."""

PRIVATE = Ownership(0o600)
"""The file's permissions: a configuration may hold password hashes."""


@frozen
class Pin:
    """
    A pinned configuration.

    :param name: the configuration's number in the archive.
    :param since: the time at which it was pinned, in seconds since 1970.
    :param published: the texts of the configuration.
    """

    name: str
    since: float
    published: Published = field(repr=False)


class Pins:
    """
    The pin's file.

    Another process may write it, so it is checked at each use, and read again if it has changed.

    :param directory: the state directory; it is made when a configuration is pinned.
    """

    _log = Logger()

    def __init__(self, directory: str, disk: Disk | None = None) -> None:
        self._directory = directory
        self._path = os.path.join(directory, FILE)
        self._disk = disk or Disk()
        self._file = ChangedFile(self._path)
        self._pin: Pin | None = None

    def current(self) -> Pin | None:
        """Return the pin; None if there is none. A file that cannot be read is logged once, and pins nothing."""
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
        """Pin a configuration, durably, in place of the one before. Raises `marathonlb.errors.PublishFailed`."""
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
        """Remove the pin, durably, and return it. Raises `marathonlb.errors.PublishFailed`."""
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
                "The pin {path} cannot be read: {error}. Nothing is pinned; remove it, or pin a configuration again",
                path=self._path,
                error=str(error) or type(error).__name__,
            )
            return None
