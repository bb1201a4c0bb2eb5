"""
The operator's templates that HAProxy accepted last, kept for the controllers after this one.

A controller that is started with another text than the one which runs must know the last good one, and one that is
started with the same must know that it was good: see `marathonlb.config.templates.overrides`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress

from twisted.logger import Logger

from marathonlb.config.templates.table import BY_NAME
from marathonlb.config.templates.template import Template, classic, jinja
from marathonlb.errors import PublishFailed, TemplateError
from marathonlb.files import Ownership
from marathonlb.haproxy.files.disk import Disk, read_text, told
from marathonlb.haproxy.files.state_directory import StateDirectory

FILE = "templates.json"

PRIVATE = Ownership(0o600)
"""A template may hold passwords."""


class AcceptedTemplates:
    """
    One file of the state directory, by the templates' names: the text and where it came from.

    :param state: where it lies; it is made when something is first written.
    """

    _log = Logger()

    def __init__(self, state: StateDirectory, disk: Disk | None = None) -> None:
        self._state = state
        self._disk = disk or Disk()

    def read(self) -> Mapping[str, Template]:
        """What is kept; a file that cannot be read keeps nothing."""
        found: dict[str, Template] = {}
        with suppress(OSError, PublishFailed, ValueError, KeyError, TypeError, AttributeError):
            kept = json.loads(read_text(self._state.file(FILE)) or "{}")
            for name, each in kept.items():
                if name in BY_NAME:
                    make = jinja if each["source"].endswith(".j2") else classic
                    with suppress(TemplateError):
                        found[name] = make(name, str(each["text"]), str(each["source"]))
        return found

    def write(self, templates: Mapping[str, Template]) -> None:
        """Keep these. A failure is said, and goes no further: what runs is what was accepted."""
        kept = {name: {"source": each.source, "text": each.text} for name, each in sorted(templates.items())}
        try:
            text = json.dumps(kept) + "\n"
            self._disk.replace(self._state.file(FILE), text, PRIVATE, durable=True)
        except (OSError, PublishFailed) as error:
            self._log.warn(
                "the templates that HAProxy accepted were not kept: {reason}. The next controller does not know them",
                reason=told(error),
            )
